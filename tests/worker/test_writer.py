"""The background writer: order, back pressure, faults, and flushing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import Entry, EntryInfo, Store, StoreError, encode, open_store
from cachingclient.storage.files.layout import step_name
from cachingclient.warn_once import CacheWarning
from cachingclient.worker.writer import MOST_THREADS, Job, Writer

ROOM = 10**9


class Slow:
    """A store whose writes wait to be let through; only what the writer uses."""

    url = "slow://"
    latency = 0.0
    gathers = False
    packs = False
    read_only = False

    def __init__(self, error: Exception | None = None) -> None:
        self.gate = threading.Event()
        self.started = threading.Semaphore(0)
        self.written: list[str] = []
        self.threads: set[str] = set()
        self.error = error
        self.flushed = False

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        self.started.release()
        assert self.gate.wait(300)
        if self.error is not None:
            raise self.error
        self.threads.add(threading.current_thread().name)
        self.written.append(entry.name)
        return True

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        return {}

    def flush(self) -> None:
        self.flushed = True


def refuse() -> None:
    raise StoreError("away")


def key_of(name: str) -> str:
    return f"{abs(hash(name)):032x}"


def job(store: Any, name: str, value: Any = 0, done: Callable[[str, str], None] | None = None) -> Job:
    entry = Entry((key_of(name),), "result", name, 0.0, {}, encode(value))
    return Job(store, entry, False, done if done is not None else lambda fact, note: None)


def test_writes_behind_and_in_order() -> None:
    """Submitting returns at once; what was submitted is written in that order, on one thread."""
    store, writer = Slow(), Writer(ROOM)
    for name in "abc":
        writer.submit(job(store, name))
    assert store.written == []
    assert writer.flush(timeout=0.0) is False
    store.gate.set()
    assert writer.flush(timeout=300) is True
    assert store.written == ["a", "b", "c"]
    assert store.threads == {"cachingclient-writer"}
    assert store.flushed


def test_writes_in_the_callers_thread_when_full() -> None:
    """Beyond its bound the writer makes the thread that brings a result write it."""
    store, writer = Slow(), Writer(most_pending_bytes=1000)
    writer.submit(job(store, "waits", np.zeros(100, "u1")))
    assert store.started.acquire(timeout=300)
    store.gate.set()
    writer.submit(job(store, "large", np.zeros(100_000, "u1")))
    assert "large" in store.written
    assert threading.current_thread().name in store.threads
    assert writer.flush(timeout=300)


def test_room_is_given_back() -> None:
    """What is written no longer counts as pending."""
    store, writer = Slow(), Writer(most_pending_bytes=5_000)
    store.gate.set()
    for _ in range(10):
        writer.submit(job(store, "one", np.zeros(4_000, "u1")))
        assert writer.flush(timeout=300)
    assert store.threads == {"cachingclient-writer"}


@pytest.mark.parametrize("error", [StoreError("disk full"), OSError("gone"), RuntimeError("a bug")])
def test_faults_are_told_and_end_nothing(error: Exception) -> None:
    """A write that fails tells why, and the next one is written."""
    told: list[tuple[str, str]] = []
    broken, sound, writer = Slow(error), Slow(), Writer(ROOM)
    broken.gate.set()
    sound.gate.set()
    writer.submit(job(broken, "lost", done=lambda fact, note: told.append((fact, note))))
    writer.submit(job(sound, "kept", done=lambda fact, note: told.append((fact, note))))
    assert writer.flush(timeout=300)
    assert told == [("", f"not kept: {error}"), (key_of("kept"), "")]


def test_value_that_changes_before_it_is_written(store_url: str) -> None:
    """A result that a later step changes in place meanwhile is not kept in its changed form."""
    store: Store = open_store(store_url)
    told: list[tuple[str, str]] = []
    values = np.zeros(200_000)
    late = job(store, "values", values, done=lambda fact, note: told.append((fact, note)))
    values += 1
    writer = Writer(ROOM)
    writer.submit(late)
    assert writer.flush(timeout=300)
    ((fact, note),) = told
    assert fact == ""
    assert "changed by a later step" in note
    assert [info.name for info in store.scan()] == []


def test_what_a_store_gathers_is_told_of_when_it_was_sent_on() -> None:
    """Until then it could be lost with the process, so it is not kept yet; if sending fails, it is not kept at all."""
    told: list[tuple[str, str]] = []
    store, writer = Slow(), Writer(ROOM)
    store.gathers = True
    store.gate.set()
    for flush_fails in (False, True):
        writer.submit(job(store, "gathered", done=lambda fact, note: told.append((fact, note))))
        assert store.started.acquire(timeout=300)
        if flush_fails:
            store.flush = refuse  # type: ignore[method-assign]
            with pytest.warns(CacheWarning, match="away"):
                writer.flush(timeout=300)
        else:
            assert told == []
            writer.flush(timeout=300)
    assert told == [(key_of("gathered"), ""), ("", "not kept: away")]


def test_slow_stores_are_written_to_by_several_threads() -> None:
    """While the first write waits for an answer, others are sent; never by more than a few threads."""
    store, writer = Slow(), Writer(ROOM)
    store.latency = 0.01
    for number in range(3 * MOST_THREADS):
        writer.submit(job(store, str(number)))
    for _ in range(MOST_THREADS):
        assert store.started.acquire(timeout=300)
    assert not store.started.acquire(blocking=False)
    store.gate.set()
    assert writer.flush(timeout=300)
    assert sorted(map(int, store.written)) == list(range(3 * MOST_THREADS))


def test_small_results_are_written_together(cache_folder: Path) -> None:
    """Those that came in within a moment are one file, and each is told to be kept; a large one has its own."""
    store, writer = open_store(cache_folder), Writer(ROOM)
    told: list[tuple[str, str]] = []
    names = [f"step-{number}" for number in range(300)]
    with writer._changed:  # nothing is written meanwhile
        for name in names:
            writer.submit(job(store, name, done=lambda fact, note: told.append((fact, note))))
        writer.submit(job(store, "large", np.arange(100_000), done=lambda fact, note: told.append((fact, note))))
    assert writer.flush(timeout=300)
    assert sorted(told) == sorted((key_of(name), "") for name in [*names, "large"])
    files = {(cache_folder / step_name(key_of(name))).stat().st_ino for name in names}
    assert len(files) < 10
    assert len(store.find(map(key_of, [*names, "large"]))) == 301


def test_of_those_written_together_each_tells_its_own(cache_folder: Path) -> None:
    """One that another process was first with is kept there, one that changed is not, and no other is lost."""
    store, writer = open_store(cache_folder), Writer(ROOM)
    store.write(job(store, "taken", 1).entry)
    told: dict[str, tuple[str, str]] = {}
    array = np.zeros(10)
    with writer._changed:
        for name, value in (("one", 1), ("taken", 1), ("changed", array), ("two", 2)):
            writer.submit(job(store, name, value, done=lambda *what, name=name: told.update({name: what})))  # type: ignore[misc]
        array += 1
    assert writer.flush(timeout=300)
    assert told.pop("changed")[0] == ""
    assert told == {name: (key_of(name), "") for name in ("one", "taken", "two")}


def test_who_looks_for_a_result_that_waits_has_it_written(cache_folder: Path) -> None:
    """A step that is equal to one that just ran in this process finds its result in the store."""
    store, writer = open_store(cache_folder), Writer(ROOM)
    for name in map(str, range(20)):
        writer.submit(job(store, name))
        writer.wait_for(key_of(name))
        assert list(store.find([key_of(name)])) == [key_of(name)]
    writer.wait_for(key_of("another"))


def test_the_result_of_a_longer_step_does_not_wait(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may be about to look for it, and those that wait are written with it."""
    monkeypatch.setattr("cachingclient.worker.writer.LINGER", 1e6)
    store, writer, written = open_store(cache_folder), Writer(ROOM), threading.Semaphore(0)
    quick, longer = (job(store, name, done=lambda fact, note: written.release()) for name in ("quick", "longer"))
    writer.submit(quick)
    assert not written.acquire(blocking=False)
    writer.submit(replace(longer, entry=replace(longer.entry, seconds=1.0)))
    assert written.acquire(timeout=300)
    assert written.acquire(timeout=300)


