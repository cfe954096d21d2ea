"""What `auto` keeps with a budget, on real workers: final results always, of the others what it is enough for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import dask
import pytest

from cachingclient import DiracClient
from cachingclient.plan.report import RunReport

CHUNKS = 24
MakeClient = Callable[..., DiracClient]


def worked(seconds: float) -> None:
    """Take processor time, which a busy machine makes no longer."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def select(chunk: int) -> list[int]:
    worked(0.03)
    return [chunk] * 10


def observe(selected: list[int]) -> int:
    worked(0.03)
    return sum(selected)


def merge(*parts: int) -> int:
    worked(0.03)
    return sum(parts)


def long_select(chunk: int) -> list[int]:
    worked(1.5)
    return [chunk] * 10


def analysis() -> Any:
    call = dask.delayed(observe)
    return dask.delayed(merge)(*[call(dask.delayed(select)(chunk)) for chunk in range(CHUNKS)])


def run(make_client: MakeClient, budget: str, graph: Any, **options: Any) -> tuple[dict[str, int], RunReport]:
    """Compute a graph with a budget; return how many of each step were kept, and the report."""
    with dask.config.set({"cachingclient.keep-budget": budget}):
        client = make_client(**{"policy": "auto"} | options)
    client.compute(graph).result()
    client.flush()
    assert client.report is not None
    return {row.name: row.kept for row in client.report.summary().rows}, client.report


def test_a_budget_of_nothing_keeps_the_final_result(make_client: MakeClient) -> None:
    """The report says what it left out and what would keep it, and nobody is warned; the next run loads the result."""
    kept, report = run(make_client, "0%", analysis())
    assert kept["merge"] == 1
    left = 2 * CHUNKS - kept["select"] - kept["observe"]
    assert left > CHUNKS  # of a step that waits for a busy machine nobody can tell that it is quick
    assert f"keep-budget left {left} results out (about " in str(report)
    assert "policy='all' everything" in str(report)
    assert "beyond the budget for keeping" in str(report)
    assert report.to_dict()["budget"]["results_left"] == left
    again = make_client(policy="auto")
    assert again.compute(analysis()).result() == 10 * sum(range(CHUNKS))
    assert again.report is not None
    assert again.report.summary().total.ran == 0


def test_all_of_the_time_keeps_all(make_client: MakeClient) -> None:
    """Then nothing is left out, which the report need not say; it has what keeping took."""
    kept, report = run(make_client, "100%", analysis())
    assert kept == {"select": CHUNKS, "observe": CHUNKS, "merge": 1}
    spent = report.to_dict()["budget"]
    assert spent["results_left"] == 0
    assert 0 < spent["keeping"] < spent["steps"]
    assert "budget" not in str(report)


def test_policy_all_knows_no_budget(make_client: MakeClient) -> None:
    """As does a policy of the user's."""
    kept, _ = run(make_client, "0%", analysis(), policy="all")
    assert kept == {"select": CHUNKS, "observe": CHUNKS, "merge": 1}


def test_results_of_map_are_final_ones(make_client: MakeClient) -> None:
    """Each was asked for, so that each is kept without anything to spend."""
    with dask.config.set({"cachingclient.keep-budget": "0%"}):
        client = make_client(policy="auto")
    client.gather(client.map(select, range(CHUNKS)))
    client.flush()
    assert client.report is not None
    assert client.report.summary().total.kept == CHUNKS


def test_what_costs_a_hundredth_of_its_run_is_kept(make_client: MakeClient) -> None:
    """Without anything to spend: a step of a second and a half before the final one."""
    graph = dask.delayed(merge)(dask.delayed(observe)(dask.delayed(long_select)(1)))
    kept, _ = run(make_client, "0%", graph)
    assert (kept["long_select"], kept["merge"]) == (1, 1)


