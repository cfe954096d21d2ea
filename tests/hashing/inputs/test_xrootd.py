"""Whether an XRootD server itself has what it tells of: redirectors and proxies, played by a client that answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

pytest.importorskip("XRootD", reason="pip install xrootd")

from cachingclient.hashing.inputs import xrootd as asked

SERVER, MANAGER, PROXY = 0x1, 0x2, 0x200
URL = "root://redirector//store/a.root"


class FileSystem:
    """Says what the test has it say."""

    hosts: ClassVar[dict[str, int]] = {}
    located: ClassVar[list[str]] = []
    checksum: ClassVar[bytes] = b"adler32 0135712c\0"

    def __init__(self, url: str) -> None:
        self.host = url.removeprefix("root://")

    def protocol(self) -> Any:
        return SimpleNamespace(ok=self.host in self.hosts, message="gone"), SimpleNamespace(
            hostinfo=self.hosts.get(self.host)
        )

    def deeplocate(self, path: str, flags: int) -> Any:
        return SimpleNamespace(ok=bool(self.located)), [SimpleNamespace(address=each) for each in self.located]

    def query(self, code: int, path: str, timeout: int, answer: Any) -> Any:
        answer(SimpleNamespace(ok=bool(self.checksum), errno=3013), self.checksum, None)
        return SimpleNamespace(ok=True)


@pytest.fixture(autouse=True)
def _hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = {"redirector": MANAGER, "one:1094": SERVER, "two:1094": SERVER, "cache:1094": SERVER | PROXY}
    monkeypatch.setattr(FileSystem, "hosts", hosts)
    monkeypatch.setattr(FileSystem, "located", ["one:1094", "two:1094"])
    monkeypatch.setattr(asked.client, "FileSystem", FileSystem)
    monkeypatch.setattr(asked, "_hosts", {})
    monkeypatch.setattr(asked, "_silent", {})


def test_a_redirector_to_servers_that_have_the_file() -> None:
    """Its checksum is that of what is read."""
    assert asked.ask_content(URL) == ((("adler32", "0135712c"),), False)


@pytest.mark.parametrize("located", [["one:1094", "cache:1094"], ["redirector"], []])
def test_a_redirector_that_may_send_elsewhere(located: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """To a proxy, to another redirector, or it does not say."""
    monkeypatch.setattr(FileSystem, "located", located)
    assert asked.ask_content(URL).relayed


def test_a_redirector_whose_servers_tell_no_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their times may differ; it is not asked again for a while."""
    monkeypatch.setattr(FileSystem, "checksum", b"")
    assert asked.ask_content(URL) == ((), True)
    monkeypatch.setattr(FileSystem, "checksum", b"adler32 0135712c\0")
    assert asked.ask_content(URL) == ((), True)


def test_a_host_that_says_not_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is believed of it."""
    with pytest.raises(OSError, match="gone"):
        asked.ask_content("root://unknown//a.root")
