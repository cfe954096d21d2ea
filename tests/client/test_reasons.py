"""What was observed is named: in plans, in reports, by `explain` and by ``cachectl show``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dask
from click.testing import CliRunner

from cachingclient import DiracClient, step
from cachingclient.cli.main import cli


def test_a_file_that_is_no_argument(make_client: Callable[..., DiracClient], store_url: str, tmp_path: Path) -> None:
    """A correction that changed is named where one asks why the step runs, and in what is shown of its entry."""
    folder = tmp_path / "corrections"
    folder.mkdir()
    (folder / "jec.json").write_text("2")
    name = "jec"

    def correct(x: int) -> int:
        return x * int(Path(folder, f"{name}.json").read_text())

    graph = dask.delayed(correct)(3, dask_key_name="correct-1")
    client = make_client()
    assert client.compute(graph).result() == 6
    client.close()
    key = client.report.plan.steps["correct-1"].step_key
    shown = CliRunner().invoke(cli, ["show", str(key), "--store", store_url])
    assert f"depends on:       {folder}/jec.json, which it reads" in shown.output
    (folder / "jec.json").write_text("33")
    client = make_client()
    said = f"it reads {folder}/jec.json, which is not among its arguments: it changed (1 B -> 2 B)"
    assert client.explain("correct-1", client.plan(graph)) == f"missed because {said}"
    assert client.compute(graph).result() == 99
    client.flush()
    assert said in str(client.report)


def widen(width: float, bins: int = 50, *, low: float = 0.0) -> float:
    return low + width * bins


def test_arguments_are_counted_without_their_names(client: DiracClient) -> None:
    """One more, by its name, is one more."""
    for arguments, said in (
        ({}, None),
        ({"bins": 25, "low": 1.0}, "it takes 3 arguments, and took 1"),
        ({"bins": 25}, "it takes 2 arguments, and took 3"),
    ):
        graph = dask.delayed(widen)(2.0, **arguments)
        if said is not None:
            assert client.explain(graph).startswith(f"{said}: widen runs")
        client.compute(graph).result()
        client.flush()


@step
def marked(pt: float) -> float:
    return pt * 1.02


def calls_it(pt: float) -> float:
    return marked(pt) + 1


def test_a_call_inside_a_task_is_not_compared_with(client: DiracClient) -> None:
    """Nothing is noted of what it was made of: its arguments are not none, nor did its code change."""
    assert client.submit(calls_it, 40.0).result() == 41.8
    client.flush()
    assert {each.name for each in client.cache.scan()} >= {"marked", "calls_it"}
    graph = dask.delayed(marked)(50.0)
    assert client.explain(graph) == "no other result of a step named marked is kept: marked runs"


def test_what_follows_a_refusal_says_so(client: DiracClient) -> None:
    """A step that is not filed for the sake of the one before it says in the report which one that was."""

    def grow(values: list[int]) -> int:
        values.append(1)
        return len(values)

    client.submit(abs, client.submit(grow, client.submit(list, (1,)))).result()
    client.flush()
    (record,) = client.report.records
    assert not record.kept
    assert record.note.startswith("not kept: it took the result of 'grow': it changed what it was given, a list")