def test_an_edit_after_what_was_left_out_is_right(make_client: MakeClient) -> None:
    """What was not kept runs again, what was is loaded, and the result is that of a plain client."""
    run(make_client, "3%", analysis())
    observed = [dask.delayed(observe)(dask.delayed(select)(chunk)) for chunk in range(CHUNKS)]
    client = make_client(policy="auto")
    assert client.compute(dask.delayed(sorted)(observed)).result() == [10 * chunk for chunk in range(CHUNKS)]
    assert client.report is not None
    rows = {row.name: row for row in client.report.summary().rows}
    assert rows["observe"].ran + rows["observe"].loaded == CHUNKS
    assert rows["observe"].loaded > 0


def append(values: list[int]) -> list[int]:
    worked(0.03)
    values.append(len(values))
    return values


@pytest.mark.parametrize("budget", ["0%", "3%", "100%"])
def test_a_step_that_changes_its_argument_keeps_nothing_wrong(make_client: MakeClient, budget: str) -> None:
    """Also where next to nothing is kept: what comes after the changed results runs in each run."""
    graph = dask.delayed(merge)(*[dask.delayed(len)(dask.delayed(append)(dask.delayed(select)(n))) for n in range(20)])
    kept, _ = run(make_client, budget, graph)
    assert kept["append"] == 0
    assert kept["merge"] == 0


def fetch(chunk: int) -> list[int]:
    threading.Event().wait(0.2)  # as a step does that reads over a network
    return [chunk] * 10


def test_steps_that_wait_are_worth_what_a_hit_saves(make_client: MakeClient) -> None:
    """They take time, if no processor's: the budget is a part of that."""
    graph = dask.delayed(merge)(*[dask.delayed(observe)(dask.delayed(fetch)(chunk)) for chunk in range(CHUNKS)])
    kept, _ = run(make_client, "25%", graph)
    assert kept["fetch"] == CHUNKS


def named(number: int) -> Callable[[int], int]:
    """A step with a name of its own, of which nothing is known."""

    def first(chunk: int) -> int:
        worked(0.03)
        return chunk * number

    first.__name__ = first.__qualname__ = f"first_{number}"
    return first


def test_the_first_step_of_each_name(make_client: MakeClient) -> None:
    """Nothing is known of any: some are kept at first, each of the rest is told as left out, and all are right."""
    graph = dask.delayed(sorted)([dask.delayed(named(number))(2) for number in range(30)])
    for _ in range(2):
        kept, report = run(make_client, "10%", graph)
        rows = {row.name: row for row in report.summary().rows}
        assert sum(row.ran + row.loaded + row.cut_off + row.not_needed for row in rows.values()) == 31
        if rows["sorted"].ran:
            left = report.to_dict()["budget"]["results_left"]
            assert sum(kept.values()) > 1
            assert sum(kept.values()) + left >= 30  # sorted may be too quick
    client = make_client(policy="auto")
    assert client.compute(graph).result() == [2 * number for number in range(30)]


def skim(chunk: int, seconds: float) -> list[int]:
    worked(seconds)
    return [chunk] * 10


def test_costs_that_vary_a_hundredfold_by_arguments(make_client: MakeClient) -> None:
    """Each is kept by what it took itself, not by what others of its name did; what follows is right after an edit."""
    costs = [1.5 if chunk % 8 == 7 else 0.015 for chunk in range(CHUNKS)]
    skims = [dask.delayed(skim)(chunk, seconds) for chunk, seconds in enumerate(costs)]
    kept, _ = run(make_client, "0%", dask.delayed(merge)(*[dask.delayed(observe)(each) for each in skims]))
    assert 3 <= kept["skim"] < CHUNKS
    client = make_client(policy="auto")
    total = dask.delayed(merge)(*[dask.delayed(sum)(each) for each in skims])
    assert client.compute(total).result() == 10 * sum(range(CHUNKS))
    assert client.report is not None
    long = {f"{key}" for key, step in client.report.plan.steps.items() if step.name == "skim" and step.action == "load"}
    assert len(long) >= 3
