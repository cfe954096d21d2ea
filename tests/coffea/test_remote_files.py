"""Chunks of files on servers: a copy that was edited has its original's identifier, and another size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from coffea.processor.executor import WorkItem

from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs.fingerprint import KNOWN, Fingerprint
from cachingclient.hashing.libraries import coffea as hashers
from cachingclient.worker.as_planned import as_planned
from tests.support.reported import counts

if TYPE_CHECKING:
    from cachingclient import DiracClient


class _Server(BaseHTTPRequestHandler):
    """Serves one file, with its time, and counts how often it is asked for each."""

    content = b""
    asked: list[str] = []  # noqa: RUF012 - a list of each test
    refuses = False

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(500 if self.refuses else 200)
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a file is."""
    monkeypatch.setattr(_Server, "asked", [])
    hashers._silent.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a.root"
        server.shutdown()
    hashers._silent.clear()


def chunk(url: str, start: int = 0) -> WorkItem:
    return WorkItem("ttbar", url, "Events", start, start + 10, b"1" * 16, {})


def read(item: Any) -> bytes:
    with urlopen(item.filename) as answer:
        return bytes(answer.read())


def test_an_edited_copy_under_an_old_name_runs(
    make_client: Callable[..., DiracClient], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the identifier, the entries and even the time of the file before it."""
    ran = []
    for content in (b"events", b"events", b"more events", b"events"):
        monkeypatch.setattr(_Server, "content", content)
        client = make_client()
        assert client.gather(client.map(read, [chunk(url), chunk(url, 10)])) == [content, content]
        client.flush()
        ran.append(counts(client)[0])
        client.close()
    assert ran == [2, 0, 2, 0]


def test_a_server_is_asked_once_a_file(
    make_client: Callable[..., DiracClient], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many chunks the file has."""
    client = make_client()
    futures = client.map(read, [chunk(url, start) for start in range(0, 100, 10)])
    client.gather(futures)
    client.flush()
    client.close()
    monkeypatch.setattr(_Server, "asked", [])
    client = make_client()
    client.gather(client.map(read, [chunk(url, start) for start in range(0, 100, 10)]))
    assert _Server.asked == ["/a.root"]
    client.close()


def test_a_server_that_does_not_tell_is_left_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file counts by its identifier then, and a chunk has an identity."""
    told = identify(chunk(url)).digest
    monkeypatch.setattr(_Server, "refuses", True)
    monkeypatch.setattr(_Server, "asked", [])
    untold = [identify(chunk(url, start)).digest for start in (0, 10, 20)]
    assert told != untold[0]
    assert len(set(untold)) == 3
    assert len(_Server.asked) <= 2, "by HEAD, and for the first byte"


def test_a_worker_compares_the_size() -> None:
    """One that sees another size, or none, keeps nothing under the client's key."""
    seen = Fingerprint("root://host//a.root", KNOWN, 10)
    assert as_planned([seen], [seen], []) == ([seen], [], "")
    assert "another file" in as_planned([Fingerprint(seen.url, KNOWN, 11)], [seen], [])[2]
    assert "can't be had" in as_planned([Fingerprint(seen.url, KNOWN)], [seen], [])[2]
    unasked = Fingerprint(seen.url, KNOWN)
    assert as_planned([seen], [unasked], [])[2] == as_planned([unasked], [unasked], [])[2] == ""
