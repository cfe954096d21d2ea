"""Engines and sites with these, for a module or for one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from distributed import Client

from cachingclient.vine import VineCluster
from tests.vine.pools import ENGINES, place_for


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an engine, where it may run."""
    name: str = request.param
    with place_for(name, tmp_path_factory.mktemp(name)):
        yield name


@pytest.fixture(scope="module")
def sites(engine: str) -> Iterator[VineCluster]:
    """A worker at each of two sites."""
    with VineCluster({"RAL": 1, "Bristol": 1}, engine=engine) as cluster:
        yield cluster


@pytest.fixture
def there(sites: VineCluster) -> Iterator[Client]:
    """distributed's own client on these."""
    with Client(sites, set_as_default=False) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture
def own_sites(engine: str) -> Iterator[VineCluster]:
    """A worker at each of two sites, for a test that breaks something."""
    with VineCluster({"RAL": 1, "Bristol": 1}, engine=engine) as cluster:
        yield cluster
