"""Servers that stop and start again while a store is in use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cachingclient.storage import StoreUnavailable, open_store
from cachingclient.storage.filesystem import FileSystemStore
from cachingclient.storage.remote import RemoteFolder
from tests.services.s3 import Rclone
from tests.storage.entries import entry


def test_a_server_that_stops_and_starts(tmp_path: Path) -> None:
    """While it is away a store says so at once; what was kept before is there after."""
    server = Rclone(tmp_path)
    with server:
        server.make_bucket("cache")
        store = open_store("s3://cache/here", **server.options)
        assert isinstance(store, FileSystemStore)
        assert isinstance(store.folder, RemoteFolder)
        kept = [entry(n) for n in range(20)] + [entry(np.arange(40_000))]
        for each in kept:
            store.write(each)
        server.stop()
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                store.find(kept[0].keys)
        with pytest.raises(StoreUnavailable, match="does not answer as it should"):
            store.write(entry(1))
        server.start()
        store.folder.ask_again()
        keys = [each.keys[0] for each in kept]
        found = store.find(keys)
        assert found.keys() == set(keys)
        assert store.read(found[keys[-1]])[9] == 9
        assert store.write(entry(1))
