"""``cachectl serve``: a store as pages in a browser, for the one person who has the token."""

from __future__ import annotations

import hmac
import secrets
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import click

from cachingclient.cli.options import store_option
from cachingclient.cli.serve_pages import BadQuery, as_text, entries_page, entry_page, page, runs_page
from cachingclient.storage import Store, StoreError

HOST = "127.0.0.1"
HEADERS = {
    # No script runs, nothing is fetched from elsewhere, no other page shows this one in a frame or learns its address.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@click.command()
@store_option
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Which port; 0 takes a free one.")
def serve(store: Store, port: int) -> None:
    """Show a store as pages in a browser, on this machine: entries, sizes by step, and what was run.

    Nothing can be changed from it. It answers who has the token in the address that it prints, until it is interrupted.
    """
    try:
        server = Pages(store, port)
    except OSError as error:
        raise click.UsageError(f"--port {port} can't be had: {error.strerror}") from error
    with server:
        click.echo(f"{store.url} is at\n{server.address}\nuntil this is interrupted (Ctrl-C)")
        server.serve_forever()


class Pages(ThreadingHTTPServer):
    """A server on loopback that shows a store.

    Parameters
    ----------
    store
        The store; nothing is written to it.
    port
        Where to listen; 0 takes a free port.
    """

    daemon_threads = True

    def __init__(self, store: Store, port: int = 0) -> None:
        self.store = store
        self.token = secrets.token_urlsafe(32)
        super().__init__((HOST, port), Answer)

    @property
    def address(self) -> str:
        """The address to open, with the token."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """The name of the cookie with the token: to browsers all ports of a machine are one place."""
        return f"cachectl-{self.server_port}"

    @property
    def hosts(self) -> set[str]:
        """What browsers call this server: a name that leads here by another's doing is none of them."""
        return {f"{name}:{self.server_port}" for name in (HOST, "localhost")}


class Answer(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Pages
    server_version, sys_version = "cachectl", ""
    timeout = 30

    def do_GET(self) -> None:
        """Answer with a page, once the request is known to come from who has the token."""
        place = urlsplit(self.path)
        query = dict(parse_qsl(place.query))
        if self.headers.get("Host") not in self.server.hosts:
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "This server is called by another name.")
        elif self._is_token(query.get("token", "")):
            # The token leaves the address, which browsers remember and show.
            self.send_response(HTTPStatus.SEE_OTHER)
            self.send_header("Location", "/")
            self.send_header(
                "Set-Cookie", f"{self.server.cookie}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
            )
            self._end_headers(0)
        elif not self._is_token(self._cookie()):
            self._say(HTTPStatus.FORBIDDEN, "Open the address that cachectl serve printed, with its token.")
        else:
            self._show(place.path, query)

    def _show(self, path: str, query: dict[str, str]) -> None:
        store = self.server.store
        try:
            if path == "/":
                self._send(HTTPStatus.OK, entries_page(store, query))
            elif path == "/runs":
                self._send(HTTPStatus.OK, runs_page(store))
            elif path.startswith("/entry/") and (found := entry_page(store, path.removeprefix("/entry/"))) is not None:
                self._send(HTTPStatus.OK, found)
            else:
                self._say(HTTPStatus.NOT_FOUND, "There is no such page, or no such entry any more.")
        except BadQuery as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        except StoreError as error:
            self._say(HTTPStatus.BAD_GATEWAY, str(error))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.server.token.encode())

    def _cookie(self) -> str:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(self.server.cookie)
        except CookieError:
            return ""
        return found.value if found is not None else ""

    def _say(self, status: HTTPStatus, text: str) -> None:
        known = status not in (HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.FORBIDDEN)
        self._send(status, page(self.server.store, status.phrase, f"<p>{as_text(text)}</p>") if known else f"{text}\n")

    def _send(self, status: HTTPStatus, text: str) -> None:
        content = text.encode("utf-8", "backslashreplace")
        self.send_response(status)
        kind = "text/html" if text.startswith("<") else "text/plain"
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self._end_headers(len(content))
        self.wfile.write(content)

    def _end_headers(self, length: int) -> None:
        for name, value in {**HEADERS, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal shows the address, and requests have the token in them."""