def test_a_fault_in_writing_together_loses_nothing(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is then written by itself."""
    store, writer = open_store(cache_folder), Writer(ROOM)
    monkeypatch.setattr(store, "write_together", lambda entries: 1 / 0)
    told: list[tuple[str, str]] = []
    for name in ("one", "two", "three"):
        writer.submit(job(store, name, done=lambda fact, note: told.append((fact, note))))
    assert writer.flush(timeout=300)
    assert sorted(told) == sorted((key_of(name), "") for name in ("one", "two", "three"))


def test_of_those_written_together_one_that_nobody_hears_of_takes_no_other_along(cache_folder: Path) -> None:
    """What is called for one may fail: the others are told to be kept, and the writer writes on."""
    store, writer = open_store(cache_folder), Writer(ROOM)
    told: list[str] = []

    def hear(fact: str, note: str) -> None:
        if fact == key_of("two"):
            raise RuntimeError("nobody hears")
        told.append(fact)

    def write() -> bool:
        for name in ("one", "two", "three"):
            writer.submit(job(store, name, done=hear))
        return writer.flush(timeout=300)

    with pytest.warns(CacheWarning, match="nobody hears"):
        assert write()
    assert sorted(told) == sorted(map(key_of, ("one", "three")))


def test_flush_of_nothing() -> None:
    """Flushing a writer that never wrote returns at once."""
    assert Writer(ROOM).flush(timeout=0.0) is True
