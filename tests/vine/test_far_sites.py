"""The ttbar example at two sites 20 ms apart, whose workers can dial the head and can't be dialled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cachingclient import DiracClient
from cachingclient.vine import VineCluster
from tests.services.conftest import service_folder
from tests.services.sites import Sites
from tests.support.waiting import until

pytestmark = [pytest.mark.services, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
AGC = ROOT / "examples" / "agc"


@pytest.fixture(scope="module")
def far() -> Iterator[Sites]:
    """Two sites, each 10 ms from the head; nobody can dial them."""
    with service_folder() as folder, Sites(folder, {"RAL": 10, "Bristol": 10}) as far:
        far.firewall()
        yield far


@pytest.fixture
def open_cluster(far: Sites) -> Iterator[Callable[..., VineCluster]]:
    """Open clusters with two workers at each of the two sites; the test is on the head."""
    path = f"PYTHONPATH={AGC}{os.pathsep}{ROOT}"
    described = {
        name: {"workers": 2, "how": "command", "options": {"commands": [far[name].command(["env", path])]}}
        for name in ("RAL", "Bristol")
    }
    with far["head"].entered():

        def make(**options: Any) -> VineCluster:
            return VineCluster(described, host=far["head"].address, tunnel=True, **options)

        yield make


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Callable[[], Any], Any]]:
    """What builds the analysis of some hundred events, and the histograms that it gives without any cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(AGC)
        patch.syspath_prepend(ROOT / "benchmarks" / "agc")
        from assembly import build
        from generator.make_data import make_data
        from samples import read_samples

        samples = read_samples(make_data(tmp_path_factory.mktemp("samples"), scale=0.01))[:4]
        yield lambda: build(samples, 150), build(samples, 150).compute(scheduler="sync")


def test_cold_then_warm(
    open_cluster: Callable[..., VineCluster],
    example: tuple[Callable[[], Any], Any],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The first cluster runs everything, and hardly anything crosses; the next one loads the end of it."""
    from run import same

    build, expected = example
    for run in ("cold", "warm"):
        with (
            open_cluster() as cluster,
            DiracClient(cluster, cache=(tmp_path / "cache").as_uri(), policy="all") as client,
        ):
            client.wait_for_workers(4)
            assert same(client.compute(build()).result(), expected)
            client.flush()
            assert client.report is not None
            total = client.report.to_dict()["total"]
            counts = cluster.status().to_dict()["sites"]
            record_property(run, str(cluster.status()))
        if run == "cold":
            assert (total["loaded"], total["ran"]) == (0, total["kept"])
            assert all(counts[site]["done"] > total["ran"] / 4 for site in ("RAL", "Bristol"))
        else:
            assert (total["loaded"], total["ran"]) == (1, 0)


def test_a_site_that_is_lost_half_way_costs_a_recomputation(
    open_cluster: Callable[..., VineCluster], example: tuple[Callable[[], Any], Any], tmp_path: Path
) -> None:
    """All workers of a site are killed in the middle of a run: the other one finishes, with the right histograms."""
    from run import same

    build, expected = example
    with open_cluster() as cluster, DiracClient(cluster, cache=(tmp_path / "cache").as_uri(), policy="all") as client:
        client.wait_for_workers(4)
        graph = build()
        future = client.compute(graph)
        half = len(graph.__dask_graph__()) / 4  # of a site's part
        until(lambda: cluster.status().to_dict()["sites"]["Bristol"]["done"] > half, "half of the work")
        for name in cluster.workers_of("Bristol"):
            cluster.workers[name].kill()
        assert same(future.result(), expected)
        assert cluster.status().to_dict()["sites"]["Bristol"]["workers"] == 0
