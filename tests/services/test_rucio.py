"""Stores in a real Rucio, as an ordinary account."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import EntryLost, Store, StoreError, StoreUnavailable, open_store
from cachingclient.storage.rucio.store import RucioStore
from tests.services.rucio import RSE, Rucio
from tests.storage.contract import BIG, StoreContract
from tests.support.entries import entry, new_key


@pytest.fixture
def url(rucio_service: Rucio) -> str:
    return rucio_service.url(f"cache-{new_key()[:8]}")


@pytest.fixture
def store(url: str, tmp_path: Path) -> Store:
    return open_store(url, local=str(tmp_path / "one"))


@pytest.fixture
def elsewhere(url: str, tmp_path: Path) -> Store:
    """The same store on a host that knows nothing of it yet."""
    return open_store(url, local=str(tmp_path / "other"))


class TestRucioStore(StoreContract):
    """The contract on Rucio."""

    @pytest.fixture
    def url(self, url: str) -> str:
        return url

    @pytest.fixture
    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"local": str(tmp_path / "local")}

    def test_an_entry_deleted_after_it_was_found_is_lost(self, store: Store) -> None:
        """Not here: ordinary accounts can't delete in Rucio, so its bytes stay, and stay right."""
        kept = entry(np.arange(BIG) + 0.5)
        store.write(kept)
        info = store.find(kept.keys)[kept.keys[0]]
        store.delete(kept.keys)
        assert store.find(kept.keys) == {}
        assert store.read(info)[0] == 0.5


def test_what_is_flushed_is_found_elsewhere(store: Store, elsewhere: Store) -> None:
    """Small and big results, read on another host through Rucio."""
    kept = [entry(1), entry(np.arange(BIG)), entry("x" * 2000)]
    for each in kept:
        store.write(each)
    store.flush()
    found = elsewhere.find([each.keys[0] for each in kept])
    assert [elsewhere.read(found[kept[n].keys[0]]) for n in (0, 2)] == [1, "x" * 2000]
    assert elsewhere.read(found[kept[1].keys[0]])[7] == 7


def test_an_expression_takes_an_rse_that_can_be_written_to(rucio_service: Rucio, tmp_path: Path) -> None:
    """By an attribute, where the first of them is closed; and by a set of them, where the first by name is open."""
    places = ("rse-FAST_SCRATCHDISK", "rse")

    def files(place: str) -> int:
        return sum(path.is_file() for path in (rucio_service.folder / place).rglob("*"))

    for expression, taken in (("quality=fast", "FAST_SCRATCHDISK"), ("quality=fast|quality=bulk", RSE)):
        url = f"rucio://user.alice/cache-{new_key()[:8]}?rse={expression}&lifetime=1d"
        kept, before = entry(np.arange(BIG) + len(taken)), {place: files(place) for place in places}
        store = open_store(url, local=str(tmp_path / taken))
        store.write(kept)
        store.flush()
        elsewhere = open_store(f"{url}&read_rse={expression}", local=str(tmp_path / f"{taken}-elsewhere"))
        assert elsewhere.read(elsewhere.find(kept.keys)[kept.keys[0]])[7] == 7 + len(taken)
        place = places[1] if taken == RSE else places[0]
        assert files(place) > before[place]
        away = open_store(f"{url}&read_rse=BUSY_SCRATCHDISK", local=str(tmp_path / f"{taken}-away"))
        assert away.find(kept.keys) == {}
    for expression, says in (
        ("quality=none", "Rucio knows no RSE 'quality=none'"),
        ("quality=fast\\FAST_SCRATCHDISK", "can be written to now: BUSY_SCRATCHDISK"),
    ):
        with pytest.raises(StoreUnavailable, match=says):
            open_store(f"rucio://user.alice/cache?rse={expression}", local=str(tmp_path / "none"))


def test_what_was_found_before_a_flush_is_readable_after(store: Store) -> None:
    """The pack's name changes, the entry does not."""
    kept = entry(np.arange(BIG))
    store.write(kept)
    info = store.find(kept.keys)[kept.keys[0]]
    store.flush()
    assert store.read(info)[7] == 7


def test_what_was_found_before_a_flush_is_filed_under_another_key_after(store: Store, elsewhere: Store) -> None:
    """The other key leads to the pack that was sent, for everybody."""
    kept, *others = entry(np.arange(BIG)), new_key(), new_key()
    store.write(kept)
    found = store.find(kept.keys)[kept.keys[0]]
    store.flush()
    store.alias(found, others[:1])
    store.alias(store.find(kept.keys)[kept.keys[0]], others[1:])
    store.flush()
    for key, info in elsewhere.find(others).items():
        assert elsewhere.read(info)[5] == 5, key
    assert elsewhere.find(others).keys() == set(others)


def test_what_was_found_near_is_filed_under_another_key(url: str, elsewhere: Store, tmp_path: Path) -> None:
    """Others find it in the pack, of which the near store knows nothing."""
    tiered = open_store(url, local=str(tmp_path / "here"), near=str(tmp_path / "near"))
    kept, other = entry(np.arange(BIG)), new_key()
    tiered.write(kept)
    tiered.flush()
    tiered.alias(tiered.find(kept.keys)[kept.keys[0]], [other])
    tiered.flush()
    assert elsewhere.read(elsewhere.find([other])[other])[5] == 5


