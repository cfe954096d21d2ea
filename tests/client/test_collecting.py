"""While graphs are planned garbage is collected rarely; after that as before, whoever asked for what."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from cachingclient.client.collecting import MUCH, RARELY, collecting_rarely


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the process as it was."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_the_last_thread_that_leaves_brings_back_what_was() -> None:
    """Of two threads that plan the first to end changes nothing for the other."""
    inside, leave = threading.Event(), threading.Event()

    def plan() -> None:
        with collecting_rarely():
            inside.set()
            leave.wait()

    other = threading.Thread(target=plan)
    with collecting_rarely():
        other.start()
        inside.wait()
    assert gc.get_threshold() == (RARELY, 10, 10)
    leave.set()
    other.join()
    assert gc.get_threshold() == (700, 10, 10)


def test_an_error_brings_back_what_was() -> None:
    """A plan that fails leaves garbage collected as before."""
    with pytest.raises(ValueError, match="no plan"), collecting_rarely():
        raise ValueError("no plan")
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("threshold", [0, 5 * RARELY])
def test_who_collects_more_rarely_goes_on(threshold: int) -> None:
    """A process that collects nothing by itself, or after more objects still, does so within a plan and after it."""
    gc.set_threshold(threshold, 10, 10)
    with collecting_rarely():
        assert gc.get_threshold()[0] == threshold
    assert gc.get_threshold()[0] == threshold


def test_who_sets_it_meanwhile_has_the_last_word() -> None:
    """What another thread asks for while a graph is planned stays."""
    with collecting_rarely():
        gc.set_threshold(1000, 5, 5)
    assert gc.get_threshold() == (1000, 5, 5)


def test_garbage_is_collected_within_a_plan() -> None:
    """Circles that nobody holds go away after enough objects, however long a plan takes."""

    class Circle:
        def __init__(self) -> None:
            self.own = self

    gone = threading.Event()

    class Last(Circle):
        def __del__(self) -> None:
            gone.set()

    with collecting_rarely():
        Last()
        kept = [[] for _ in range(RARELY + 1000)]  # type: ignore[var-annotated]
        assert gone.is_set()
    assert len(kept) == RARELY + 1000


def test_what_a_plan_made_is_not_looked_through_right_after_it() -> None:
    """Much that a plan leaves counts as old; of little the garbage is found soon, as before."""
    for count, are_old in ((2 * MUCH, True), (MUCH // 2, False)):
        gc.collect()
        with collecting_rarely():
            made = [[] for _ in range(count)]  # type: ignore[var-annotated]
        old = {id(each) for each in gc.get_objects(generation=2)}
        assert (id(made[0]) in old) is are_old


def test_what_somebody_froze_stays_frozen() -> None:
    """A process that keeps objects from the collector for its forks does so after a plan."""
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with collecting_rarely():
            made = [[] for _ in range(2 * MUCH)]  # type: ignore[var-annotated]
        assert frozen - 1000 < gc.get_freeze_count() <= frozen  # some are gone meanwhile
        assert len(made) == 2 * MUCH
    finally:
        gc.unfreeze()
