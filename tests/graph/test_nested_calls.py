"""Calls among the arguments of a task are part of the step: what they read and draw counts for it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.bag as db
import pytest
from dask._task_spec import GraphNode, NestedContainer, Task, convert_legacy_graph
from distributed import LocalCluster
from hypothesis import given

from cachingclient import DiracClient
from cachingclient.graph import Key, as_dask_sends, execute_subgraph, lower, under_key
from tests.graph.test_graph_rewriting import graphs, results
from tests.support.reported import counts


def calls_among_arguments(node: GraphNode) -> list[Task]:
    """The calls that dask makes before it calls the function of a task."""
    if not isinstance(node, Task):
        return []
    if node.func is execute_subgraph:
        return [call for inner in node.args[0].values() for call in calls_among_arguments(inner)]
    found: list[Task] = []
    for each in (*node.args, *node.kwargs.values()):
        if isinstance(each, NestedContainer):
            found += calls_among_arguments(each)
        elif isinstance(each, Task):
            found.append(each)
    return found


@given(graphs())
def test_no_call_is_left_among_arguments(graph: dict[Key, Any]) -> None:
    """Whatever the nodes are, each gives what dask's own would, under its key, and none has a call as an argument."""
    lowered = lower(as_dask_sends(dict(graph))).nodes
    dasks = {key: under_key(node, key) for key, node in convert_legacy_graph(dict(graph)).items()}
    assert results(lowered) == results(dasks)
    assert not [call for node in lowered.values() for call in calls_among_arguments(node)]
    assert all(node.key == key and node.dependencies == dasks[key].dependencies for key, node in lowered.items())


async def later(value: Any) -> Any:
    return value


def test_a_coroutine_function_stays_what_the_worker_calls() -> None:
    """The worker has to see it to await it: a task of one keeps the calls among its arguments."""
    node = lower(as_dask_sends({"x": (later, (abs, -1))})).nodes["x"]
    assert isinstance(node, Task)
    assert node.func is later


def together(*values: Any) -> tuple[Any, ...]:
    return values


def text_of(name: str) -> str:
    return Path(f"{name}.txt").read_text()


def draw() -> float:
    return random.random()


def line(name: str) -> Any:
    return (together, (text_of, name), 1)


def in_a_list(name: str) -> Any:
    return (together, [1, (text_of, name)])


def in_a_call(name: str) -> Any:
    return (together, (together, (text_of, name)))


@pytest.mark.parametrize("task", [line, in_a_list, in_a_call])
def test_what_a_nested_call_reads_counts(
    task: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that only a call among the arguments opens: the step is loaded until it changes, then it runs."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "table.txt"
    file.write_text("first")
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        for content, ran in (("first", 1), ("first", 0), ("second, longer", 1)):
            file.write_text(content) if content != "first" else None
            with DiracClient(cluster, cache=(tmp_path / "store").as_uri(), policy="all") as client:
                assert content in str(client.get({"x": task("table")}, "x"))
                client.flush()
                assert counts(client)[:2] == (ran, 1 - ran)


def test_what_a_nested_call_draws_is_drawn_again(tmp_path: Path) -> None:
    """A call among the arguments that draws without a seed: the step is not kept, and neither is one after it."""
    drawn = []
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        for _ in range(2):
            with DiracClient(cluster, cache=(tmp_path / "store").as_uri(), policy="all") as client:
                drawn.append(client.get({"x": (together, (draw,)), "y": (together, "x", 1)}, "y"))
                client.flush()
    assert drawn[0] != drawn[1]


def is_odd(value: int) -> int:
    return value % 2


def test_groups_on_disk_are_a_runs_own(tmp_path: Path) -> None:
    """A grouping on disk has a folder of its own each time, made by a nested call: no group of another one is in it."""
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster:
        for values in ([1, 2, 3, 4], [10, 11, 12, 13], [1, 2, 3, 4], [5, 6]):
            with DiracClient(cluster, cache=(tmp_path / "store").as_uri(), policy="all") as client:
                groups = db.from_sequence(values, npartitions=2).groupby(is_odd, shuffle="disk").compute()
                client.flush()
            assert {key: sorted(group) for key, group in groups} == {
                odd: [value for value in values if value % 2 == odd] for odd in (0, 1)
            }


def new_folder(prefix: str) -> str:
    return tempfile.mkdtemp(prefix=prefix)


def add_file(folder: str, name: str) -> str:
    (Path(folder) / name).touch()
    return folder


def names_in(folder: str, after: Any) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_temporary_folder_is_a_runs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that leaves a folder whose name it drew runs each time: who takes the folder finds nothing of old runs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster:
        for name in ("one", "two", "one"):
            with DiracClient(cluster, cache=(tmp_path / "store").as_uri(), policy="all") as client:
                folder = client.submit(new_folder, "groups-")
                assert client.submit(names_in, folder, client.submit(add_file, folder, name)).result() == [name]
                client.flush()
