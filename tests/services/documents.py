"""A stand-in for OpenSearch, which DIRAC keeps jobs' parameters in: documents by number, in memory.

documents.py HOST PORT
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

indices: dict[str, dict[str, Any]] = {}
ABOUT = {"version": {"number": "2.11.1", "distribution": "opensearch"}, "tagline": "", "name": "", "cluster_name": ""}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Requests are of no interest."""

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        path = [part for part in self.path.partition("?")[0].split("/") if part]
        status, reply = self.reply(path, json.loads(content) if content.startswith(b"{") else {})
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply(self, path: list[str], content: dict[str, Any]) -> tuple[int, Any]:
        match path:
            case []:
                return 200, ABOUT
            case ["_index_template", *_]:
                return 200, {"acknowledged": True}
            case [*index, "_mget"]:
                wanted = [(each.get("_index"), str(each["_id"])) for each in content.get("docs", [])]
                wanted += [(index[0], str(number)) for number in content.get("ids", []) if index]
                return 200, {"docs": [self.document(index, number) for index, number in wanted]}
            case [index] if self.command == "PUT":
                indices.setdefault(index, {})
                return 200, {"acknowledged": True, "index": index}
            case [index]:
                return (200 if index in indices else 404), {}
            case [index, "_doc" | "_create" | "_update" as verb, number]:
                documents = indices.setdefault(index, {})
                if self.command in ("GET", "HEAD"):
                    return (200 if number in documents else 404), self.document(index, number)
                if self.command == "DELETE":
                    documents.pop(number, None)
                else:
                    new = content.get("doc", content) if verb == "_update" else content
                    documents.setdefault(number, {}).update(new)
                return 200, {"_index": index, "_id": number, "result": "updated", "_version": 1}
        return 404, {"error": self.path}

    def document(self, index: str, number: str) -> dict[str, Any]:
        found = indices.get(index, {}).get(number)
        return {"_index": index, "_id": number, "found": found is not None, "_source": found or {}}

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
