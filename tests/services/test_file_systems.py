"""Local stores on file systems that lack something: the contract holds on each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cachingclient.storage import open_store, prune, verify
from tests.services import file_systems
from tests.services.conftest import service_folder
from tests.storage.contract import BIG, StoreContract
from tests.support.entries import entry, new_key


@pytest.fixture(scope="module", params=[file_systems.exfat, file_systems.ssh], ids=["exfat", "sshfs"])
def mounted(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder on one of them."""
    with service_folder() as folder, request.param(folder) as place:
        yield place


@pytest.fixture
def place(mounted: Path) -> Path:
    """A folder for one test, whose name needs care in URLs."""
    return mounted / f"a b#%25é {new_key()[:6]}"


class TestOtherFileSystems(StoreContract):
    """The contract on each."""

    @pytest.fixture
    def url(self, place: Path) -> str:
        return str(place)


@pytest.mark.parametrize("shared", [False, True])
def test_looking_after_it(place: Path, shared: bool) -> None:
    """Listing, verifying and pruning see what is there."""
    store = open_store(place, shared=shared)
    kept = [entry(np.arange(BIG) + number) for number in range(3)] + [entry(1, new_key(), new_key())]
    for each in kept:
        assert store.write(each)
    store.flush()
    assert sum(len(outline.rows) for outline in store.survey()) == 4
    assert verify(store).sound
    assert store.totals()["temporary"] == (0, 0)
    assert prune(store, max_size=0).kept_entries == 0
    assert store.totals()["entries"] == store.totals()["blobs"] == (0, 0)
