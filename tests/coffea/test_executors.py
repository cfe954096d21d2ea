"""The recipes of the page on coffea's executors: one cluster, whichever executor of coffea's an analysis has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

processor = pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema  # noqa: E402
from coffea.processor.executor import DEFAULT_METADATA_CACHE  # noqa: E402

from cachingclient import DiracClient  # noqa: E402
from cachingclient.vine import VineCluster  # noqa: E402
from tests.coffea.runs import CHUNKS, calls, fileset, make_processor, same  # noqa: E402
from tests.vine.pools import place_for  # noqa: E402

EXECUTORS = {
    "FuturesExecutor": lambda client: processor.FuturesExecutor(pool=client.get_executor(), status=False),
    "DaskExecutor": lambda client: processor.DaskExecutor(client=client, status=False),
}


def run(executor: Any, files: list[Path], log: Path) -> Any:
    """Run an analysis of two files with one of coffea's executors."""
    DEFAULT_METADATA_CACHE.clear()
    runner = processor.Runner(executor=executor, schema=NanoAODSchema, chunksize=30)
    return runner(fileset(files, log), processor_instance=make_processor())


@pytest.mark.services
@pytest.mark.parametrize("engine", ["dask", "workqueue"])
def test_an_analysis_switches_executors(
    engine: str, two_files: list[Path], tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one cluster both give what coffea gives without one; the second run processes no chunk."""
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)
    plain = run(processor.IterativeExecutor(status=False), two_files, tmp_path / "plain.log")
    with (
        place_for(engine, tmp_path / "place"),
        VineCluster({"RAL": 1, "Bristol": 1}, engine=engine) as cluster,
        DiracClient(cluster, cache=store_url, policy="all") as client,
    ):
        for name, executor in EXECUTORS.items():
            log = tmp_path / f"{name}.log"
            for _ in range(2):
                assert same(run(executor(client), two_files, log), plain)
                client.flush()
            assert calls(log) == CHUNKS, f"each chunk ran once with {name}"
