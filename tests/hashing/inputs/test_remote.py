"""Inputs on servers: what one says of a file, and what follows if it says nothing, or too late."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import fsspec
import pytest

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs import inputs as inputs_module
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.inputs.remote import look_at_remote, run_with_timeout, scheme_of


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD with whatever the test set."""

    headers_to_send: ClassVar[dict[str, str]] = {}
    status = 200
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        for name, value in self.headers_to_send.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server whose answers a test sets on Handler."""
    monkeypatch.setattr(Handler, "headers_to_send", {"ETag": '"1"', "Content-Length": "5"})
    monkeypatch.setattr(Handler, "status", 200)
    monkeypatch.setattr(Handler, "asked", [])
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a.root"
        server.shutdown()


def test_a_url_counts_by_what_its_server_says(server: str) -> None:
    """A new ETag is a new identity, found with one request."""
    before = identify(server).digest
    assert identify(server).digest == before
    Handler.headers_to_send = {"ETag": '"2"', "Content-Length": "5"}
    assert identify(server).digest != before
    assert Handler.asked == ["/a.root"] * 3


def test_recheck_asks_the_server_again(server: str) -> None:
    """A remote file that changed is reported, unless only local ones are asked for."""
    seen = Inputs().of(server)
    assert seen is not None
    assert Inputs().recheck([seen]) == []
    Handler.headers_to_send = {"ETag": '"2"'}
    assert Inputs().recheck([seen]) == [seen]
    assert Inputs().recheck([seen], remote=False) == []


def test_an_object_in_a_remote_file_is_asked_for_as_the_file(server: str) -> None:
    """The name of a tree behind a URL is not sent to the server."""
    assert Inputs().of(f"{server}:Events") == Inputs().of(server)


def test_a_missing_url_is_a_text(server: str) -> None:
    """A server that says 404 has answered: there is no input."""
    Handler.status = 404
    assert Inputs().of(server) is None


@pytest.mark.parametrize(
    ("status", "headers", "reason"), [(403, {}, "403"), (200, {"Content-Length": "5"}, "neither an ETag")]
)
def test_a_url_that_says_nothing_has_no_identity(
    server: str, status: int, headers: dict[str, str], reason: str
) -> None:
    """A refusal, and an answer by which no change could be seen, are reasons."""
    Handler.status, Handler.headers_to_send = status, headers
    with pytest.raises(Unidentifiable, match=reason):
        Inputs().of(server)


def test_an_unreachable_url_has_no_identity() -> None:
    """A server that is not there is a reason that names the URL."""
    with pytest.raises(Unidentifiable, match=r"http://127\.0\.0\.1:1/x, which can't be looked at now"):
        Inputs().of("http://127.0.0.1:1/x")


def test_a_silent_server_is_asked_once_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of files on a server that is away cost one wait, and each has its reason."""
    asked = []

    def look(url: str, timeout: float) -> None:
        asked.append(url)
        raise Unidentifiable(f"{url}, which did not answer") from TimeoutError()

    monkeypatch.setattr(inputs_module, "look_at_remote", look)
    inputs = Inputs()
    for name in ("a", "b", "a"):
        with pytest.raises(Unidentifiable, match=r"http://away\.example/a, which did not answer"):
            inputs.of(f"http://away.example/{name}")
    with pytest.raises(Unidentifiable, match=r"http://other\.example/a"):
        inputs.of("http://other.example/a")
    assert asked == ["http://away.example/a", "http://other.example/a"]


def test_a_file_system_of_fsspec_is_asked_for_files_folders_and_patterns() -> None:
    """Whatever fsspec can open is looked at by size and time, or by the version its server names."""
    memory = fsspec.filesystem("memory")
    memory.pipe({"/look/a.txt": b"1", "/look/deep/b.txt": b"2"})
    urls = ["memory://look/a.txt", "memory://look", "memory://look/*.txt"]
    before = [look_at_remote(url, 5) for url in urls]
    assert [look_at_remote(url, 5) for url in urls] == before
    assert look_at_remote("memory://look/none.txt", 5) is None
    memory.pipe({"/look/a.txt": b"11"})
    assert all(look_at_remote(url, 5) != look for url, look in zip(urls, before, strict=True))
    memory.rm("/look", recursive=True)


def test_a_rucio_name_counts_by_the_checksums_of_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data identifier is asked for its files; a new file in a data set is a change."""
    files = [{"scope": "user", "name": "a", "bytes": 1, "adler32": "x"}]

    class Missing(Exception):
        """What Rucio raises for unknown names."""

    class Client:
        def list_files(self, scope: str, name: str) -> list[dict[str, Any]]:
            if (scope, name) != ("user.alice", "ttbar"):
                raise Missing
            return files

    monkeypatch.setitem(sys.modules, "rucio", types.ModuleType("rucio"))
    for name, members in {
        "rucio.client": {"Client": Client},
        "rucio.common": {},
        "rucio.common.exception": {"DataIdentifierNotFound": Missing},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    before = look_at_remote("rucio://user.alice:ttbar", 5)
    assert before == Fingerprint(before.url, "remote", 1, checksum=before.checksum)
    assert look_at_remote("rucio://user.alice:other", 5) is None
    files[0]["adler32"] = "135712c"
    one = look_at_remote("rucio://user.alice:ttbar", 5)
    assert one is not None
    assert (one == before, one.sums) == (False, (("adler32", "0135712c"),))
    files.append({"scope": "user", "name": "b", "bytes": 1, "adler32": "135712c"})
    both = look_at_remote("rucio://user.alice:ttbar", 5)
    assert both is not None
    assert (both == one, both.sums) == (False, ())


def test_a_server_that_hangs_takes_bounded_time() -> None:
    """The wait for an answer ends, and says so."""
    never = threading.Event()
    with pytest.raises(TimeoutError):
        run_with_timeout(0.05, never.wait)
    never.set()


def test_a_scheme_without_its_library_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A known scheme that nothing here can open is a reason, not a text."""
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(Unidentifiable, match="without another library"):
        look_at_remote("root://host.example//a.root", 5)


@pytest.mark.parametrize("text", ["tcp://10.0.0.1:8786", "inproc://x", "mailto:a@b.c", "http", "C:/x"])
def test_other_schemes_are_texts(text: str) -> None:
    """Addresses of schedulers and the like are never asked."""
    assert scheme_of(text) is None
