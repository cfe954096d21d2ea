"""What row-wise steps return: cut anywhere and joined again it is the same, and a lie is told from rounding."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachingclient import step
from cachingclient.coffea import Chunk, check_rows, chunks_of
from cachingclient.coffea.row_checks import pairs_to_check
from cachingclient.coffea.rows import blocks_of, join_rows
from cachingclient.coffea.same_rows import difference
from tests.coffea.conftest import write_events

COUNT = 40
RANDOM = np.random.default_rng(5)
COUNTS = RANDOM.poisson(2, COUNT)
PT = ak.unflatten(RANDOM.exponential(30, COUNTS.sum()).astype(np.float32), COUNTS)
EVENTS = ak.zip(
    {
        "jet": ak.zip({"pt": PT, "tag": PT > 20}, with_name="Jet"),
        "met": RANDOM.exponential(30, COUNT),
        "name": ak.Array([f"event {number}" for number in range(COUNT)]),
        "vector": ak.from_numpy(RANDOM.normal(size=(COUNT, 3)), regulararray=True),
    },
    depth_limit=1,
)
MET = ak.to_numpy(EVENTS.met)
Both = namedtuple("Both", ["pt", "met"])

STEPS: dict[str, Callable[[Any], Any]] = {
    "all": lambda events: events,
    "selection": lambda events: events[events.met > 30],
    "jets": lambda events: events.jet[events.jet.pt > 20],
    "missing": lambda events: ak.firsts(events.jet.pt),
    "nothing": lambda events: events[events.met < 0],
    "numpy": lambda events: ak.to_numpy(events.met[events.met > 30]),
    "matrix": lambda events: ak.to_numpy(events.vector),
    "masked": lambda events: ak.to_numpy(ak.mask(events.met, events.met > 30)),
    "structured": lambda events: ak.to_numpy(ak.zip({"met": events.met, "twice": events.met * 2})),
    "texts": lambda events: np.array(ak.to_list(events.name)),
    "frame": lambda events: pd.DataFrame({"met": ak.to_numpy(events.met)}),
    "series": lambda events: pd.Series(ak.to_list(events.name)),
    "dict": lambda events: {"met": ak.to_numpy(events.met), "jets": (events.jet, events.name)},
    "named tuple": lambda events: Both(events.jet.pt, ak.to_numpy(events.met)),
}


@pytest.mark.parametrize("name", STEPS)
@given(cuts=st.sets(st.integers(1, COUNT - 1), max_size=5))
@settings(max_examples=15)
def test_parts_make_the_whole(name: str, cuts: set[int]) -> None:
    """Wherever the events are cut, the joined results are that of all: type, missing values and order."""
    edges = [0, *sorted(cuts), COUNT]
    parts = [STEPS[name](EVENTS[start:stop]) for start, stop in pairwise(edges)]
    whole = STEPS[name](EVENTS)
    joined = join_rows.function(name, parts)
    assert difference(joined, whole) == ""
    assert type(joined) is type(whole)
    if isinstance(whole, ak.Array):
        assert joined.to_list() == whole.to_list()


def test_the_index_of_a_frame_is_a_part_of_it() -> None:
    """An index of the events' own is joined; one that counts the rows of a part would be another, and is told."""
    frame = pd.DataFrame({"met": MET}, index=np.arange(COUNT) + 1000)
    halves = [frame[frame.met > 30][:7], frame[frame.met > 30][7:]]
    assert join_rows.function("select", halves).equals(frame[frame.met > 30])
    check_rows(lambda events: events[events.met > 30], frame)
    with pytest.raises(ValueError, match="other index"):
        check_rows(lambda met: pd.DataFrame({"met": met})[met > 30], MET)


def test_links_to_events_are_left_behind() -> None:
    """Jets of two blocks can't follow the links of one of them."""
    linked = ak.Array(EVENTS.jet.layout, attrs={"@events": "of a block", "unit": "GeV"})
    assert join_rows.function("jets", [linked, linked]).attrs == {"unit": "GeV"}
    assert join_rows.function("jets", [linked]).attrs == {"unit": "GeV"}


NO_ROWS: dict[str, tuple[list[Any], str]] = {
    "list": ([[1], [2]], "returned list; it takes awkward arrays"),
    "number": ([1, 2], "returned int; it takes awkward arrays"),
    "inside": ([{"n": 1}, {"n": 2}], "returned int; it takes awkward arrays"),
    "kinds": ([np.zeros(1), ak.Array([0.0])], "returned now Array, now ndarray"),
    "parts": ([{"a": np.zeros(1)}, {"b": np.zeros(1)}], "returned 'a' only sometimes"),
    "lengths": ([(np.zeros(1),), (np.zeros(1), np.zeros(1))], "returned tuples of several lengths"),
}


