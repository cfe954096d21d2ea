"""Lifetimes of results in a real Rucio: by what they save, prolonged by uses, as an ordinary account."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import Entry, Store, StoreUnavailable, open_store
from cachingclient.storage.rucio.lifetimes import WEEK
from cachingclient.storage.rucio.store import RucioStore
from tests.services.rucio import RSE, Rucio
from tests.storage.contract import BIG, StoreContract
from tests.support.entries import entry, new_key

DAY = 86400
USE = """
import sys
from cachingclient.storage import open_store

url, local, *keys = sys.argv[1:]
store = open_store(url, local=local)
for info in store.find(keys).values():
    store.read(info)
store.touch(keys)
"""


class TestVaryingLifetimes(StoreContract):
    """The contract where each lifetime has a pack of its own."""

    @pytest.fixture
    def url(self, rucio_service: Rucio) -> str:
        return f"rucio://user.alice/cache-{new_key()[:8]}?rse={RSE}&lifetime=1d-64d"

    @pytest.fixture
    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"local": str(tmp_path / "local")}

    def test_an_entry_deleted_after_it_was_found_is_lost(self, store: Store) -> None:
        """Not here: its bytes stay until their lifetime ends."""


def result(number: int, days: float) -> Entry:
    """A result of some hundred kilobytes that saves so much that it is worth keeping for so many days."""
    kept = entry(np.arange(BIG) + number)
    return replace(kept, seconds=days * (kept.encoded.nbytes + 1024) / 10e6)


@contextmanager
def a_week_ago(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    clock = SimpleNamespace(time=lambda: time.time() - WEEK, monotonic=time.monotonic)
    with monkeypatch.context() as patch:
        for module in ("catalogue", "lifetimes", "pack_writer"):
            patch.setattr(f"cachingclient.storage.rucio.{module}.time", clock)
        yield


@pytest.fixture
def alice(rucio_service: Rucio) -> Any:
    from rucio.client import Client

    return Client()


def files(alice: Any, dataset: str) -> set[str]:
    """The names of a dataset's files."""
    return {each["name"] for each in alice.list_content("user.alice", dataset)}


def sent(store: Store, *entries: Entry) -> set[str]:
    """Have a store send entries; the names of the packs that they are in."""
    for each in entries:
        assert store.write(each)
    store.flush()
    found = open_store(store.url, **{**store.options, "local": f"{store.options['local']}-{new_key()}"}).find(
        [each.keys[0] for each in entries]
    )
    return {info.details["place"][0] for info in found.values()}