def test_a_deleted_entry_is_deleted_elsewhere(store: Store, elsewhere: Store) -> None:
    """Also when it was in an earlier pack."""
    kept, other = entry(np.arange(BIG)), entry(2)
    store.write(kept)
    store.write(other)
    store.flush()
    store.delete(kept.keys)
    store.flush()
    assert elsewhere.find([*kept.keys, *other.keys]).keys() == set(other.keys)


def test_a_pack_that_is_gone_is_an_entry_lost(store: Store, elsewhere: Store, rucio_service: Rucio) -> None:
    """A replica that vanished costs a run, not an error of Rucio's."""
    kept = entry(np.arange(BIG) * 3)
    store.write(kept)
    store.flush()
    info = elsewhere.find(kept.keys)[kept.keys[0]]
    for path in (rucio_service.folder / "rse").rglob(info.details["place"][0]):
        path.unlink()
    with pytest.raises(EntryLost, match="can't be had"):
        elsewhere.read(info)


def test_a_damaged_copy_on_the_local_disk_is_fetched_again(store: Store, elsewhere: Store, tmp_path: Path) -> None:
    """Both of a pack and of an index: Rucio's own are sound."""
    kept = entry(np.arange(BIG) * 3)
    store.write(kept)
    store.flush()
    elsewhere.read(elsewhere.find(kept.keys)[kept.keys[0]])
    for path in (tmp_path / "other").glob("cachingclient.*"):
        path.write_bytes(path.read_bytes()[::-1])
    again = RucioStore(elsewhere.url, local=str(tmp_path / "other"))
    assert again.find(kept.keys) == {}
    again._refreshed = float("-inf")  # as if ten seconds had passed
    assert again.read(again.find(kept.keys)[kept.keys[0]])[1] == 3


def test_an_index_that_could_not_be_had_is_asked_for_again(
    store: Store, elsewhere: Store, rucio_service: Rucio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site's storage that is away for a while costs runs meanwhile, and none after."""
    assert isinstance(elsewhere, RucioStore)
    kept = entry(1)
    store.write(kept)
    store.flush()
    away = rucio_service.folder / "away"
    (rucio_service.folder / "rse").rename(away)
    assert elsewhere.find(kept.keys) == {}
    away.rename(rucio_service.folder / "rse")
    elsewhere._refreshed = float("-inf")  # as if ten seconds had passed
    assert elsewhere.find(kept.keys)


def test_what_a_host_with_a_slow_clock_deletes_stays_deleted(
    store: Store, elsewhere: Store, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its index is later than those it knows, whatever its clock says."""
    kept = entry(1)
    store.write(kept)
    store.flush()
    with monkeypatch.context() as patch:
        patch.setattr("cachingclient.storage.rucio.pack_writer.time", SimpleNamespace(time=lambda: 1e9))
        elsewhere.delete(kept.keys)
        elsewhere.flush()
    assert open_store(url, local=str(tmp_path / "third")).find(kept.keys) == {}


def test_a_pack_with_no_room_keeps_the_place_of_the_next(url: str, small_disk: Path, rucio_service: Rucio) -> None:
    """What was written of a result that did not fit is no part of the pack."""
    store = open_store(url, local=str(small_disk / "local"))
    first, large, last = entry(np.arange(20_000)), entry(np.zeros(1_000_000)), entry(np.arange(20_000) * 2)
    assert store.write(first)
    with pytest.raises(StoreError, match="No space left"):
        store.write(large)
    os.truncate(next((small_disk / "local").glob("gathering-*")), 300_000)
    assert store.write(last)
    found = store.find([*first.keys, *last.keys])
    assert [store.read(found[each.keys[0]])[3] for each in (first, last)] == [3, 6]
    store.close()  # while its disk is still there


def test_unknown_rse_and_scope_are_named(rucio_service: Rucio, tmp_path: Path) -> None:
    """Opening fails and says which."""
    local = str(tmp_path)
    with pytest.raises(StoreUnavailable, match="no RSE 'NOWHERE_SCRATCHDISK'"):
        open_store("rucio://user.alice/cache?rse=NOWHERE_SCRATCHDISK", local=local)
    with pytest.raises(StoreUnavailable, match=r"no scope 'user\.bob'"):
        open_store(f"rucio://user.bob/cache?rse={RSE}", local=local)


def test_wrong_credentials_are_refused(rucio_service: Rucio, tmp_path: Path) -> None:
    """With an error that says so (Rucio reads its configuration once a process, so in one of its own)."""
    text = rucio_service.client_cfg.read_text()
    wrong = tmp_path / "wrong.cfg"
    wrong.write_text(text.replace("= secret", "= wrong").replace("token-alice", "token-wrong"))
    program = f"from cachingclient.storage import open_store; open_store({rucio_service.url('cache')!r})"
    environment = {**os.environ, "RUCIO_CONFIG": str(wrong), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, cwd=Path.cwd()
    )
    assert "StoreUnavailable: Rucio refuses us for user.alice:cache" in done.stderr


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("rucio://user.alice/cache", "rse=NAME"),
        ("rucio://user.alice?rse=A", "scope/name"),
        ("rucio://user.alice/cache?rse=A&lifetime=long", "lifetime='long'"),
        ("rucio://user.alice/cache?rse=A&color=red", "unknown option 'color'"),
    ],
)
def test_bad_urls_are_refused(url: str, why: str) -> None:
    """Before anything is asked of Rucio."""
    with pytest.raises(ValueError, match=why):
        open_store(url)
