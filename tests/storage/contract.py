"""What every store must do. A backend's tests subclass :class:`StoreContract` and give it a ``url``."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import EntryLost, Store, StoreError, open_store
from tests.support.entries import entry, new_key

BIG = 40_000  # numbers, so that their bytes go into a blob


class StoreContract:
    """The checks; ``url`` is a fixture of the subclass, and ``options`` may be one."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def store(self, url: str, options: dict[str, Any]) -> Iterator[Store]:
        store = open_store(url, **options)
        yield store
        store.close()

    @pytest.mark.parametrize("value", [42, "text", None, {"a": [1, (2, 3)]}, np.arange(BIG)], ids=repr)
    def test_what_is_read_is_what_was_written(self, store: Store, value: Any) -> None:
        """Small and big values come back equal and of the same type."""
        kept = entry(value)
        assert store.write(kept)
        back = store.read(store.find(kept.keys)[kept.keys[0]])
        assert type(back) is type(value)
        assert np.array_equal(back, value) if isinstance(value, np.ndarray) else back == value

    @pytest.mark.parametrize("value", ["text", np.arange(BIG)], ids=["small", "big"])
    def test_a_slim_description_is_enough_to_read(self, store: Store, value: Any) -> None:
        """It is what a client sends to its workers."""
        kept = entry(value)
        store.write(kept)
        store.flush()
        slim = pickle.loads(pickle.dumps(store.slim(store.find(kept.keys)[kept.keys[0]])))
        assert np.array_equal(store.read(slim), value)

    def test_the_description_says_what_the_writer_said(self, store: Store) -> None:
        """Name, kind, time, size, codec and details are those of the entry."""
        kept = entry(np.arange(BIG), name="select", user="ada", nested={"a": [1, 2]})
        store.write(kept)
        info = store.find(kept.keys)[kept.keys[0]]
        assert (info.key, info.kind, info.name, info.seconds) == (kept.keys[0], "result", "select", 1.5)
        assert (info.codec, info.digest, info.nbytes) == ("numpy", kept.encoded.digest, kept.encoded.nbytes)
        assert info.details["user"] == "ada"
        assert info.details["nested"] == {"a": [1, 2]}
        assert info.details["libraries"]["numpy"] == np.__version__

    def test_missing_keys_are_absent(self, store: Store) -> None:
        """Only what is there is found, and nothing at all in nothing."""
        kept = entry(1)
        store.write(kept)
        assert list(store.find([new_key(), *kept.keys, new_key()])) == list(kept.keys)
        assert store.find([]) == {}

    def test_the_first_writer_wins(self, store: Store) -> None:
        """A second write of a key says so and changes nothing."""
        key = new_key()
        assert store.write(entry("first", key))
        assert not store.write(entry("second", key))
        assert store.read(store.find([key])[key]) == "first"

    def test_many_at_once(self, store: Store) -> None:
        """Which are kept is said of each; the others can be written one by one, and all are read as they were."""
        taken, values = new_key(), [5, "text", np.arange(BIG), {"a": [1]}, None]
        assert store.write(entry("first", taken))
        many = [*map(entry, values), entry("second", taken)]
        kept = store.write_together(many)
        assert len(kept) == len(many)
        assert not kept[-1]
        assert [store.write(each) for each, there in zip(many, kept, strict=True) if not there][-1] is False
        store.flush()
        found = store.find(each.keys[0] for each in many)
        back = [store.read(found[each.keys[0]]) for each in many]
        assert np.array_equal(back.pop(2), values.pop(2))
        assert back == [*values, "first"]

    def test_many_aliases_at_once(self, store: Store) -> None:
        """Which are filed is said of each; the others can be filed one by one."""
        kept = [entry(number) for number in range(3)]
        for each in kept:
            store.write(each)
        infos = store.find([each.keys[0] for each in kept])
        pairs = [(infos[each.keys[0]], new_key()) for each in kept]
        filed = store.alias_together(pairs)
        for (info, key), there in zip(pairs, filed, strict=True):
            assert there or store.alias(info, [key]) == 1
        found = store.find([key for _, key in pairs])
        assert [store.read(found[key]) for _, key in pairs] == [0, 1, 2]

    def test_overwriting_replaces(self, store: Store) -> None:
        """With ``overwrite`` the last writer wins."""
        key = new_key()
        store.write(entry(np.arange(BIG), key))
        assert store.write(entry(np.ones(BIG), key), overwrite=True)
        assert store.read(store.find([key])[key])[0] == 1.0

    def test_one_result_under_two_keys(self, store: Store) -> None:
        """A step key and a content key lead to the same result, which is listed once."""
        step, content = new_key(), new_key()
        store.write(entry(np.arange(BIG), step, content))
        found = store.find([step, content])
        assert found[step].digest == found[content].digest
        assert found[content].key == content
        assert [info.key for info in store.scan() if info.key in (step, content)] == [step]

    def test_an_alias_leads_to_the_same_result(self, store: Store) -> None:
        """A result is filed under another key without being read."""
        kept, other = entry(np.arange(BIG)), new_key()
        store.write(kept)
        info = store.find(kept.keys)[kept.keys[0]]
        assert store.alias(info, [other]) == 1
        assert store.alias(info, [other]) == 0
        assert store.read(store.find([other])[other])[5] == 5

    def test_an_alias_may_take_a_place_and_no_other(self, store: Store) -> None:
        """The result that was there stays under its other key, and so does the new one."""
        old, new = (entry(np.full(BIG, number), new_key(), new_key()) for number in (1, 2))
        for each in (old, new):
            store.write(each)
        assert store.alias(store.find(new.keys)[new.keys[0]], [old.keys[1]], overwrite=True) == 1
        found = store.find([*old.keys, *new.keys])
        assert [int(store.read(found[key])[0]) for key in (*old.keys, *new.keys)] == [1, 2, 2, 2]

    def test_loaded_arrays_are_writable_and_change_no_entry(self, store: Store) -> None:
        """What a step does to a loaded array is seen by nobody else."""
        kept = entry(np.zeros(500_000))
        store.write(kept)
        info = store.find(kept.keys)[kept.keys[0]]
        loaded = store.read(info)
        loaded += 1
        assert loaded.sum() == 500_000
        assert store.read(info).sum() == 0

    def test_a_value_that_changed_meanwhile_is_not_kept(self, store: Store) -> None:
        """If a later step changed the array before it was written, nothing is filed."""
        for size in (100, BIG):
            array = np.zeros(size)
            kept = entry(array)
            array[size // 2] = 1
            with pytest.raises(StoreError, match="changed by a later step"):
                store.write(kept)
            assert store.find(kept.keys) == {}

    def test_deleting_frees_entries_and_their_blobs(self, store: Store) -> None:
        """A deleted entry is gone under all its keys, and its bytes are counted."""
        kept = entry(np.arange(BIG, dtype="f4"), new_key(), new_key())
        store.write(kept)
        assert store.delete(kept.keys[:1]) >= kept.encoded.nbytes
        assert store.find(kept.keys) == {}
        assert store.delete(kept.keys) == 0

    def test_a_blob_stays_while_another_entry_needs_it(self, store: Store) -> None:
        """Equal results share a blob; deleting one entry leaves the other whole."""
        one, other = entry(np.full(BIG, 7)), entry(np.full(BIG, 7))
        store.write(one)
        store.write(other)
        store.delete(one.keys)
        assert store.read(store.find(other.keys)[other.keys[0]])[0] == 7
        assert store.delete(other.keys) >= other.encoded.nbytes

    def test_an_entry_deleted_after_it_was_found_is_lost(self, store: Store) -> None:
        """Reading it says so, with its key."""
        kept = entry(np.arange(BIG) + 0.5)
        store.write(kept)
        info = store.find(kept.keys)[kept.keys[0]]
        store.delete(kept.keys)
        with pytest.raises(EntryLost, match=info.key):
            store.read(info)

    def test_scan_lists_everything_once(self, store: Store) -> None:
        """Small and big entries are listed, deleted ones are not."""
        kept = [entry(i) for i in range(5)] + [entry(np.full(BIG, i)) for i in range(3)]
        for each in kept:
            store.write(each)
        store.delete(kept.pop().keys)
        assert sorted(info.key for info in store.scan()) == sorted(each.keys[0] for each in kept)

    def test_recent_lists_a_few(self, store: Store) -> None:
        """No more than asked, and each once."""
        kept = [entry(i, new_key(), new_key()) for i in range(4)]
        for each in kept:
            store.write(each)
        assert {info.key for info in store.recent(10)} == {each.keys[0] for each in kept}
        assert len({info.key for info in store.recent(3)}) == 3

    def test_touching_is_allowed_for_any_key(self, store: Store) -> None:
        """Recording the use of entries, even of missing ones, leaves them as they are."""
        kept = entry("value")
        store.write(kept)
        store.touch([*kept.keys, new_key()])
        assert store.read(store.find(kept.keys)[kept.keys[0]]) == "value"

    def test_the_last_use_is_known_after_closing(self, store: Store) -> None:
        """What was touched counts as used later than what was not."""
        kept, other = entry("value"), entry("other")
        store.write(kept)
        store.write(other)
        before = {info.key: info.last_used for info in store.scan()}
        store.touch(kept.keys)
        store.close()
        after = {info.key: info.last_used for info in store.scan()}
        assert after[kept.keys[0]] >= before[kept.keys[0]]
        assert after[other.keys[0]] == before[other.keys[0]]

    def test_a_pickled_store_is_the_same_store(self, store: Store) -> None:
        """What one process writes, the process that it was sent to finds."""
        kept = entry([1, 2])
        store.write(kept)
        assert pickle.loads(pickle.dumps(store)).find(kept.keys).keys() == set(kept.keys)

    def test_threads_that_race_for_a_key_agree(self, store: Store) -> None:
        """Of many writers of one key exactly one is told that it won, and its result is what is read."""
        key = new_key()
        entries = [entry(np.full(BIG, n), key) for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(store.write, entries))
        assert sum(won) == 1
        assert store.read(store.find([key])[key])[0] == won.index(True)
