"""Filing a result: in the first slot that is free, beside entries that depend on something else."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.plan.variants import OBSERVED, slot, trace_of
from cachingclient.storage import Entry, EntryInfo, Store, encode, open_store
from cachingclient.worker.filing import file_result

KEY = "0f" * 16


def trace(digest: str) -> Trace:
    """That of a step which read a file with these contents."""
    return Trace(read={"/corrections.json": Fingerprint("/corrections.json", "file", 1, checksum=digest)})


def entry(value: int, of: Trace) -> Entry:
    return Entry((KEY,), "result", "select", 0.0, {OBSERVED: of.as_json()}, encode(value))


class Counting:
    """A store that counts look-ups; `gathers` as one that can't tell at once what another has filed."""

    def __init__(self, store: Store, gathers: bool) -> None:
        self.store, self.gathers = store, gathers
        self.asked = 0

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        self.asked += 1
        return self.store.find(keys)

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        return self.store.write(entry, overwrite=overwrite)


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url)


@pytest.mark.parametrize(("gathers", "asked"), [(False, 0), (True, 1)])
def test_a_new_key_is_not_looked_up(store: Store, gathers: bool, asked: int) -> None:
    """Writing tells that nothing was there, but for stores that gather."""
    counting = Counting(store, gathers)
    assert file_result(counting, entry(1, trace("a")), trace("a")) == KEY  # type: ignore[arg-type]
    assert counting.asked == asked


@pytest.mark.parametrize("gathers", [False, True])
def test_results_of_other_surroundings_live_beside_each_other(store: Store, gathers: bool) -> None:
    """Each has a slot and its own value; one that is there already is not written again."""
    counting = Counting(store, gathers)
    for number, digest in enumerate("abc"):
        name = file_result(counting, entry(number, trace(digest)), trace(digest))  # type: ignore[arg-type]
        assert name == slot(KEY, number)
    assert file_result(counting, entry(9, trace("b")), trace("b")) == slot(KEY, 1)  # type: ignore[arg-type]
    found = store.find([slot(KEY, number) for number in range(4)])
    assert {name: (store.read(info), trace_of(info)) for name, info in found.items()} == {
        slot(KEY, number): (number, trace(digest)) for number, digest in enumerate("abc")
    }


def test_a_result_that_replaces_another_takes_its_slot(store: Store) -> None:
    """What is to be overwritten is the entry with the same trace, and no other."""
    for digest in "ab":
        file_result(store, entry(1, trace(digest)), trace(digest))
    assert file_result(store, entry(2, trace("b")), trace("b"), overwrite=True) == slot(KEY, 1)
    found = store.find([KEY, slot(KEY, 1)])
    assert [store.read(found[name]) for name in (KEY, slot(KEY, 1))] == [1, 2]
