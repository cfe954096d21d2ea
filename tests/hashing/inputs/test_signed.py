"""Signed and short-lived URLs: the signature is no part of what they name, and is kept nowhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.inputs.signed import unsigned

FILE = "https://s3.cern.ch/bucket/a.root"
SIGNED = {
    "S3, version 4": "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K%2F2026&X-Amz-Date=1&X-Amz-Expires=60"
    "&X-Amz-SignedHeaders=host&X-Amz-Security-Token=T&X-Amz-Signature=SECRET",
    "S3, version 2": "AWSAccessKeyId=K&Signature=SECRET&Expires=1700000000",
    "GCS, version 4": "X-Goog-Algorithm=GOOG4&X-Goog-Credential=K&X-Goog-Expires=60&X-Goog-Signature=SECRET",
    "GCS, version 2": "GoogleAccessId=K&Expires=1700000000&Signature=SECRET",
    "Azure": "sv=2024&se=2030&sr=b&sp=r&sig=SECRET",
    "CloudFront": "Expires=1700000000&Signature=SECRET&Key-Pair-Id=K",
    "macaroon": "authz=Bearer%20SECRET",
    "token": "access_token=SECRET",
}


@pytest.mark.parametrize("how", SIGNED)
def test_what_signs_a_url_is_left_out(how: str) -> None:
    """What remains is the file, and what else was asked of the server."""
    assert unsigned(f"{FILE}?{SIGNED[how]}") == FILE
    assert unsigned(f"{FILE}?versionId=7&{SIGNED[how]}&part=2") == f"{FILE}?versionId=7&part=2"


@pytest.mark.parametrize(
    "url",
    [
        f"{FILE}?expires=2030&file=a.root",  # nothing is signed: it may choose the file
        f"{FILE}?signature=jets",
        f"{FILE}?se=1&sv=2",
        f"{FILE}?versionId=7",
        f"{FILE}?token=7",
        "root://host//a.root",
        "a.root?authz=x",
        "",
    ],
)
def test_other_parameters_stay(url: str) -> None:
    """A parameter that signs nothing may choose what is sent."""
    assert unsigned(url) == url


def test_passwords_are_left_out() -> None:
    """A password in a URL lets somebody read the file, as a signature does."""
    assert unsigned("https://alice:hunter2@host/a.root") == "https://host/a.root"


class Handler(BaseHTTPRequestHandler):
    """Serves two files to whoever has signed a GET; a HEAD has another signature, so it is refused."""

    files: ClassVar[dict[str, tuple[bytes, str]]] = {}
    sent: ClassVar[list[int]] = []
    validators: ClassVar[bool] = True

    def do_HEAD(self) -> None:
        self.send_error(403)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if not parse_qs(parts.query).get("X-Amz-Signature", [""])[0].startswith("GET-"):
            self.send_error(403)
            return
        if parts.path not in self.files:
            self.send_error(404)
            return
        content, etag = self.files[parts.path]
        ranged = self.headers.get("Range") == "bytes=0-0"
        if ranged and not content:
            self.send_response(416)
            self.send_header("Content-Range", "bytes */0")
        elif ranged:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes 0-0/{len(content)}")
        else:
            self.send_response(200)
        body = content[:1] if ranged else content
        if self.validators:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.sent.append(len(body))  # first: headers may be all that the client waits for
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a web server that asks for signatures."""
    monkeypatch.setattr(Handler, "files", {"/a.root": (b"events", '"1"'), "/empty.root": (b"", '"0"')})
    monkeypatch.setattr(Handler, "sent", [])
    monkeypatch.setattr(Handler, "validators", True)
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def signed(url: str, number: int = 1) -> str:
    """Return a URL as a server signs it for the n-th time."""
    return f"{url}?X-Amz-Date=2026010{number}T000000Z&X-Amz-Expires=60&X-Amz-Signature=GET-SECRET{number}"


def test_a_url_that_is_signed_again_names_the_same(server: str) -> None:
    """Each signature gives the same identity, from one byte of the file; another file has another."""
    first = identify(signed(f"{server}/a.root", 1)).digest
    assert identify(signed(f"{server}/a.root", 2)).digest == first
    assert Handler.sent == [1, 1]
    Handler.files["/a.root"] = (b"events of another run", '"2"')
    assert identify(signed(f"{server}/a.root", 2)).digest != first
    Handler.files["/b.root"] = (b"events", '"1"')
    assert identify(signed(f"{server}/b.root", 2)).digest != first


def test_the_size_is_that_of_the_whole_file(server: str) -> None:
    """The answer holds one byte, and says how many there are; none of an empty file."""
    for name, size in (("a.root", 6), ("empty.root", 0)):
        seen = Inputs().of(signed(f"{server}/{name}"))
        assert seen is not None
        assert seen.size == size


def test_no_signature_is_told(server: str) -> None:
    """A reason names the file, never what lets others read it."""
    Handler.validators = False
    expired = signed(f"{server}/a.root").replace("GET-SECRET", "EXPIRED-SECRET")
    away = signed("http://127.0.0.1:1/a.root")
    for url in (signed(f"{server}/a.root"), expired, away):
        with pytest.raises(Unidentifiable) as refused:
            Inputs().of(url)
        assert "/a.root" in refused.value.reason
        assert "SECRET" not in refused.value.reason


def test_a_weak_etag_alone_is_no_identity(server: str) -> None:
    """It stays while bytes change that its server finds unimportant."""
    Handler.files["/a.root"] = (b"events", 'W/"1"')
    with pytest.raises(Unidentifiable, match="weak ETag"):
        Inputs().of(signed(f"{server}/a.root"))


def test_a_step_is_loaded_for_a_new_signature_and_no_entry_has_one(server: str, tmp_path: Path) -> None:
    """A presigned URL is an input like others: a later session with another signature loads what was kept."""
    from cachingclient import DiracClient

    def size(url: str) -> int:
        return len(url.partition("?")[0])

    store, ran = tmp_path / "store", []
    for number in (1, 2):
        with DiracClient(
            processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None, cache=f"file://{store}",
            policy="all",
        ) as client:  # fmt: skip
            assert client.submit(size, signed(f"{server}/a.root", number)).result() == len(f"{server}/a.root")
            ran.append(client.report.summary().total.ran)
    assert ran == [1, 0]
    assert not [file for file in store.rglob("*") if file.is_file() and b"SECRET" in file.read_bytes()]
