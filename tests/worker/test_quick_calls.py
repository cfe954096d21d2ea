"""Under `auto` each call is judged by what it costs itself: a slow one is kept, whatever was quick before it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator

import dask
import pytest

from cachingclient import CacheWarning, DiracClient, step
from cachingclient.plan.record import QUICK
from cachingclient.worker import direct_call
from tests.support.counting import (  # noqa: F401 - fixtures are found by their names
    as_in_another_process,
    count_from_zero,
    counter,
    in_plain_python,
)


@pytest.fixture(autouse=True)
def under_auto(in_plain_python: None) -> Iterator[None]:  # noqa: F811
    """Steps are kept if that is worth it, and nothing was tried before."""
    direct_call._tried.clear()
    direct_call._met.clear()
    with dask.config.set({"cachingclient.policy": "auto"}):
        yield


@step
def process(number: int, seconds: float) -> list[int]:
    """Take as long as it is told; slow calls are counted."""
    if seconds:
        counter()
    time.sleep(seconds)
    return [number] * 100


@step
def process_all(numbers: list[int], seconds: float) -> int:
    """Take as long as it is told, for many numbers."""
    counter()
    time.sleep(seconds)
    return len(numbers)


def rounds() -> None:
    """Four quick calls, then a slow one, three times."""
    for each in range(3):
        for quick in range(4):
            process(10 * each + quick, 0.0)
        process(10 * each + 9, 0.3)


def test_slow_calls_after_quick_ones_are_there_in_the_next_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """In each round."""
    monkeypatch.setattr(direct_call, "TRIED_SECONDS", 60.0)  # as on a machine that is not busy
    rounds()
    assert counter.count == 3
    as_in_another_process()
    counter.count = 0
    rounds()
    assert counter.count == 0


def test_a_slow_call_after_a_great_many_quick_ones_is_told_of_and_the_next_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody looks at the arguments of the quick ones any more, so the first slow one can't be named."""
    monkeypatch.setattr(direct_call, "TRIED_SECONDS", 0.0)
    for quick in range(10):
        process(quick, 0.0)
    with pytest.warns(CacheWarning, match="step process: not kept: calls like it were quicker"):
        process(10, 0.3)
    process(11, 0.3)
    as_in_another_process()
    counter.count = 0
    process(10, 0.3)
    process(11, 0.3)
    assert counter.count == 1


def test_calls_with_much_more_to_do_are_judged_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is quick on small samples is not for that thought quick on large ones."""
    monkeypatch.setattr(direct_call, "TRIED_SECONDS", 0.0)
    for quick in range(10):
        process_all([quick] * 10, 0.0)
    with warnings.catch_warnings(action="error"):
        process_all([1] * 100_000, 0.5)
    as_in_another_process()
    counter.count = 0
    process_all([1] * 100_000, 0.5)
    assert counter.count == 0


def plain(number: int, seconds: float) -> int:
    """Take as long as it is told."""
    time.sleep(seconds)
    return number


def test_tasks_are_judged_one_by_one_and_records_say_why(make_client: Callable[..., DiracClient]) -> None:
    """The slow task is kept after quick ones; these are noted as quicker to run than to load, and nobody is warned."""
    client = make_client(policy="auto")
    with warnings.catch_warnings(action="error", category=CacheWarning):
        for number in range(6):
            client.submit(plain, number, 0.0).result()
        client.submit(plain, 6, 0.5).result()
        client.flush()
    records = [record for report in client.reports for record in report.records]
    assert [record.note for record in records] == [QUICK] * 6 + [""]
    assert [record.kept for record in records] == [False] * 6 + [True]
    assert not any(report.summary().reasons for report in client.reports)
