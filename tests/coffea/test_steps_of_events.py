"""`@step`s that take lazy events: what of them is read, what is kept, and what results know of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest

from cachingclient import CacheWarning, step
from cachingclient.storage import open_store
from cachingclient.worker.process import process
from tests.coffea.new_process import (  # noqa: F401 - fixtures are found by their names
    as_in_a_new_process,
    forget,
)

pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema, NanoEventsFactory


def events_of(file: Path, **options: Any) -> Any:
    """Return the events of a file, none of them read."""
    return NanoEventsFactory.from_root(
        {str(file): "Events"}, schemaclass=NanoAODSchema, mode="virtual", **options
    ).events()


def test_a_hit_reads_no_event(two_files: list[Path]) -> None:
    """Looking a step up by lazy events leaves them unread."""

    @step
    def high(jets: Any) -> Any:
        return ak.to_numpy(ak.sum(jets.pt > 50, axis=1))

    first = high(events_of(two_files[0]).Jet)
    events = events_of(two_files[0])
    assert high(events.Jet).tolist() == first.tolist()
    assert not events.Jet.layout.is_any_materialized
    assert high(events_of(two_files[1]).Jet).tolist() != first.tolist()


def test_what_was_read_before_changes_no_key(two_files: list[Path]) -> None:
    """A step's key is the same whether the one before it read the columns or was loaded."""

    class Trace:
        def __init__(self) -> None:
            self.names: list[str] = []

        def __cache_token__(self) -> str:
            return "trace"

        def __call__(self, name: str) -> None:
            self.names.append(name)

    trace = Trace()

    @step
    def first(jets: Any) -> Any:
        trace("first")
        return ak.sum(jets.pt > 50)

    @step
    def second(jets: Any) -> Any:
        trace("second")
        return ak.sum(jets.pt > 60)

    for _ in range(3):
        jets = events_of(two_files[0]).Jet
        first(jets)
        second(jets)
    assert trace.names == ["first", "second"]


def test_ranges_of_a_file_are_told_apart(two_files: list[Path]) -> None:
    """The same columns of other events are another input."""

    @step
    def total(jets: Any) -> float:
        return float(ak.sum(jets.pt))

    chunks = [events_of(two_files[0], entry_start=start, entry_stop=start + 20) for start in (0, 20, 40)]
    assert len({total(chunk.Jet) for chunk in chunks}) == 3


MUTATIONS: dict[str, Callable[[Any], Any]] = {
    "a field of events": lambda events: events.__setitem__("extra", events.MET.pt * 2),
    "a field of a collection": lambda events: events.Jet.__setitem__("pt", events.Jet.pt * 2),
    "an array in place": lambda events: ak.to_numpy(events.MET.pt).__imul__(2),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_step_that_changes_events_is_not_kept(mutation: str, two_files: list[Path], store_url: str) -> None:
    """Fields added to events and numbers changed in place are noticed: a warning, and nothing is kept."""
    change = MUTATIONS[mutation]

    @step
    def careless(events: Any) -> float:
        change(events)
        return float(ak.sum(events.MET.pt))

    with warnings.catch_warnings(record=True, action="always") as seen:
        careless(events_of(two_files[0]))
    process().writer.flush()
    kept = list(open_store(store_url).scan())
    if mutation == "a field of a collection":
        # events.Jet is made anew each time it is asked for: the events that were given are as they were.
        assert [info.name for info in kept] == ["careless"]
    else:
        assert any("changed what it was given" in str(warning.message) for warning in seen)
        assert kept == []


def test_whole_collections_are_not_read_to_be_kept(
    two_files: list[Path], store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that hands a lot of lazy columns on is not made to read them: it says what to return instead."""
    monkeypatch.setattr("cachingclient.hashing.libraries.awkward.links.MOST_UNREAD_COLUMNS", 2)

    @step
    def lazy(events: Any) -> Any:
        return events.Jet

    jets = events_of(two_files[0])
    with warnings.catch_warnings(record=True, action="always") as seen:
        result = lazy(jets)
    assert not result.layout.is_any_materialized
    assert any(
        issubclass(warning.category, CacheWarning) and "not read yet" in str(warning.message) for warning in seen
    )
    process().writer.flush()
    assert list(open_store(store_url).scan()) == []


def test_results_know_the_events_they_come_from(two_files: list[Path]) -> None:
    """What methods of jets reach through their events is there whether the step ran or was loaded."""

    @step
    def leading(events: Any) -> Any:
        return ak.materialize(events.Jet[events.Jet.pt > 20])

    @step
    def pairs(events: Any) -> Any:
        return ak.zip({"jet": ak.firsts(events.Jet), "met": events.MET}, depth_limit=1)

    for _ in range(3):
        events = events_of(two_files[0])
        for jets in (leading(events), pairs(events).jet):
            assert type(jets).__name__.startswith("Jet")
            assert jets._events().MET.pt.to_list() == events.MET.pt.to_list()
        forget()


def test_events_from_elsewhere_are_not_kept(two_files: list[Path], store_url: str) -> None:
    """Jets that a step opens itself are linked to a file that no argument names: they are not kept, with a warning."""

    @step
    def opened(number: int) -> Any:
        return ak.materialize(events_of(two_files[number]).Jet)

    with pytest.warns(CacheWarning, match="none of its arguments comes from"):
        opened(0)
    process().writer.flush()
    assert list(open_store(store_url).scan()) == []


def test_results_from_memory_may_be_changed(two_files: list[Path]) -> None:
    """A field added to a result, or numbers changed in it, is not seen by who gets it next."""

    @step
    def selected(events: Any) -> Any:
        return ak.zip({"pt": ak.materialize(events.MET.pt)})

    first = selected(events_of(two_files[0]))
    before = first.pt.to_list()
    first["extra"] = first.pt * 2
    np.asarray(first.layout.contents[0].data)[:] = 0
    second = selected(events_of(two_files[0]))
    assert second.fields == ["pt"]
    assert second.pt.to_list() == before


def test_views_of_a_closed_file_cost_no_result(two_files: list[Path], store_url: str) -> None:
    """Lazy columns whose file is gone when they are to be kept: the step's result is what it is without a cache."""

    @step
    def handed_on(events: Any) -> Any:
        return ak.zip({"pt": events.MET.pt})

    events = events_of(two_files[0])
    two_files[0].unlink()
    with warnings.catch_warnings(record=True, action="always"):
        result = handed_on(events)
    assert not result.layout.is_any_materialized
    with pytest.raises((OSError, TypeError)):  # what uproot makes of a file that is gone
        ak.materialize(result)
    process().writer.flush()
    assert list(open_store(store_url).scan()) == []
