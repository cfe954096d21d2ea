"""Steps that are given a file elsewhere, and read more than that file there."""

from __future__ import annotations

import hashlib
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
import requests

from cachingclient import DiracClient
from cachingclient.hashing.inputs.fingerprint import KNOWN, Fingerprint
from cachingclient.worker.observe import Observed
from cachingclient.worker.seen import why_not


class Handler(BaseHTTPRequestHandler):
    """Serves what `files` holds; a text that begins with a slash sends the client there."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        elsewhere = content.startswith(b"/")
        self.send_response(307 if elsewhere else 200)
        if elsewhere:
            self.send_header("Location", content.decode())
            content = b""
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The addresses of two web servers with the same files."""
    monkeypatch.setattr(Handler, "files", {"/main/1.root": b"M1", "/friend/1.root": b"F1", "/calib": b"C1"})
    monkeypatch.setenv("no_proxy", "*")
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one,
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as two,
    ):
        for each in (one, two):
            threading.Thread(target=each.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}", f"http://127.0.0.1:{two.server_port}"
        for each in (one, two):
            each.shutdown()


def by_urllib(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())


def by_requests(url: str) -> bytes:
    return bytes(requests.get(url, timeout=60).content)


def by_fsspec(url: str) -> bytes:
    with fsspec.open(url) as file:
        return bytes(file.read())


READERS = [by_urllib, by_requests, by_fsspec]


def with_friend(url: str, read: Callable[[str], bytes]) -> bytes:
    return read(url) + read(url.replace("/main/", "/friend/"))


def with_calibration(url: str, server: str, read: Callable[[str], bytes]) -> bytes:
    return read(url) + read(server + "/calib")


def alone(url: str, read: Callable[[str], bytes]) -> bytes:
    return read(url)


def session(store: Path, *calls: tuple[Any, ...]) -> tuple[list[bytes], list[str]]:
    """Return what calls give in a session of their own, and what was done about each."""
    local = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with DiracClient(**local, cache=f"file://{store}", policy="all") as client:
        found, actions = [], []
        for call in calls:
            with client.reporting() as report:
                found.append(client.submit(*call).result())
            actions.append("ran" if report.summary().total.ran else "loaded")
    return found, actions


@pytest.mark.parametrize("read", READERS)
def test_a_friend_of_the_same_name_is_another_file(
    servers: tuple[str, str], tmp_path: Path, read: Callable[[str], bytes]
) -> None:
    """A result that depends on a file that no argument names is not kept, wherever its folder and name come from."""
    calls = [(with_friend, f"{servers[0]}/main/1.root", read), (alone, f"{servers[0]}/main/1.root", read)]
    assert session(tmp_path / "store", *calls) == ([b"M1F1", b"M1"], ["ran", "ran"])
    Handler.files["/friend/1.root"] = b"F2"
    assert session(tmp_path / "store", *calls) == ([b"M1F2", b"M1"], ["ran", "loaded"])


@pytest.mark.parametrize("read", READERS)
def test_another_server_is_asked_anew(servers: tuple[str, str], tmp_path: Path, read: Callable[[str], bytes]) -> None:
    """A file elsewhere among the arguments does not excuse what is read from others."""
    call = (with_calibration, f"{servers[0]}/main/1.root", servers[1], read)
    assert session(tmp_path / "store", call)[0] == [b"M1C1"]
    Handler.files["/calib"] = b"C2"
    assert session(tmp_path / "store", call)[0] == [b"M1C2"]


@pytest.mark.parametrize("read", READERS)
def test_where_a_server_sends_a_step_for_what_is_named_is_named(
    servers: tuple[str, str], tmp_path: Path, read: Callable[[str], bytes]
) -> None:
    """A gateway answers with the address of a disk server."""
    Handler.files["/main/2.root"] = b"/disk/7/xyz"
    Handler.files["/disk/7/xyz"] = b"D1"
    call = (alone, f"{servers[0]}/main/2.root", read)
    assert session(tmp_path / "store", call) == ([b"D1"], ["ran"])
    assert session(tmp_path / "store", call) == ([b"D1"], ["loaded"])
    Handler.files["/disk/7/xyz"] = b"D2"
    assert session(tmp_path / "store", call) == ([b"D2"], ["ran"])


@pytest.mark.parametrize(
    ("opened", "named", "same"),
    [
        ("root://cache:1094//root://origin//store/a.root", "root://redirector//store/a.root", True),
        ("root://redirector//store/friends/a.root", "root://redirector//store/a.root", False),
        ("root://site//eos/cms/store/mc/a.root", "root://redirector//store/mc/a.root", True),
        ("root://redirector:1094", "root://redirector:1094//store/a.root", True),
        ("root://other:1094", "root://redirector:1094//store/a.root", False),
        ("https://s3.cern.ch/ana/mc/a.root?X-Amz-Date=1&X-Amz-Signature=f", "s3://ana/mc/a.root", True),
        ("https://ana.s3.cern.ch/mc/a.root", "s3://ana/mc/a.root", True),
        ("s3://ana/mc/a.root", "s3://other/mc/a.root", False),
        ("s3://ana/mc/a.root", "simplecache::s3://ana/mc/a.root", True),
        ("https://host/a.root", "davs://host:443/a.root", True),
        ("https://host/run%202/a.root", "https://host/run 2/a.root", True),
        ("https://host/get?file=a.root", "https://host/get?file=b.root", False),
        ("https://host:8443/a.root", "https://host/a.root", False),
        ("root://site//rucio/mc/0f/11/a.root", "rucio://mc:a.root", True),
        ("root://site//rucio/mc/0f/11/b.root", "rucio://mc:a.root", False),
    ],
)
def test_names_of_one_file_elsewhere(opened: str, named: str, same: bool) -> None:
    """Other hosts and prefixes are redirectors' and caches'; another folder is another file."""
    why = why_not(Observed(remote={opened}), [Fingerprint(named, KNOWN)])
    assert (why == "") is same
    assert same or opened.partition("?")[0] in why


def test_a_protocol_that_tells_no_url_is_not_believed() -> None:
    """What a database is asked can't be seen, wherever it is."""
    named = [Fingerprint("https://host/a.root", "remote")]
    assert "connects to 10.0.0.1:5432" in why_not(Observed(connections={"10.0.0.1:5432"}), named)
    assert why_not(Observed(connections={"10.0.0.1:443"}, asked={"10.0.0.1:443"}), named) == ""
