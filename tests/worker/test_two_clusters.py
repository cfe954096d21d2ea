"""Several clients whose steps run in one process: each gets the records of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from distributed import LocalCluster

from cachingclient import DiracClient


def double(x: int) -> int:
    """A step."""
    return 2 * x


def test_two_clusters_in_one_process_tell_their_own_clients(store_url: str) -> None:
    """While both are open, by turns, and by one when the other is gone."""
    with DiracClient(processes=False, dashboard_address=":0", cache=store_url, policy="all") as first:
        with DiracClient(processes=False, dashboard_address=":0", cache=f"{store_url}-2", policy="all") as second:
            for number in range(3):
                for client in (first, second):
                    assert client.submit(double, number).result() == 2 * number
                    assert [record.kept for record in client.report.records] == [True]
        assert first.submit(double, 10).result() == 20
        assert [record.kept for record in first.report.records] == [True]


def test_a_flush_leaves_the_records_of_other_clients_to_them(cluster: LocalCluster, store_url: str) -> None:
    """Two clients of one cluster that flush at the same time both hear of all of their steps."""
    with (
        DiracClient(cluster, cache=store_url, policy="all") as one,
        DiracClient(cluster, cache=f"{store_url}-2", policy="all", set_as_default=False) as other,
    ):
        together = Barrier(2)

        def work(client: DiracClient, begin: int) -> list[int]:
            told = []
            for number in range(20):
                together.wait()
                client.gather(client.map(double, range(begin + 5 * number, begin + 5 * number + 5)))
                told.append(len(client.report.records))
            return told

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(work, (one, other), (0, 1000))) == [[5] * 20] * 2


def grow(values: np.ndarray) -> float:
    """A step that changes what it is given."""
    values += 1
    return float(values.sum())


def test_results_that_a_step_changed_are_not_said_to_be_gone(store_url: str, recwarn: pytest.WarningsRecorder) -> None:
    """They were removed for that: nobody took a part of the store away."""
    with DiracClient(processes=False, dashboard_address=None, cache=store_url, policy="all") as client:
        given = client.submit(np.zeros, 3)
        client.gather([client.submit(grow, given), client.submit(grow, given, pure=False)])
        client.flush()
        del given
        assert "not kept" in str(client.report)
    assert [text for text in (str(each.message) for each in recwarn) if "gone" in text] == []
