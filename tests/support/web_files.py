"""A web server of a folder's files, read in ranges, which says of them what a test wants."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

Says = Callable[[Path], dict[str, str]]
"""The headers that tell of a file."""


def as_s3(file: Path) -> dict[str, str]:
    """What S3 says of an object."""
    return {"ETag": f'"{hashlib.md5(file.read_bytes()).hexdigest()}"', "x-amz-request-id": "1"}


def as_others(file: Path) -> dict[str, str]:
    """What many web servers say: an ETag that looks like a checksum, and is made of a time and a size."""
    status = file.stat()
    made = hashlib.md5(f"{status.st_mtime_ns}-{status.st_size}".encode()).hexdigest()
    return {"ETag": f'"{made}"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}


class Site:
    """A server's address, what it says of files, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.says: Says = as_s3
        self.is_signed = False
        self.asked: list[str] = []
        self.port = 0

    def url(self, name: str, host: str = "127.0.0.1", signature: str = "") -> str:
        """Return the URL of a file, signed if there is something to sign it with."""
        query = f"?X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-Signature={signature}" if signature else ""
        return f"http://{host}:{self.port}/{name}{query}"


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Serve a folder."""
    here = Site(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            here.asked.append(f"HEAD {self.path}")
            self._answer(refuse=here.is_signed)

        def do_GET(self) -> None:
            here.asked.append(f"GET {self.path}")
            self._answer(refuse=here.is_signed and "X-Amz-Signature" not in parse_qs(urlsplit(self.path).query))

        def _answer(self, *, refuse: bool) -> None:
            file = here.folder / urlsplit(self.path).path.lstrip("/")
            if refuse or not file.is_file():
                self.send_response(403 if refuse else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = file.read_bytes()
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            self.send_response(206 if wanted else 200)
            body = content
            if wanted:
                start, stop = int(wanted[1]), min(int(wanted[2] or len(content)) + 1, len(content))
                body = content[start:stop]
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
            for name, value in here.says(file).items():
                self.send_header(name, value)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here.port = server.server_port
        Thread(target=server.serve_forever, daemon=True).start()
        yield here
        server.shutdown()
