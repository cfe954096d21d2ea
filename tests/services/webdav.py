"""rclone's WebDAV server on a local folder, and a front before it that asks for tokens, or loses what it is sent."""

from __future__ import annotations

import base64
import http.client
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.services.service import Service, free_port, listens, rclone

USER, PASSWORD = "alice", "a long password"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class WebDAV(Service):
    """Answers at ``url`` and keeps its files below ``folder/data``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.url = f"dav://127.0.0.1:{self.port}"
        self.password_file = folder / "password"

    @property
    def options(self) -> dict[str, Any]:
        """What ``open_store`` needs besides the URL."""
        return {"user": USER, "password_file": str(self.password_file)}

    def start(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        self.password_file.write_text(PASSWORD + "\n")
        address = f"127.0.0.1:{self.port}"
        command = [rclone(), "serve", "webdav", "--addr", address, "--user", USER, "--pass", PASSWORD]
        self.run([*command, self.folder / "data"], RCLONE_CONFIG="/dev/null")
        self.wait(self.answers, "rclone does not answer")

    def answers(self) -> bool:
        """Whether it accepts connections."""
        return listens(self.port)


class Front(BaseHTTPRequestHandler):
    """Hands requests on to the server.

    Attributes
    ----------
    behind
        The server's port.
    token
        The token that it asks for; None for none. The server itself is then told the password.
    loses
        How many bytes of each file that is written it loses.
    cuts
        How many bytes of each file that is read it does not send, though it says that it does.
    sizes
        What its listings say instead of each file's size; None for the truth.
    plain
        Whether it refuses locks, and requests for ranges.
    gate
        An event that requests wait for before they are handed on; None for none.
    """

    protocol_version = "HTTP/1.1"
    behind = 0
    token: str | None = None
    loses = 0
    cuts = 0
    sizes: bytes | None = None
    plain = False
    gate: threading.Event | None = None

    def handle_one_request(self) -> None:
        """Hand one request on."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.gate is not None:
            self.gate.wait()
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")
        }
        if "Destination" in headers:
            headers["Destination"] = f"http://127.0.0.1:{self.behind}/" + headers["Destination"].split("/", 3)[3]
        if self.token is not None:
            if headers.get("Authorization") != f"Bearer {self.token}":
                self._reply(401, "Unauthorized", {}, b"")
                return
            headers["Authorization"] = BASIC
        if self.plain and (self.command in ("LOCK", "UNLOCK") or "Range" in self.headers):
            self._reply(405, "Method Not Allowed", {}, b"")
            return
        if self.command == "PUT" and self.loses:
            body = body[: -self.loses]
        connection = http.client.HTTPConnection("127.0.0.1", self.behind)
        connection.request(self.command, self.path, body=body, headers=headers)
        answer = connection.getresponse()
        told = answer.read()
        if self.command == "PROPFIND" and self.sizes is not None:
            told = re.sub(rb"(getcontentlength>)\d+", rb"\g<1>" + self.sizes, told)
        self._reply(answer.status, answer.reason, dict(answer.getheaders()), told)
        connection.close()

    def _reply(self, status: int, reason: str, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status, reason)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET" and self.cuts:
            body, self.close_connection = body[: -self.cuts], True
        self.wfile.write(body)


@contextmanager
def front(port: int, certificate: tuple[Path, Path] | None = None, **how: Any) -> Iterator[str]:
    """A front before the server at a port, with HTTPS if there is a certificate; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Front", (Front,), {"behind": port, **how}))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{'davs' if certificate is not None else 'dav'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