@pytest.mark.parametrize("name", NO_ROWS)
def test_what_has_no_rows_is_named(name: str) -> None:
    """A result that can't be joined is refused with the step's name, not put together somehow."""
    parts, text = NO_ROWS[name]
    with pytest.raises(TypeError, match=f"step 'select' is marked rows=True and {text}"):
        join_rows.function("select", parts)


LIES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "mean": (lambda events: events.met / ak.mean(events.met), "at place"),
    "number of the row": (lambda events: ak.local_index(events.met, axis=0), "at place"),
    "order": (lambda events: events[ak.argsort(events.met)], "at place"),
    "lists": (lambda events: ak.unflatten(ak.flatten(events.jet.pt), len(ak.flatten(events.jet.pt)) or 1), "rows"),
    "sum": (lambda events: np.array([ak.sum(events.met)]), "3 and 1 rows"),
    "only large parts": (lambda events: events if len(events) > 30 else events[:0], "0 and 40 rows"),
    "a last digit in many": (lambda events: events.jet.pt * np.float32(1 + 1e-3 * (len(events) > 30)), "'pt'|at place"),
    "missing": (lambda events: ak.mask(events.met, ak.local_index(events.met, axis=0) > 0), "at place 13"),
    "text": (lambda events: ak.Array([str(len(events))] * len(events)), "other values"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies_are_found(name: str) -> None:
    """A step whose rows depend on other rows, or on where they are, is told, and how."""
    function, text = LIES[name]
    with pytest.raises(ValueError, match=text):
        check_rows(function, EVENTS)


def test_rounding_is_no_lie() -> None:
    """Sums in another order give other last digits, also where large numbers cancel."""
    weights = RANDOM.normal(size=(3, 20)).astype(np.float32)
    check_rows(lambda events: ak.to_numpy(events.vector).astype(np.float32) @ weights, EVENTS)
    values = np.array([1e8, -1e8, 1.0])
    assert difference(np.array([values.sum(), 1e8]), np.array([values[[0, 2, 1]].sum() + 1e-8, 1e8])) == ""
    assert difference(np.array([1.0, np.inf]), np.array([1.0, -np.inf])) == "inf and -inf at place 1"
    assert difference(np.array([1, 2]), np.array([1, 3])) == "2 and 3 at place 1"


def test_steps_are_checked_on_chunks(tmp_path: Path) -> None:
    """A chunk is cut by its range, other arguments stay; what draws numbers of its chunk is not row-wise."""
    [chunk] = chunks_of({"ttbar": [write_events(tmp_path / "events.root", 1)]})
    check_rows(step(rows=True)(lambda chunk: chunk.arrays(["Jet_pt", "event"])), chunk)
    check_rows(lambda events, chunk: events.Jet_pt * len(chunk), chunk.arrays(["Jet_pt"]), chunk=chunk)
    with pytest.raises(ValueError, match="is not row-wise"):
        check_rows(lambda chunk: chunk.random("smear").normal(size=len(chunk)), chunk)
    with pytest.raises(TypeError, match="events is a list"):
        check_rows(len, [1, 2, 3])
    with pytest.raises(ValueError, match="events has 2 rows"):
        check_rows(abs, np.zeros(2))


def test_blocks_belong_to_the_file() -> None:
    """The blocks of any chunks are those of the file, but for their ends; a pair of them is looked at in every run."""
    whole = Chunk("ttbar", "root://host//a.root", "Events", 0, 95)
    for size in (95, 50, 30, 7):
        chunks = [Chunk("ttbar", whole.file, "Events", at, min(at + size, 95)) for at in range(0, 95, size)]
        found = [(block.start, block.stop) for chunk in chunks for block in blocks_of(chunk, 10)]
        assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])]
        assert found[-1][1] == 95
        assert {edge for pair in found for edge in pair} >= set(range(0, 95, 10))
    many = blocks_of(Chunk("ttbar", whole.file, "Events", 0, 100_000), 10)
    chosen = pairs_to_check(many, 10, the_first=False)
    assert 10 < len(chosen) < 120
    later = pairs_to_check(many[5000:], 10, the_first=False)
    assert [many[5000 + each] for each in later] == [many[each] for each in chosen if each >= 5000]


@pytest.mark.parametrize("wrong", [1, None, "yes"])
def test_the_mark_takes_true_or_false(wrong: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(TypeError, match="rows is"):
        step(rows=wrong)
