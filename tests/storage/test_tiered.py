"""A near store before a far one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import Store, open_store
from tests.storage.contract import BIG, StoreContract
from tests.storage.entries import entry


@pytest.fixture
def near_folder(tmp_path: Path) -> Path:
    return tmp_path / "near"


class TestTieredStore(StoreContract):
    """Two stores together keep the contract of one."""

    @pytest.fixture
    def url(self, store_url: str) -> str:
        return store_url

    @pytest.fixture
    def options(self, near_folder: Path) -> dict[str, Any]:
        return {"near": str(near_folder)}


@pytest.fixture
def tiered(store_url: str, near_folder: Path) -> Store:
    return open_store(store_url, near=str(near_folder))


def test_what_is_read_from_far_is_kept_near(tiered: Store, store_url: str, near_folder: Path) -> None:
    """The second read needs the far store no more."""
    kept = entry(np.arange(BIG))
    open_store(store_url).write(kept)
    tiered.read(tiered.find(kept.keys)[kept.keys[0]])
    near = open_store(near_folder)
    assert near.read(near.find(kept.keys)[kept.keys[0]])[5] == 5


def test_a_near_store_that_was_emptied_is_only_slower(tiered: Store, near_folder: Path) -> None:
    """Even between finding and reading."""
    kept = entry(np.arange(BIG))
    tiered.write(kept)
    info = tiered.find(kept.keys)[kept.keys[0]]
    shutil.rmtree(near_folder)
    assert tiered.read(info)[5] == 5


def test_writes_behind_are_there_after_closing(store_url: str, near_folder: Path) -> None:
    """``close`` waits for the far store."""
    tiered = open_store(store_url, near=str(near_folder), behind=True)
    kept = [entry(n) for n in range(5)]
    for each in kept:
        assert tiered.write(each)
    tiered.close()
    assert len(open_store(store_url).find([each.keys[0] for each in kept])) == 5
