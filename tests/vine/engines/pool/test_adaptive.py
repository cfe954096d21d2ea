"""A pool whose size follows what there is to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributed import Client

from cachingclient.vine import VineCluster
from tests.support.waiting import until
from tests.vine.pools import place_for, square


@pytest.mark.services
def test_a_pool_adapts(tmp_path: Path) -> None:
    """Workers come to the pool when there is work and go when there is none; the site's proxy stays."""
    with (
        place_for("workqueue", tmp_path),
        VineCluster({"RAL": 0}, engine="workqueue") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        cluster.adapt(minimum=0, maximum=2, interval="200ms", wait_count=3)
        for number in (3, 4):
            assert client.submit(square, number).result() == number**2
            until(lambda: cluster.engine.stats()["RAL"].workers == 0, "the pool to be empty")
        assert len(client.scheduler_info()["workers"]) == 1
