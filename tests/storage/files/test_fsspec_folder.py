"""Stores behind fsspec: read over HTTP, and servers that are away."""

from __future__ import annotations

import pickle
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import EntryLost, StoreUnavailable, open_store
from cachingclient.storage.files.access_log import AccessLog
from cachingclient.storage.files.fsspec_folder import RemoteFolder
from cachingclient.storage.open_store import sent_store
from tests.services.service import free_port
from tests.storage.contract import BIG
from tests.support.entries import entry, new_key


class Handler(SimpleHTTPRequestHandler):
    """A web server that says nothing of its requests."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def web_url(cache_folder: Path) -> Iterator[str]:
    """The cache folder, as a web server shows it."""
    cache_folder.mkdir(exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(cache_folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_folder_on_the_web_is_read(cache_folder: Path, web_url: str) -> None:
    """Entries that someone published are found and loaded."""
    kept = [entry(5), entry(np.arange(BIG))]
    for each in kept:
        open_store(cache_folder).write(each)
    store = open_store(web_url)
    found = store.find([*(each.keys[0] for each in kept), new_key()])
    assert [store.read(found[each.keys[0]]) for each in kept[:1]] == [5]
    assert store.read(found[kept[1].keys[0]])[7] == 7


def test_a_folder_on_the_web_is_not_written(web_url: str) -> None:
    """Writing does nothing, and says so."""
    store = open_store(web_url)
    assert store.read_only
    assert not store.write(entry(1))
    assert store.delete([new_key()]) == 0


def test_a_blob_that_is_gone_from_the_web_is_lost(cache_folder: Path, web_url: str) -> None:
    """It is run again."""
    kept = entry(np.arange(BIG))
    local = open_store(cache_folder)
    local.write(kept)
    store = open_store(web_url)
    info = store.find(kept.keys)[kept.keys[0]]
    local.delete(kept.keys)
    with pytest.raises(EntryLost, match="missing"):
        store.read(info)


def test_a_server_that_is_away_is_asked_once(web_url: str) -> None:
    """The first question fails after its time limit, the next ones at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        store = open_store(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(StoreUnavailable, match="does not answer"):
            store.find([new_key()])
        taken.listen()
        taken.setblocking(False)
        with pytest.raises(StoreUnavailable, match="does not answer"):
            store.find([new_key()])
        with pytest.raises(BlockingIOError):
            taken.accept()


def test_a_store_from_elsewhere_that_can_not_be_opened_here() -> None:
    """It comes out of its pickle all the same, and then fails as stores may: the task it came with goes on."""
    pytest.importorskip("XRootD", reason="pip install xrootd")
    sent = sent_store(f"root://127.0.0.1:{free_port()}//cache", {})
    arrived = pickle.loads(pickle.dumps(sent))
    assert arrived is sent
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="does not answer"):
            arrived.find([new_key()])
    with pytest.raises(StoreUnavailable, match="does not answer"):
        arrived.write(entry(1))


def test_many_records_of_uses_are_read_together() -> None:
    """Hundreds of files of uses cost a few requests, and the last use of each key counts."""
    folder = RemoteFolder(f"memory://{new_key()}")
    log, keys = AccessLog(folder), [new_key() for _ in range(250)]
    for key in keys:
        log.record([key])
        log.write()
    asked: list[int] = []
    fetch = folder.fetch
    folder.fetch = lambda names: asked.append(len(names)) or fetch(names)  # type: ignore[method-assign,func-returns-value]
    assert log.read().keys() == set(keys)
    assert asked == [100, 100, 50]
