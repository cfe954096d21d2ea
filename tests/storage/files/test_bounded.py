"""Local stores on a file system that does not answer, or slowly."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.forks.patience import GivenUpError, got, in_time
from cachingclient.storage import Store, StoreUnavailable, open_store
from cachingclient.storage.files import bounded
from cachingclient.storage.limits import Limits, limits, set_by
from tests.support.entries import entry


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A limit of a fifth of a second, and a file system that answers once the event is set."""
    back, real, look = threading.Event(), os.open, os.lstat

    def opening(*args: Any, **kwargs: Any) -> int:
        if threading.current_thread().name == "cachingclient-patience":
            back.wait(60)
        return real(*args, **kwargs)

    def looking(*args: Any, **kwargs: Any) -> os.stat_result:
        if threading.current_thread().name == "cachingclient-patience":
            back.wait(60)
        return look(*args, **kwargs)

    before = limits()
    set_by(lambda: Limits(seconds=0.2))
    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "lstat", looking)
    yield back
    back.set()
    set_by(lambda: before)


@pytest.fixture
def store(cache_folder: Path) -> Store:
    """A store with nothing in it, made while all is well."""
    return open_store(cache_folder)


CALLS: dict[str, Callable[[Store], object]] = {
    "find": lambda store: store.find(["0f" * 16]),
    "write": lambda store: store.write(entry(1)),
}


@pytest.mark.parametrize("call", sorted(CALLS))
def test_a_file_system_that_hangs_is_given_up(store: Store, hung: threading.Event, call: str) -> None:
    """It costs the limit once: what is asked next is refused at once."""
    for words in (r"within 0.2 s$", "left alone"):
        with pytest.raises(StoreUnavailable, match=words):
            CALLS[call](store)


def test_it_is_asked_again_later(store: Store, hung: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, and longer each time it hangs."""
    monkeypatch.setattr(bounded, "FIRST_REST", 0.0)
    rest = store.folder.rest  # type: ignore[attr-defined]
    rest._seconds = 0.0
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"within 0\.2 s$"):
            store.find(["0f" * 16])
    hung.set()
    set_by(lambda: Limits(seconds=60))
    assert store.find(["0f" * 16]) == {}


def test_what_takes_several_calls_goes_to_one_thread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """To write an entry takes six calls, each of which would change to another thread and back."""
    asked = []

    def counting(action: Callable[[], Any], seconds: float) -> Any:
        asked.append(threading.current_thread())
        return in_time(action, seconds)

    monkeypatch.setattr(bounded, "in_time", counting)
    here = threading.current_thread()
    large = entry(np.arange(100_000))
    assert store.write(large)
    assert asked.count(here) == 1 < len(asked)
    info = store.find(large.keys)[large.keys[0]]
    assert store.read(info).sum() == 4_999_950_000
    del asked[:]
    assert store.alias(info, ["0e" * 16]) == 1
    assert asked.count(here) == 1 < len(asked)


def test_each_of_several_calls_has_its_own_time() -> None:
    """A slow disk is not given up because a whole entry takes it longer than one call may."""
    rest, never = bounded.Rest("file:///scratch/cache"), threading.Event()
    before = limits()
    set_by(lambda: Limits(seconds=4))
    try:
        calls = rest.bounded(lambda: [rest.bounded(lambda: never.wait(2.5)) for _ in range(2)])
    finally:
        set_by(lambda: before)
    assert calls == [False, False]


def test_opening_ends(cache_folder: Path, hung: threading.Event) -> None:
    """As does making the folder of a new store."""
    with pytest.raises(StoreUnavailable, match="did not answer"):
        open_store(cache_folder)


def test_what_was_given_up_ends_when_it_tells() -> None:
    """No thread goes on for nobody."""
    going, ended = threading.Event(), threading.Event()

    def long() -> None:
        going.wait(60)
        try:
            got(1)
        except GivenUpError:
            ended.set()

    with pytest.raises(TimeoutError):
        in_time(long, 0.05)
    going.set()
    assert ended.wait(60)


def test_what_tells_that_it_gets_on_has_more_time() -> None:
    """As much as what it did is good for, and no more than the most."""
    never = threading.Event()

    def steady() -> int:
        got(60)
        never.wait(2.5)
        return 42

    assert in_time(steady, 2) == 42
    with pytest.raises(TimeoutError):
        in_time(steady, 2, most=2)


def test_a_helper_asks_no_other_helper() -> None:
    """One thread for what is inside of what runs in time."""
    names = in_time(lambda: (threading.current_thread().name, in_time(lambda: threading.current_thread().name, 5)), 5)
    assert names[0] == names[1]


def test_helpers_are_used_again_and_none_in_a_child() -> None:
    """A forked child has none of the threads."""
    first = in_time(threading.get_ident, 5)
    assert in_time(threading.get_ident, 5) == first
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, b"%d" % in_time(lambda: 7, 30))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 10) == b"7"
