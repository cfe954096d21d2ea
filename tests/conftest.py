"""Fixtures for every test: a cache folder of its own, and a real cluster with separate worker processes."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import hypothesis
import pytest
from distributed import Client, LocalCluster

if TYPE_CHECKING:
    from cachingclient import DiracClient

# A busy machine is no fault: by default an example may take a fifth of a second, and drawing ten of them one.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize=True
)
hypothesis.settings.load_profile("patient")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Only test modules are collected here: the programs that tests run are not imported for doctests."""
    if collection_path.suffix == ".py" and collection_path.is_relative_to(Path(__file__).parent):
        return not collection_path.name.startswith("test_") or None
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long is asked for."""
    for item in items:
        if item.get_closest_marker("matrix") and "matrix" not in config.option.markexpr:
            item.add_marker(pytest.mark.skip(reason="only with -m matrix, as make slow has it"))


@pytest.fixture
def cache_folder(tmp_path: Path) -> Path:
    """A folder for a store that does not exist yet."""
    return tmp_path / "cache"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system can only be mounted by root: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def store_url(cache_folder: Path) -> str:
    """The URL of a fresh file store."""
    return cache_folder.as_uri()


@pytest.fixture(autouse=True)
def _never_the_users_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test that names no store gets one of its own, not the cache of whoever runs the tests."""
    with dask.config.set({"cachingclient.store": tmp_path_factory.mktemp("default-store").as_uri()}):
        yield


@pytest.fixture(autouse=True)
def _no_scheduler_is_left_behind() -> None:
    """Clients that were not closed in the reverse order leave dask's default scheduler set, as distributed's own do."""
    dask.config.config.pop("scheduler", None)


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes for the whole session; tests that edit modules start their own."""
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def make_client(cluster: LocalCluster, store_url: str) -> Iterator[Callable[..., DiracClient]]:
    """Open clients on the session's cluster, with this test's store unless told otherwise; all are closed."""
    from cachingclient import DiracClient

    with ExitStack() as stack:

        def make(**kwargs: Any) -> DiracClient:
            kwargs.setdefault("cache", store_url)
            kwargs.setdefault("policy", "all")
            client: DiracClient = stack.enter_context(DiracClient(cluster.scheduler_address, **kwargs))
            return client

        yield make


@pytest.fixture
def client(make_client: Callable[..., DiracClient]) -> DiracClient:
    """A caching client that keeps everything, on a fresh store."""
    return make_client()


@pytest.fixture
def plain_client(cluster: LocalCluster) -> Iterator[Client]:
    """distributed's own client on the same cluster, to compare with; not the default client."""
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        yield client


@pytest.fixture
async def make_async_client(cluster: LocalCluster, store_url: str) -> AsyncIterator[Callable[..., Any]]:
    """Like make_client, for asynchronous clients: `client = await make_async_client()`."""
    from cachingclient import DiracClient

    # Closed by hand: a fixture is left in another context than it was entered in, which `async with` refuses.
    clients: list[DiracClient] = []

    async def make(**kwargs: Any) -> DiracClient:
        kwargs.setdefault("cache", store_url)
        kwargs.setdefault("policy", "all")
        clients.append(await DiracClient(cluster.scheduler_address, asynchronous=True, **kwargs))
        return clients[-1]

    yield make
    for client in reversed(clients):
        await client.close()


@pytest.fixture
async def async_client(make_async_client: Callable[..., Any]) -> DiracClient:
    """An asynchronous caching client that keeps everything, on a fresh store."""
    client: DiracClient = await make_async_client()
    return client