def test_what_is_used_lives_on_and_the_rest_ends(
    rucio_service: Rucio, alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cheap results end first, but for those that a process used; what was removed does not come back with them."""
    name = f"cache-{new_key()[:8]}"
    url = f"rucio://user.alice/{name}?rse={RSE}&lifetime=1d-64d"
    week = int(time.time()) // WEEK
    used, removed, unused, dear = result(1, days=2), result(2, days=2), result(3, days=0.1), result(4, days=500)
    with a_week_ago(monkeypatch):
        store = open_store(url, local=str(tmp_path / "writer"))
        (used_pack,), (unused_pack,), (dear_pack,) = sent(store, used, removed), sent(store, unused), sent(store, dear)
        store.delete(removed.keys)
        store.flush()
    cheap_then, dear_then = f"{name}.w{week - 1}.{DAY}s", f"{name}.w{week - 1}.{64 * DAY}s"
    assert {used_pack, unused_pack} < files(alice, cheap_then)
    assert dear_pack in files(alice, dear_then)
    (cheap_rule,), (dear_rule,) = (list(alice.list_did_rules("user.alice", each)) for each in (cheap_then, dear_then))
    assert (dear_rule["expires_at"] - cheap_rule["expires_at"]).total_seconds() == pytest.approx(63 * DAY, abs=600)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    arguments = [url, str(tmp_path / "user"), used.keys[0]]
    subprocess.run([sys.executable, "-c", USE, *arguments], check=True, env=environment, cwd=tmp_path)
    cheap_now = files(alice, f"{name}.w{week}.{DAY}s")
    assert used_pack in cheap_now
    assert [each.endswith(".pack") for each in sorted(cheap_now, key=lambda each: each[-4:])] == [False, True]
    # Half a year passes for all but what was prolonged.
    rucio_service.tidy()
    rucio_service.end("user.alice", cheap_then, f"{name}.w{week}.{64 * DAY}s")
    rucio_service.tidy()
    later = open_store(url, local=str(tmp_path / "later"))
    found = later.find([each.keys[0] for each in (used, removed, unused, dear)])
    assert found.keys() == {used.keys[0], dear.keys[0]}
    assert later.read(found[used.keys[0]])[0] == 1
    there = {path.name for path in (rucio_service.folder / "rse").rglob("*.pack")}
    assert {used_pack, dear_pack} <= there
    assert unused_pack not in there


def rules(alice: Any, dataset: str) -> set[str]:
    """Where the rules of a dataset want it."""
    return {rule["rse_expression"] for rule in alice.list_did_rules("user.alice", dataset)}


def states(alice: Any, pack: str) -> set[str]:
    """The fast RSEs that have a pack, or that Rucio is to copy it to."""
    did = [{"scope": "user.alice", "name": pack}]
    return {
        rse
        for each in alice.list_replicas(did, rse_expression="quality=fast", all_states=True)
        for rse in each["states"]
    }


@pytest.mark.matrix
def test_what_is_used_goes_to_the_fast_rse(
    rucio_service: Rucio, alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rucio is to copy what is loaded in a later week than it was kept in, and nothing else, for a week more."""
    name = f"cache-{new_key()[:8]}"
    url = f"rucio://user.alice/{name}?rse={RSE}&lifetime=1d-64d&fast=quality=fast"
    week = int(time.time()) // WEEK
    used, unused = result(1, days=2), result(2, days=2)
    with a_week_ago(monkeypatch):
        store = open_store(url, local=str(tmp_path / "writer"))
        (used_pack,), (unused_pack,) = sent(store, used), sent(store, unused)
    user = open_store(url, local=str(tmp_path / "user"))
    assert user.read(user.find(used.keys)[used.keys[0]])[0] == 1
    user.touch(used.keys)
    user.flush()
    assert files(alice, f"{name}.w{week}.used") == {used_pack}
    (rule,) = alice.list_did_rules("user.alice", f"{name}.w{week}.used")
    assert rule["rse_expression"] == "quality=fast"
    assert rule["expires_at"].timestamp() == pytest.approx((week + 2) * WEEK, abs=600)
    rucio_service.tidy()
    assert states(alice, used_pack) == {"FAST_SCRATCHDISK"}
    assert states(alice, unused_pack) == set()
    assert open_store(url, local=str(tmp_path / "later")).find(used.keys).keys() == set(used.keys)


def test_rules_for_several_rses(rucio_service: Rucio, alice: Any, tmp_path: Path) -> None:
    """Rucio is to copy all that is kept to each that is named; one that there is not is told when the store opens."""
    name = f"cache-{new_key()[:8]}"
    url = f"rucio://user.alice/{name}?rse={RSE}&lifetime=1d&copies=FAST_SCRATCHDISK,quality=fast"
    assert sent(open_store(url, local=str(tmp_path / "one")), result(1, days=2))
    dataset = f"{name}.w{int(time.time()) // WEEK}"
    assert rules(alice, dataset) == {RSE, "FAST_SCRATCHDISK", "quality=fast"}
    for option in ("copies=FAST_SCRATCHDISK,NOWHERE", "lifetime=1d-64d&fast=NOWHERE"):
        with pytest.raises(StoreUnavailable, match="Rucio knows no RSE 'NOWHERE'"):
            open_store(f"rucio://user.alice/{name}?rse={RSE}&{option}", local=str(tmp_path / "none"))
    with pytest.raises(ValueError, match="fast takes two lifetimes too"):
        open_store(f"rucio://user.alice/{name}?rse={RSE}&fast=quality=fast")


def test_what_was_made_this_week_asks_nothing_of_rucio(
    rucio_service: Rucio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A use of it prolongs nothing, and neither does one in a store whose results all live equally long."""
    name = f"cache-{new_key()[:8]}"
    asked: list[Any] = []
    monkeypatch.setattr(
        "cachingclient.storage.rucio.catalogue.Catalogue.prolong", lambda self, *arguments: asked.append(arguments)
    )
    kept = result(1, days=2)
    varying, equal = (f"rucio://user.alice/{name}?rse={RSE}&lifetime={lifetime}" for lifetime in ("1d-64d", "1d"))
    with a_week_ago(monkeypatch):
        sent(open_store(equal, local=str(tmp_path / "old")), kept)
    sent(open_store(varying, local=str(tmp_path / "new")), fresh := result(2, days=2))
    for url, keys, expected in ((equal, kept.keys, 0), (varying, fresh.keys, 0), (varying, kept.keys, 1)):
        store = open_store(url, local=str(tmp_path / "user"))
        store.touch([key for key in keys if key in store.find(keys)])
        store.flush()
        store.touch(keys)
        store.flush()
        assert len(asked) == expected
    ((names, lifetime, overrules),) = asked
    assert (len(names), lifetime, overrules) == (2, DAY, False)


def test_what_is_written_after_its_removal_is_found(rucio_service: Rucio, tmp_path: Path) -> None:
    """Also in one flush, where it goes with the removal, not with what lives as long as it; and under other keys."""
    url = f"rucio://user.alice/cache-{new_key()[:8]}?rse={RSE}&lifetime=1d-64d"
    store = open_store(url, local=str(tmp_path / "one"))
    first, again, other, third = result(1, days=2), result(2, days=2), result(3, days=2), new_key()
    again = replace(again, keys=first.keys)
    store.write(first)
    store.delete(first.keys)
    store.write(again)
    store.write(other)
    store.write(replace(result(9, days=100), keys=(third,)))
    store.delete([third])
    store.alias(store.find(other.keys)[other.keys[0]], [third])
    store.flush()
    elsewhere = open_store(url, local=str(tmp_path / "two"))
    found = elsewhere.find([*first.keys, *other.keys, third])
    assert [int(elsewhere.read(found[key])[0]) for key in (*first.keys, *other.keys, third)] == [2, 3, 3]
    replacing = replace(result(5, days=2), keys=other.keys)
    assert store.write(replacing, overwrite=True)
    assert store.read(store.find(other.keys)[other.keys[0]])[0] == 5
    store.flush()
    elsewhere.refresh()
    assert elsewhere.read(elsewhere.find(other.keys)[other.keys[0]])[0] == 5


def test_what_can_not_be_prolonged_costs_a_warning(
    rucio_service: Rucio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One, and no result; of a file that is gone there is nothing to tell."""
    url = f"rucio://user.alice/cache-{new_key()[:8]}?rse={RSE}&lifetime=1d-64d"
    kept = result(1, days=2)
    with a_week_ago(monkeypatch):
        sent(open_store(url, local=str(tmp_path / "writer")), kept)
    store = open_store(url, local=str(tmp_path / "user"))
    assert isinstance(store, RucioStore)
    store._catalogue.prolong({f"cachingclient.0000000000001.{new_key()}.pack"}, DAY)

    def refuse(*arguments: Any) -> None:
        raise StoreUnavailable("Rucio refuses us")

    with monkeypatch.context() as patch:
        patch.setattr(store._catalogue, "prolong", refuse)
        for _ in range(2):
            assert store.read(store.find(kept.keys)[kept.keys[0]])[0] == 1
            store.touch(kept.keys)
            store.flush()
    assert [each.message for each in caplog.records] == ["what is used is not prolonged: Rucio refuses us"]


@pytest.mark.parametrize("lifetime", ["7d-", "180d-7d", "0d-7d", "7d-7d", "7d-30d-180d", "7-180d"])
def test_bad_lifetimes_are_refused(lifetime: str) -> None:
    """Before anything is asked of Rucio."""
    with pytest.raises(ValueError, match=f"lifetime='{lifetime}' takes"):
        open_store(f"rucio://user.alice/cache?rse=A&lifetime={lifetime}")
