"""A near store before a far one."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import Store, StoreError, open_store
from cachingclient.storage.wrappers.tiered import TieredStore
from tests.services.service import free_port
from tests.storage.contract import BIG, StoreContract, new_key
from tests.storage.keys import key_pair
from tests.support.entries import entry


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


@pytest.mark.parametrize("way", ["simplecache", "filecache", "blockcache"])
def test_the_ways_of_fsspec_to_a_near_copy_name_the_one_that_is_taken(way: str, store_url: str) -> None:
    """The error names the option ``near`` and the URL to give it with."""
    with pytest.raises(ValueError, match=f"open_store\\('{re.escape(store_url)}', near='file:///scratch/near'\\)"):
        open_store(f"{way}::{store_url}")


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


@pytest.mark.parametrize("behind", [False, True])
def test_another_key_is_filed_in_both(store_url: str, near_folder: Path, behind: bool) -> None:
    """As a step key is: the near store answers for it without the far one, and others find it in the far one."""
    tiered = open_store(store_url, near=str(near_folder), behind=behind)
    kept, other = entry(np.arange(BIG)), new_key()
    tiered.write(kept)
    found = tiered.find(kept.keys)[kept.keys[0]]
    tiered.alias(replace(found, details={**found.details, "observed": {"folder": "/x"}}), [other])
    tiered.flush()
    for store in (open_store(near_folder), open_store(store_url)):
        info = store.find([other])[other]
        assert info.details["observed"] == {"folder": "/x"}
        assert store.read(info)[5] == 5


def test_an_entry_that_was_removed_from_the_shared_store_is_still_found_near(tiered: Store, store_url: str) -> None:
    """Its key names the same result, so believing the near store is never wrong."""
    kept = entry(np.arange(BIG))
    tiered.write(kept)
    open_store(store_url).delete(kept.keys)
    assert tiered.read(tiered.find(kept.keys)[kept.keys[0]])[5] == 5


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


def test_a_near_store_that_can_not_be_opened_is_left_out(store_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """The far store alone is used, and the log says why."""
    pytest.importorskip("XRootD", reason="pip install xrootd")
    store = open_store(store_url, near=f"root://127.0.0.1:{free_port()}//near")
    assert store.write(entry(1))
    assert "the near store is left out" in caplog.text


def test_what_does_not_arrive_behind_is_told_by_flush(store_url: str, near_folder: Path) -> None:
    """A result that the far store refuses, as it changed meanwhile, is not reported as kept."""
    tiered = open_store(store_url, near=str(near_folder), behind=True)
    assert tiered.gathers
    array = np.zeros(BIG)
    changed = entry(array)
    array[0] = 1
    tiered.write(changed)
    with pytest.raises(StoreError, match="1 results are in the near store only"):
        tiered.flush()
    tiered.flush()


def test_a_signed_store_fills_a_signed_near_one(tmp_path: Path) -> None:
    """Readers without the private half keep what they read nearby, and believe it there by its own signature."""
    private, public = key_pair(tmp_path)
    far = tmp_path / "far"
    kept = entry(np.arange(BIG))
    open_store(far, trust="signed", signing_key=private).write(kept)
    reader = open_store(far, trust="signed", signing_key=public, near=str(tmp_path / "near"))
    assert isinstance(reader, TieredStore)
    reader.read(reader.find(kept.keys)[kept.keys[0]])
    assert reader.near.find(kept.keys)
    open_store(tmp_path / "near").write(entry(np.ones(BIG), kept.keys[0]), overwrite=True)
    assert reader.read(reader.find(kept.keys)[kept.keys[0]])[5] == 5
