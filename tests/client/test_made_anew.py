"""Results that are made anew, as their time is over or all is to run: the new one takes the place of the old one."""

from __future__ import annotations

from collections.abc import Callable

import dask
import numpy as np
import pytest

from cachingclient import DiracClient, step

AT_ONCE, LONG = 1e-9, 3600.0


def actions(client: DiracClient, ttl: float | None, call: str) -> list[str]:
    """What became of a step in a session of its own, whose result may be so old."""

    def square_for_a_while(x: int) -> int:
        return x * x

    with dask.annotate(cache={} if ttl is None else {"ttl": ttl}):
        if call == "submit":
            future = client.submit(square_for_a_while, 7)
        elif call == "task":
            future = client.compute(dask.delayed(square_for_a_while)(7))
        else:
            marked = step(ttl=ttl)(square_for_a_while)
            future = client.submit(lambda: marked(7), pure=False)
        assert future.result() == 49
    client.flush()
    told = [record.action for record in client.report.records if record.name == "square_for_a_while"]
    client.close()
    return told


@pytest.mark.parametrize("call", ["submit", "task", "inside a task"])
def test_what_has_expired_runs_and_its_result_takes_the_place(
    make_client: Callable[..., DiracClient], call: str
) -> None:
    """Also where nobody knows yet that the step is quick, so that a worker asks whether another client runs it."""
    runs = [actions(make_client(policy="all"), ttl, call) for ttl in (AT_ONCE, AT_ONCE, LONG, LONG)]
    assert runs[:3] == [["ran"]] * 3
    assert runs[3] in (["loaded"], ["cut off"])


@pytest.mark.parametrize("size", [10, 100_000], ids=["small", "large"])
def test_what_was_refreshed_is_found(make_client: Callable[..., DiracClient], size: int) -> None:
    """Large results lie beside their descriptions: the old description takes no new result with it."""

    def noise(length: int) -> np.ndarray:
        return np.random.default_rng(1).random(length)

    found = []
    for mode in ("readwrite", "refresh", "refresh", "readwrite"):
        client = make_client(policy="all", mode=mode)
        client.submit(noise, size).result()
        client.flush()
        found.append([record.action for record in client.report.records])
        client.close()
    assert found == [["ran"], ["ran"], ["ran"], ["loaded"]]
