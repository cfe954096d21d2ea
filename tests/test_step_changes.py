"""Equal calls of a step follow each other, and something is changed in between: the step runs again, and gives what it
would have given without a cache."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import awkward as ak
import dask
import numpy as np
import pytest

from cachingclient.warn_once import NoteKeeper
from cachingclient.worker import direct_call as calls
from cachingclient.worker.context import configured_context
from cachingclient.worker.process import process
from cachingclient.worker.recent_results import recent_results

ANALYSIS = """
import numpy as np

import changing_helpers
from cachingclient import step
from changing_helpers import scale as imported

cut = 1
settings = {"shift": [0]}
table = np.ones(3)


def made(inside):
    def shift(values):
        return values + inside
    return shift


shift = made(0)


@step
def inner(values):
    return values * changing_helpers.scale(2)


@step
def outer(values, more=None):
    ran.append(1)
    kept = inner(shift(values)) + imported(1) + settings["shift"][0]
    return kept * np.sum(table) + cut


class Chosen:
    cuts = [0]

    def __init__(self):
        self.cut = 1

    @step
    def select(self, values):
        ran.append(1)
        return values * self.cut + self.cuts[0]
"""
HELPERS = "def scale(x):\n    return x + offset\noffset = 0"


class Ran(list):  # type: ignore[type-arg]
    """Counts runs without being part of any key."""

    def __cache_token__(self) -> str:
        return "runs"


@pytest.fixture
def analysis(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of an analysis, in a process that has a store and remembers nothing yet."""
    configured_context.cache_clear()
    recent_results().clear()
    process().not_worth.clear()
    monkeypatch.setattr(calls, "_notes", NoteKeeper())
    for name, source in {"changing_helpers": HELPERS, "changing_analysis": ANALYSIS}.items():
        module = types.ModuleType(name)
        vars(module)["ran"] = Ran()
        monkeypatch.setitem(sys.modules, name, module)
        cell(module, source)
    with dask.config.set({"cachingclient.store": store_url, "cachingclient.policy": "all"}):
        yield sys.modules["changing_analysis"]
    process().writer.flush()
    configured_context.cache_clear()
    recent_results().clear()


def cell(module: Any, source: str) -> None:
    """Run a cell of a notebook."""
    exec(compile(source, "<cell>", "exec", dont_inherit=True), module.__dict__)


CODE_CHANGES: dict[str, Callable[[Any], Any]] = {
    "a global": lambda m: setattr(m, "cut", 2),
    "a list in a global": lambda m: m.settings["shift"].__setitem__(0, 5),
    "a global array": lambda m: m.table.__setitem__(0, 5),
    "a closure cell": lambda m: setattr(m.shift.__closure__[0], "cell_contents", 3),
    "a closure made again": lambda m: setattr(m, "shift", m.made(4)),
    "a module attribute": lambda m: setattr(m.changing_helpers, "offset", 7),
    "a function of a module": lambda m: setattr(m.changing_helpers, "scale", lambda x: x + 9),
    "a step inside redefined": lambda m: cell(m, "@step\ndef inner(values):\n    return values * 11"),
    "a helper redefined": lambda m: cell(m, "def shift(values):\n    return values + 13"),
    "a function's code": lambda m: setattr(m.inner.function, "__code__", (lambda values: values * 17).__code__),
}


@pytest.mark.parametrize("change", CODE_CHANGES)
def test_changes_of_code_are_seen_by_the_next_call(change: str, analysis: Any) -> None:
    """Whatever the step refers to is changed in its place: the next equal call runs with it."""
    values = np.arange(3.0)
    before = [analysis.outer(values).tolist() for _ in range(2)]
    assert before[0] == before[1]
    assert len(analysis.ran) == 1
    CODE_CHANGES[change](analysis)
    after = analysis.outer(values).tolist()
    assert len(analysis.ran) == 2
    with dask.config.set({"cachingclient.mode": "off"}):
        configured_context.cache_clear()
        assert after == analysis.outer(values).tolist() != before[0]
    configured_context.cache_clear()


def jets() -> Any:
    """Momenta, an event a row."""
    return ak.zip({"pt": ak.unflatten(np.arange(6.0), [2, 1, 3])}, with_name="Jet")


def write(array: Any) -> None:
    """Write to the memory of a column."""
    array.layout.content.content("pt").data[0] = 100.0


