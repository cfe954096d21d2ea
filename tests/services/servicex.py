"""A stand-in for a server of ServiceX: what the client asks of one, and no more.

The real one needs Kubernetes. This one speaks the REST interface of version 1.8 for `deliver` of the `servicex` client:
what it can do, a request, its state. It puts the files of a request into a bucket of moto at once. These are not what
the query selects, but events made of the request: the same again for an equal one, in a file of another identifier.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from tests.services.s3 import KEY, SECRET, Moto


class StandIn:
    """The server's state: requests by their identifiers.

    Parameters
    ----------
    storage
        Where the files are put.
    folder
        Where they are made.
    """

    def __init__(self, storage: Moto, folder: Path) -> None:
        self.storage = storage
        self.folder = folder
        self.requests: dict[str, dict[str, Any]] = {}
        self.url = ""

    def transform(self, request: dict[str, Any]) -> str:
        """Take a request, make its files, and return its identifier."""
        import s3fs
        import uproot

        identifier = str(uuid.uuid4())
        system = s3fs.S3FileSystem(**self.storage.options, use_listings_cache=False)
        system.mkdir(identifier)
        for number, name in enumerate(request["file-list"]):
            made_of = np.frombuffer(json.dumps([name, request["selection"]]).encode(), np.uint8)
            local = self.folder / f"{identifier}-{number}.root"
            with uproot.recreate(local) as file:
                pt = np.random.default_rng(made_of).exponential(40, 100)
                file.mktree("Events", {"pt": "float64"}).extend({"pt": pt})
            system.put(str(local), f"{identifier}/{number}.root")
        self.requests[identifier] = request
        return identifier

    def state(self, identifier: str) -> dict[str, Any]:
        """Return the state of a request: it is done."""
        request = self.requests[identifier]
        count = len(request["file-list"])
        times = dict.fromkeys(("submit-time", "finish-time"), "2026-01-01T00:00:00Z")
        secrets = {"minio-access-key": KEY, "minio-secret-key": SECRET, "minio-secured": False}
        counts = {"files": count, "files-completed": count, "files-failed": 0, "files-remaining": 0}
        return {
            "request_id": identifier,
            "did": "File List Provided in Request",
            "did_id": 1,
            "tree-name": None,
            "title": request["title"],
            "selection": request["selection"],
            "image": "none",
            "status": "Complete",
            "result-destination": request["result-destination"],
            "result-format": request["result-format"],
            "generated-code-cm": "none",
            "app-version": "1.8.0",
            **counts,
            **times,
            **secrets,
            "minio-endpoint": self.storage.endpoint.removeprefix("http://"),
        }


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn

    def do_GET(self) -> None:
        if self.path == "/servicex":
            self._answer({"app-version": "1.8.0", "code-gen-image": {"uproot-raw": "none"}, "capabilities": []})
        elif (identifier := self.path.removeprefix("/servicex/transformation/")) in self.stand_in.requests:
            self._answer(self.stand_in.state(identifier))
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        if self.path != "/servicex/transformation":
            self.send_error(404)
            return
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer({"request_id": self.stand_in.transform(request)})

    def _answer(self, told: dict[str, Any]) -> None:
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def running(storage: Moto, folder: Path) -> Iterator[StandIn]:
    """Serve a stand-in on a free port."""
    stand_in = StandIn(storage, folder)
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        stand_in.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield stand_in
        server.shutdown()
