"""Of several clients about to run the same step, one runs it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from cachingclient.storage import EntryInfo, Lease, Store, open_store
from cachingclient.storage.files.layout import LEASES
from cachingclient.storage.files.leases import BEATS, FileLease, run_or_wait
from tests.support.entries import entry, new_key
from tests.support.waiting import until


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url)


def test_a_lease_is_held_by_one(store: Store) -> None:
    """A second claim fails until the first is released."""
    key = new_key()
    first = store.lease(key, 30)
    assert first is not None
    assert store.lease(key, 30) is None
    first.release()
    second = store.lease(key, 30)
    assert second is not None
    second.release()


def test_the_second_gets_what_the_first_kept(store: Store) -> None:
    """It waits while the first runs, and runs nothing."""
    key = new_key()
    lease = run_or_wait(store, key, patience=60)
    assert isinstance(lease, FileLease)
    outcome: list[EntryInfo | Lease] = []
    waited = threading.Event()

    def pause(_: float) -> None:
        waited.set()

    second = threading.Thread(target=lambda: outcome.append(run_or_wait(store, key, patience=60, pause=pause)))
    second.start()
    waited.wait()
    store.write(entry("result", key))
    lease.release()
    second.join()
    assert isinstance(outcome[0], EntryInfo)
    assert store.read(outcome[0]) == "result"


def test_patience_ends(store: Store) -> None:
    """A first that takes too long is not waited for for ever: the second runs too."""
    key = new_key()
    first = run_or_wait(store, key, patience=60)
    second = run_or_wait(store, key, patience=0)
    assert type(second) is Lease
    first.release()


def test_the_lease_of_a_dead_holder_is_taken_over(store: Store) -> None:
    """A process that was killed while it ran the step renews nothing; the next one runs it."""
    key = new_key()
    program = f"""
        import os
        from cachingclient.storage import open_store
        assert open_store({store.url!r}).lease({key!r}, 0.2) is not None
        os.kill(os.getpid(), 9)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False, cwd=Path.cwd())
    assert killed.returncode == -9
    lease = run_or_wait(store, key, patience=60, seconds=0.2, poll=0.05)
    assert isinstance(lease, FileLease)
    lease.release()


def test_a_living_holder_keeps_its_lease(store: Store, cache_folder: Path) -> None:
    """It renews it, so watching it for longer than it lasts changes nothing."""
    key = new_key()
    first = store.lease(key, 0.3)
    assert first is not None
    file = cache_folder / LEASES / key
    for _ in range(2 * BEATS):
        assert store.lease(key, 0.3) is None
        seen = file.read_bytes()
        until(lambda seen=seen: file.read_bytes() != seen, "the lease is renewed")
    first.release()


def test_a_step_that_is_there_needs_no_lease(store: Store) -> None:
    """The entry is returned, and nothing stays claimed."""
    kept = entry("result")
    store.write(kept)
    assert isinstance(run_or_wait(store, kept.keys[0], patience=0), EntryInfo)
    lease = store.lease(kept.keys[0], 30)
    assert lease is not None
    lease.release()
