"""What was observed is named: in plans, in reports, by `explain` and by ``cachectl show``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dask
from click.testing import CliRunner

from cachingclient import DiracClient
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