ARGUMENT_CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "a numpy array": (lambda: np.arange(3.0), lambda array: array.__setitem__(0, 5.0)),
    "the memory of an array": (lambda: np.arange(3.0), lambda array: memoryview(array).__setitem__(0, 5.0)),
    "a view of an array": (lambda: np.arange(6.0)[::2], lambda array: array.base.__setitem__(0, 5.0)),
    "a column of an awkward array": (jets, write),
    "a column replaced": (jets, lambda array: array.__setitem__("pt", array.pt * 2)),
    "a list of parameters": (lambda: [len, [1, 2]], lambda values: values[1].append(3)),
}


@pytest.mark.parametrize("change", ARGUMENT_CHANGES)
def test_changes_of_arguments_are_seen_by_the_next_call(change: str, analysis: Any) -> None:
    """An argument is written to between two calls: the second runs."""
    make, alter = ARGUMENT_CHANGES[change]
    argument = make()
    for _ in range(2):
        analysis.outer(np.ones(2), argument)
    assert len(analysis.ran) == 1
    alter(argument)
    analysis.outer(np.ones(2), argument)
    assert len(analysis.ran) == 2
    analysis.outer(np.ones(2), make())
    assert len(analysis.ran) == 2


def test_changes_of_an_object_are_seen_by_the_next_call_of_its_method(analysis: Any) -> None:
    """What a method reads of its object is rebound, or of its class changed in place."""
    chosen, values = analysis.Chosen(), np.arange(3.0)
    assert [chosen.select(values).tolist() for _ in range(2)] == [[0, 1, 2]] * 2
    chosen.cut = 2
    assert chosen.select(values).tolist() == [0, 2, 4]
    analysis.Chosen.cuts[0] = 1
    assert chosen.select(values).tolist() == [1, 3, 5]
    assert len(analysis.ran) == 3


def test_a_step_that_changes_its_argument_after_many_looks_is_not_kept(analysis: Any) -> None:
    """An array that was known again for a while is looked at after each run."""
    cell(analysis, "@step\ndef writes(array):\n    ran.append(1)\n    array[0] += 1\n    return 1")
    values = np.arange(3.0)
    for _ in range(3):
        analysis.outer(np.ones(2), values)
    with pytest.warns(match="changed what it was given"):
        analysis.writes(values)
    analysis.writes(np.arange(3.0))
    assert len(analysis.ran) == 3


def test_a_step_that_is_given_what_remembers_is_kept(analysis: Any) -> None:
    """The object works out an attribute when it is first asked for it, which is no change of what it stands for."""
    text = """
import functools

class Table:
    def __init__(self, offset):
        self.offset = offset

    @functools.cached_property
    def factors(self):
        return [self.offset, 2 * self.offset]

@step
def corrected(values, table):
    ran.append(1)
    return values * table.factors[1]
"""
    cell(analysis, text)
    values = np.arange(3.0)
    assert [analysis.corrected(values, analysis.Table(offset)).tolist() for offset in (1, 1, 3)] == [
        [0, 2, 4],
        [0, 2, 4],
        [0, 6, 12],
    ]
    assert len(analysis.ran) == 2


def test_a_step_whose_argument_is_a_function_that_counts_is_not_kept(analysis: Any) -> None:
    """What it counts in is another after each call, so that each call gives another result."""
    cell(analysis, "calls = [0]\ndef counting(x):\n    calls[0] += 1\n    return x + calls[0]")
    cell(analysis, "@step\ndef applied(function, values):\n    ran.append(1)\n    return function(values)")
    with pytest.warns(match="a function that it was given, reads"):
        assert [analysis.applied(analysis.counting, number) for number in (1, 1)] == [2, 3]
    analysis.calls[0] = 0
    assert analysis.applied(analysis.counting, 1) == 2
    assert len(analysis.ran) == 3


def test_what_a_task_in_this_program_fills_is_filled_in_each_session(tmp_path: Any) -> None:
    """An array that its code holds, which dask hands over as it is: loading the result would leave it as it was."""
    from cachingclient import DiracClient

    def session() -> list[float]:
        box = np.zeros(3)

        def fill(number: int) -> int:
            box[number] = number + 1
            return number

        local = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
        with DiracClient(cache=tmp_path.as_uri(), policy="all", **local) as client:
            assert [client.submit(fill, number).result() for number in range(3)] == [0, 1, 2]
            client.flush()
            assert all("it changed a variable" in record.note for run in client.reports for record in run.records)
        return list(box.tolist())

    assert [session(), session()] == [[1.0, 2.0, 3.0]] * 2
