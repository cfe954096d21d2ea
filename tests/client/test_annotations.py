"""Annotations around a call."""

from __future__ import annotations

import shutil
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import LocalCluster, wait

from cachingclient import CacheWarning, DiracClient


def new_cluster() -> LocalCluster:
    """A cluster whose scheduler knows no tasks yet."""
    return LocalCluster(n_workers=1, processes=False, dashboard_address=":0")


def block(number: int) -> np.ndarray:
    return np.full(50_000, number)


def test_what_is_computed_again_has_the_annotations_of_its_call(store_url: str, cache_folder: Path) -> None:
    """`submit` and `map` send the annotations around them beside their graphs: a lost entry's step still has them."""
    with new_cluster() as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
        client.gather(client.map(block, [1, 2]))
    with new_cluster() as cluster, DiracClient(cluster, cache=store_url, policy="all") as client:
        with dask.annotate(colour="red"):
            futures = client.map(block, [1, 2])
        wait(futures)
        shutil.rmtree(cache_folder / "v1" / "blobs")
        with pytest.warns(CacheWarning, match="computed again"):
            assert [result[0] for result in client.gather(futures)] == [1, 2]
        known = {future.key for future in futures}
        again = [state.annotations for key, state in cluster.scheduler.tasks.items() if key not in known]
        assert [each["colour"] for each in again] == ["red", "red"]
