"""Random graphs while half of the workers have other code, and another client has some keys: nothing wrong is kept."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from distributed import Client, LocalCluster

from cachingclient import DiracClient

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")]
GRAPHS = 100
MODULE = """
BY = 1

def leaf(number, path):
    return number + BY + int(open(path).read())

def total(number, *parts):
    return number + sum(parts) * BY

def plain_total(number, *parts):
    return 1000 + number
"""


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LocalCluster, ModuleType]]:
    """Two workers, and a module that both have imported."""
    (tmp_path / "randomly_refused.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    import randomly_refused  # type: ignore[import-not-found]

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster, randomly_refused


def have(by: int) -> None:
    """Have the code of this process read another constant."""
    import randomly_refused

    randomly_refused.BY = by


def draw(rng: random.Random) -> list[list[int]]:
    """For each step the steps whose results it takes; those without any are leaves."""
    return [rng.sample(range(number), min(number, rng.randint(0, 3))) for number in range(rng.randint(3, 7))]


def submit(client: Client, module: ModuleType, graph: list[list[int]], name: str, path: str) -> list[Any]:
    futures: list[Any] = []
    for number, before in enumerate(graph):
        parts = [futures[each] for each in before]
        function, more = (module.total, parts) if parts else (module.leaf, [path])
        futures.append(client.submit(function, number, *more, key=f"{name}-{number}"))
    return futures


def expected(graph: list[list[int]], content: int) -> list[int]:
    values: list[int] = []
    for number, before in enumerate(graph):
        values.append(number + sum(values[each] for each in before) if before else number + 1 + content)
    return values


def test_nothing_wrong_is_kept(workers: tuple[LocalCluster, ModuleType], tmp_path: Path) -> None:
    """After the workers are mended, all graphs give what the client's code gives, whatever was kept before."""
    cluster, module = workers
    rng, store = random.Random(13), (tmp_path / "cache").as_uri()
    graphs = {f"graph{number}": draw(rng) for number in range(GRAPHS)}
    paths = {name: tmp_path / name for name in graphs}
    for path in paths.values():
        path.write_text("5")
    with Client(cluster, set_as_default=False) as other, DiracClient(cluster, cache=store, policy="all") as client:
        one = min(client.scheduler_info(n_workers=-1)["workers"])
        other.run(have, 2, workers=[one])  # after which no client asks for the code
        wrong = 0
        for name, graph in graphs.items():
            foreign = [
                other.submit(module.plain_total, number, key=f"{name}-{number}", pure=False)
                for number in range(len(graph))
                if rng.random() < 0.15
            ]
            futures = submit(client, module, graph, name, str(paths[name]))
            if rng.random() < 0.3:
                (tmp_path / "six").write_text("6")
                (tmp_path / "six").replace(paths[name])  # perhaps while a leaf reads it, perhaps before or after
            values = client.gather(futures)
            wrong += values not in (expected(graph, 5), expected(graph, 6))
            del futures, foreign
        client.flush()
        assert wrong > GRAPHS / 4, "half of the workers and the other client did give wrong results"
        other.run(have, 1)
    with DiracClient(cluster, cache=store, policy="all") as client:
        loaded = 0
        for name, graph in graphs.items():
            futures = submit(client, module, graph, f"{name}-again", str(paths[name]))
            assert client.gather(futures) == expected(graph, int(paths[name].read_text())), (name, graph)
        client.flush()
        for report in client.reports:
            loaded += report.summary().total.loaded
    assert loaded > 0, "what was right was kept"
