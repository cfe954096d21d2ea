"""Files that tasks find beside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, Worker

from cachingclient import DiracClient
from cachingclient.vine import VineCluster
from cachingclient.vine.extra_files import parse_extra_files
from tests.vine.pools import ENGINES, place_for


def read_beside(name: str) -> str:
    return Path(name).read_text()


@pytest.mark.services
@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_that_opens_one_is_no_stale_hit(engine: str, tmp_path: Path, store_url: str) -> None:
    """On the next cluster, whose file says something else, the step reads that, though it was kept before."""
    (corrections := tmp_path / "sf.json").write_text("1.02")
    tree = dask.delayed(str.upper)(dask.delayed(read_beside)("sf.json"))
    with place_for(engine, tmp_path / "place"):
        for text in ("1.02", "v1.07"):
            corrections.write_text(text)
            options = {"extra_files": [corrections]}
            with (
                VineCluster({"RAL": 1}, engine=engine, engine_options=options) as cluster,
                DiracClient(cluster, cache=store_url, policy="all") as client,
            ):
                assert tree.compute() == text.upper()
                assert client.report is not None
                assert [each.action for each in client.report.records if each.name == "read_beside"] == ["ran"]
                client.flush()


@pytest.mark.services
@pytest.mark.parametrize("engine", ENGINES)
def test_tasks_find_them_by_their_names(engine: str, tmp_path: Path) -> None:
    """With each engine, at each site, as they were when the cluster was made; the client's own folder stays its own."""
    corrections, other = tmp_path / "sf.json", tmp_path / "b.txt"
    corrections.write_text("1.02")
    other.write_text("other")
    before = os.getcwd()
    options = {"extra_files": {"sf.json": corrections, "named.txt": other}}
    with (
        place_for(engine, tmp_path / "place"),
        VineCluster({"RAL": 1, "Bristol": 1}, engine=engine, engine_options=options) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        corrections.write_text("changed since")
        for site in cluster.sites:
            asked = {"resources": {f"site:{site}": 1}, "pure": False}
            found = client.gather([client.submit(read_beside, name, **asked) for name in ("sf.json", "named.txt")])
            assert found == ["1.02", "other"]
    assert os.getcwd() == before


def test_a_worker_in_the_clients_process_does_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its working folder is the client's, which is not changed; the log says what is needed."""
    (tmp_path / "sf.json").write_text("1")
    before = os.getcwd()
    site = {"workers": 1, "how": Worker}
    options = {"extra_files": [tmp_path / "sf.json"]}
    with (
        caplog.at_level("ERROR", "distributed.worker"),
        VineCluster({"RAL": site}, engine_options=options) as cluster,
        Client(cluster, set_as_default=False) as client,
        pytest.raises(FileNotFoundError),
    ):
        client.submit(read_beside, "sf.json").result()
    assert "extra_files needs workers with processes of their own" in caplog.text
    assert os.getcwd() == before


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("sf.json", ValueError, "extra_files is 'sf.json'; it takes a list of paths"),
        (["/nowhere/sf.json"], FileNotFoundError, "extra_files names 'sf.json' for /nowhere/sf.json"),
        (["/"], ValueError, "extra_files names ''"),
        (["/tmp"], FileNotFoundError, "where there is no file"),
        ([__file__, __file__], ValueError, "two files of the name 'test_extra_files.py'"),
        ({"a/b": __file__}, ValueError, "extra_files names 'a/b'; it takes names without '/'"),
        ({"status": __file__}, ValueError, "none that a task's own have"),
        ({"input-0": __file__}, ValueError, "none that a task's own have"),
    ],
)
def test_what_makes_no_sense_is_refused(given: Any, error: type[Exception], says: str) -> None:
    """Before anything starts, with the argument's name."""
    with pytest.raises(error, match=says):
        parse_extra_files(given)
