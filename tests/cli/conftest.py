"""A store with known entries, and a way to call ``cachectl`` on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cachingclient.cli import cli
from cachingclient.storage import Entry, Store, encode, open_store
from cachingclient.storage.files.layout import step_name
from tests.cli.entries import HOUR, KEPT, key


@pytest.fixture
def store(store_url: str, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A file store with five entries of different names, kinds, sizes and ages; the first has a second key."""
    store = open_store(store_url)
    now = time.time()
    for number, (name, kind, nbytes, hours, seconds) in enumerate(KEPT):
        keys = (key(number), "f" * 32) if number == 0 else (key(number),)
        # The only way to an old entry is a clock that stood earlier when it was written; everybody else's goes on.
        clock = SimpleNamespace(time=lambda then=now - hours * HOUR: then)
        monkeypatch.setattr("cachingclient.storage.entry.time", clock)
        value = np.zeros(nbytes // 8) + number
        store.write(Entry(keys, kind, name, seconds, {"user": "alice", "upstream": {"load": "ab"}}, encode(value)))
        for each in keys:  # two that are written in the same tick of the system's clock would be equally new
            written = now - (len(KEPT) - number) / 100
            os.utime(cache_folder / step_name(each), (written, written))
    monkeypatch.undo()
    return store


@pytest.fixture
def cachectl(store: Store) -> Callable[..., Result]:
    """Call ``cachectl`` with this test's store."""

    def call(*arguments: str, **kwargs: Any) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--store", store.url], **kwargs)

    return call


@pytest.fixture
def read_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """This test's store can't be written: file permissions would not stop a test that runs as root."""
    monkeypatch.setattr(type(store), "read_only", True)
