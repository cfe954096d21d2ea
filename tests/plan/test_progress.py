"""Progress tells what was loaded, ran and is still to run, and how long that takes."""

from __future__ import annotations

import io
from collections.abc import Callable

import dask
import pytest
from rich.console import Console

from cachingclient import DiracClient
from cachingclient.plan.plan import Plan
from cachingclient.plan.progress import show, state_of, typical_seconds
from cachingclient.plan.record import StepRecord
from cachingclient.plan.report import RunReport
from cachingclient.plan.steps import Action, PlannedStep


def report() -> RunReport:
    """A graph of one step to load and four to run, of which one of each has come to its end."""
    steps = {
        f"{name}-{number}": PlannedStep(f"{name}-{number}", name, action, "0f" * 16, "", None, True, frozenset())
        for name, action, count in (("load", Action.LOAD, 2), ("fill", Action.RUN, 3), ("fit", Action.RUN, 1))
        for number in range(count)
    }
    records = [StepRecord("load-0", "load", "loaded", 0.1), StepRecord("fill-0", "fill", "ran", 2.0)]
    return RunReport(Plan(steps, frozenset()), records)


def test_seconds_left_are_learnt_from_this_run_and_from_what_is_kept() -> None:
    """What ran in this run tells more than what ran before."""
    state = state_of(report(), {"fill": 100.0, "fit": 3.0})
    assert (state.loaded, state.to_load, state.ran, state.to_run, state.seconds) == (1, 2, 1, 4, 7.0)
    assert str(state) == "1 of 2 loaded, 1 of 4 ran"


@pytest.mark.parametrize("terminal", [True, False])
def test_bars_are_drawn_on_a_terminal_and_nowhere_else(terminal: bool) -> None:
    """In a log, lines that are written over each other are no use."""
    file, asked = io.StringIO(), iter([False, True])
    console = Console(file=file, force_terminal=terminal, width=100)
    show(report(), {"fit": 3.0}, lambda: 2, lambda: next(asked), console)
    assert ("4/4" in file.getvalue()) == terminal
    assert ("about 3.5 s left" in file.getvalue()) == terminal
    assert bool(file.getvalue()) == terminal


def test_a_client_shows_progress(make_client: Callable[..., DiracClient], capsys: pytest.CaptureFixture[str]) -> None:
    """Of its last graph, which it waits for; where nobody looks it returns at once and prints nothing."""
    client = make_client()
    client.compute(dask.delayed(sum)([dask.delayed(abs)(-number) for number in range(3)])).result()
    client.progress()
    assert capsys.readouterr().out == ""
    client.flush()
    assert set(typical_seconds(client.cache)) == {"abs", "sum"}
