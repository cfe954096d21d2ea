"""What runs count for in the account of what keeping may cost, calls of marked steps among them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import dask
import pytest

from cachingclient import step
from cachingclient.storage import open_store
from cachingclient.worker import direct_call, own_time, tasks
from cachingclient.worker.allowance import Allowance
from cachingclient.worker.context import configured_context
from cachingclient.worker.own_time import OwnTime
from cachingclient.worker.process import process
from tests.support.counting import (  # noqa: F401 - fixtures are found by their names
    count_from_zero,
    in_plain_python,
)

CALLS = 5


@pytest.fixture(autouse=True)
def under_auto(in_plain_python: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: F811
    """Steps are kept if that is worth it, however busy the machine is."""
    monkeypatch.setattr(direct_call, "WORTH_LOOKING", 0.0)
    monkeypatch.setattr(direct_call, "TRIED_SECONDS", 60.0)
    with dask.config.set({"cachingclient.policy": "auto"}):
        yield


def worked(seconds: float) -> None:
    """Take processor time, which a busy machine makes no longer."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@step
def select(number: int) -> list[int]:
    """Take long enough to be worth a file, but not a hundred times as long as keeping takes."""
    worked(0.06)
    return [number] * 10


def account() -> Allowance:
    """The account of steps that are called in plain Python."""
    context = configured_context()
    assert context is not None
    return process().account(context.run, context.store.url, context.policy.budget)


def test_what_waits_for_a_processor_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two seconds in which others had the processor for one and a half, half a second counts."""
    queued = iter([10.0, 11.5])
    monkeypatch.setattr(own_time, "queued_seconds", lambda: next(queued))
    assert OwnTime().ends(2.0) == (0.5, 0.5)


def test_a_system_that_does_not_tell_has_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a run counts as long as it took."""
    monkeypatch.setattr(own_time, "_SCHEDULE", "/there/is/no/such/file")
    monkeypatch.setattr(own_time, "_thread", threading.local())
    assert OwnTime().ends(2.0) == (2.0, 2.0)


@pytest.mark.skipif(not os.path.exists("/proc/thread-self/schedstat"), reason="this system does not tell of queues")
def test_each_thread_opens_its_own_queue_once() -> None:
    """And a forked child's thread, which is another, its own; none stays open when its thread has ended."""

    def opened() -> list[str]:
        links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return [os.readlink(link) for link in links if os.path.lexists(link) and "schedstat" in os.readlink(link)]

    def in_child(channel: int) -> None:
        own_time.queued_seconds()
        own_time.queued_seconds()
        mine = f"/proc/{os.getpid()}/task/{threading.get_native_id()}/schedstat"
        os.write(channel, b"yes" if mine in opened() else b"no")

    own_time.queued_seconds()
    before = opened()
    thread = threading.Thread(target=lambda: [own_time.queued_seconds() for _ in range(3)])
    thread.start()
    thread.join()
    del thread
    assert sorted(opened()) == sorted(before)
    receives, sends = os.pipe()
    if os.fork() == 0:
        in_child(sends)
        os._exit(0)
    os.close(sends)
    assert os.read(receives, 10) == b"yes"
    os.close(receives)
    os.wait()


def test_what_steps_inside_counted_for_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five seconds in which a step ran for two, the step around it counts for three, and took five."""
    monkeypatch.setattr(own_time, "queued_seconds", float)
    around, inside = OwnTime(), OwnTime()
    assert inside.ends(2.0) == (2.0, 2.0)
    assert around.ends(5.0) == (5.0, 3.0)


def test_calls_count() -> None:
    """As tasks do: else there would be nothing to spend on them in plain Python."""
    select(1)
    assert account().steps > 0.05


@pytest.mark.parametrize(("budget", "kept"), [("0%", 0), ("100%", CALLS)])
def test_calls_are_kept_within_the_budget(budget: str, kept: int, store_url: str) -> None:
    """As tasks are: none where there is nothing to spend."""
    with dask.config.set({"cachingclient.keep-budget": budget}):
        for number in range(CALLS):
            select(number)
    process().writer.flush()
    assert len(list(open_store(store_url).scan())) == kept


def test_a_call_is_charged_with_what_keeping_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread that worked for long before: that is no part of it."""
    before = tasks.processor_seconds
    monkeypatch.setattr(tasks, "processor_seconds", lambda: 1000.0 + before())
    select(1)
    process().writer.flush()
    assert 0 < account().spent < 500
