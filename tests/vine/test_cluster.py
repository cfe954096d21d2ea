"""A cluster of sites on this machine: pinning, scaling, closing, and what it says of bad input."""

from __future__ import annotations

from collections.abc import Iterator

import dask
import pytest
from distributed import Client, get_worker

from cachingclient.vine import VineCluster


def place() -> str:
    """The name of the worker that runs this."""
    return str(get_worker().name)


@pytest.fixture(scope="module")
def vine() -> Iterator[VineCluster]:
    """Two workers at RAL and one at Bristol."""
    with VineCluster({"RAL": 2, "Bristol": 1}) as cluster:
        yield cluster


@pytest.fixture
def vine_client(vine: VineCluster) -> Iterator[Client]:
    """distributed's own client on these."""
    with Client(vine, set_as_default=False) as client:
        client.wait_for_workers(3)
        yield client


@pytest.mark.parametrize("annotation", [{"site": "Bristol"}, {"resources": {"site:Bristol": 1}}])
def test_tasks_go_where_they_are_pinned(vine_client: Client, annotation: dict[str, object]) -> None:
    """A region of a graph that is annotated with a site runs there, however it is spelled."""
    with dask.annotate(**annotation):
        tasks = [dask.delayed(place, pure=False)() for _ in range(6)]
        assert set(vine_client.gather(vine_client.compute(tasks))) == {"Bristol-0"}
