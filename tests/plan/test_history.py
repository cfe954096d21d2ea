"""What was run is remembered beside the store, and compared."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from click.testing import CliRunner

from cachingclient import CacheWarning, DiracClient
from cachingclient.cli.main import cli
from cachingclient.plan import forecast
from cachingclient.plan.history import MOST_BYTES, Counts, History, Run, history_of
from cachingclient.storage import open_store


def graph(by: int, numbers: int = 3) -> Any:
    """Some steps, and their sum."""

    def scale(number: int) -> int:
        return number * by

    scaled = [dask.delayed(scale)(number, dask_key_name=f"scale-{number}") for number in range(numbers)]
    return dask.delayed(sum)(scaled, dask_key_name="total-1")


def test_runs_are_remembered_and_compared(make_client: Callable[..., DiracClient], store_url: str) -> None:
    """Two sessions and an edit: each run is there with its counts and its reason, in Python and by cachectl."""
    for by in (2, 2, 3):
        client = make_client()
        client.compute(graph(by)).result()
        client.close()
    first, second, third = client.history
    assert [(run.steps, run.ran, run.loaded) for run in (first, second, third)] == [(4, 4, 0), (4, 0, 1), (4, 4, 0)]
    assert "by" in third.because["scale"]
    assert "2 -> 3" in third.because["scale"]
    assert third.because["total"] == "follows scale"
    assert "3 runs" in str(client.history)
    shown = CliRunner().invoke(cli, ["runs", "--store", store_url])
    assert shown.exit_code == 0, shown.output
    assert [line.split("\t")[0] for line in shown.output.splitlines()[1:4]] == [first.name, second.name, third.name]
    told = json.loads(CliRunner().invoke(cli, ["runs", "--json", "--limit", "1", "--store", store_url]).output)
    assert [run["run"] for run in told] == [third.name]
    for names in ([second.name, third.name], [second.name], ["--", "-2", "-1"]):
        compared = CliRunner().invoke(cli, ["diff", "--store", store_url, *names])
        assert compared.exit_code == 0, compared.output
        assert "0 -> 3" in compared.output
        assert third.because["scale"] in compared.output
    assert json.loads(CliRunner().invoke(cli, ["diff", "--json", "--store", store_url, second.name]).output)["steps"]
    lacking = CliRunner().invoke(cli, ["diff", "--store", store_url, "yesterday"])
    assert lacking.exit_code == 2
    assert "no run is called yesterday" in lacking.output


def test_single_calls_are_no_runs(client: DiracClient) -> None:
    """They would push the graphs out."""
    client.submit(abs, -1).result()
    client.flush()
    assert list(client.history) == []
    assert str(client.history) == "no runs yet"


def test_a_history_stays_small_and_reads_around_what_is_damaged(tmp_path: Path) -> None:
    """It is cut to its newest runs, and lines that are no runs are passed over."""
    history = History(tmp_path / "runs.jsonl")
    history.path.write_text('{"name": 1}\nno run\n' + "[" * 10_000 + "\n")
    names = {f"step{number}": Counts(1, 1, 0, 0.5, 0.0, 8) for number in range(60)}
    for number in range(400):
        history.append(Run(f"run{number:04d}", float(number), names))
    assert history.path.stat().st_size < MOST_BYTES + 100_000
    assert history[-1].name == "run0399"
    assert 100 <= len(history) <= 200


def test_a_store_that_is_no_folder_has_its_history_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no place beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    history = history_of(open_store("memory://history-of-memory"))
    history.append(Run("run", 1.0))
    assert history.path.is_relative_to(tmp_path)
    assert len(history) == 1


def test_a_run_that_misses_much_more_is_warned_of_before(
    make_client: Callable[..., DiracClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason, and only if running it all takes long."""
    for by in (2, 2):
        client = make_client()
        client.compute(graph(by, numbers=12)).result()
        client.close()
    client = make_client()
    monkeypatch.setattr(forecast, "SECONDS_TO_WARN", 0.0)
    with pytest.warns(CacheWarning, match=r"13 of 13 steps will run, about .* of work; .* ago 0 of 13 did: .*2 -> 3"):
        client.compute(graph(3, numbers=12)).result()


def test_the_time_of_a_run_is_when_it_began(client: DiracClient) -> None:
    """By which it is called."""
    before = time.strftime("%Y%m%d")
    client.compute(graph(2)).result()
    client.flush()
    assert client.history[-1].name.startswith((before, time.strftime("%Y%m%d")))
