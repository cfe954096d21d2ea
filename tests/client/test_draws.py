"""Steps that draw random numbers: unseeded draws stay different, seeded ones are kept."""

from __future__ import annotations

import random
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import dask
import numpy as np
import pytest

from cachingclient import CacheWarning, DiracClient
from tests.support.reported import counts


def draw() -> float:
    return float(np.random.default_rng().random())


def drawn_from_the_global_generator() -> float:
    return float(np.random.random())


def seeded(seed: int) -> float:
    return float(np.random.default_rng(seed).random())


def square(x: int) -> int:
    return x * x


@pytest.mark.filterwarnings("ignore:.*draws random numbers")
def test_unseeded_draws_stay_different(make_client: Callable[..., DiracClient]) -> None:
    """Draws that are written alike are different draws: in one graph, and in graphs one after another."""
    for _ in range(2):
        client = make_client()
        seen: list[float] = client.compute([dask.delayed(draw)() for _ in range(3)], sync=True)
        for number in range(3):
            seen.append(client.submit(draw, key=f"draw-{number}").result())
            seen.append(dask.delayed(draw)().compute())
            client.flush()
        assert len(set(seen)) == 9
        client.close()


@pytest.mark.filterwarnings("ignore:.*draws random numbers")
def test_what_follows_draws_differs(client: DiracClient) -> None:
    """What is computed from draws that are written alike differs as they do."""
    sums = []
    for _ in range(3):
        sums.append(dask.delayed(sum)([dask.delayed(draw)() for _ in range(3)]).compute())
        sums.append(dask.delayed(abs)(dask.delayed(draw)()).compute())
        client.flush()
    assert len(set(sums)) == 6


def test_draws_from_the_global_generator_blame_no_worker(client: DiracClient) -> None:
    """A draw from NumPy's process-wide generator is warned of as what it is."""
    with warnings.catch_warnings(record=True, action="always") as seen:
        client.submit(drawn_from_the_global_generator).result()
        client.flush()
    assert not any("restart the workers" in str(warning.message) for warning in seen)
    assert any("without a seed" in str(warning.message) for warning in seen)


def test_seeded_draws_are_kept(make_client: Callable[..., DiracClient]) -> None:
    """With a seed a draw is a step like any other."""
    cold = make_client()
    expected = cold.gather(cold.map(seeded, range(3)))
    cold.close()
    warm = make_client()
    assert warm.gather(warm.map(seeded, range(3))) == expected
    assert counts(warm) == (0, 3, 0)


def asks_the_clock(x: int) -> bool:
    return time.time() > x


def test_a_step_that_asks_the_clock_is_warned_of_and_kept(make_client: Callable[..., DiracClient]) -> None:
    """Most that look at a clock only time themselves, so that it is a warning and no refusal."""
    cold = make_client()
    with pytest.warns(CacheWarning, match="time.time"):
        assert cold.submit(asks_the_clock, 0).result()
    cold.close()
    warm = make_client()
    with warnings.catch_warnings(action="ignore"):
        assert warm.submit(asks_the_clock, 0).result()
    assert counts(warm) == (0, 1, 0)


def stamped(x: int) -> tuple[int, str]:
    return x, time.strftime("%Y-%m-%d %H:%M:%S")


def named(x: int) -> tuple[int, str]:
    with tempfile.NamedTemporaryFile() as file:
        return x, file.name


GENERATOR = np.random.default_rng(3)


def goes_on(x: int) -> float:
    return x + float(GENERATOR.normal())


SEEDS = np.random.SeedSequence(3)


def spawns(x: int) -> float:
    return x + float(np.random.default_rng(SEEDS.spawn(1)[0]).normal())


SOURCE = np.random.SeedSequence(4)


def spawns_nothing(x: int) -> float:
    return x + float(np.random.default_rng(SOURCE).normal())


@pytest.mark.filterwarnings("ignore:.*:cachingclient.CacheWarning")
@pytest.mark.parametrize(
    ("function", "why"),
    [
        (stamped, "its result holds the time at which it ran"),
        (named, "its result holds the name of a temporary file"),
        (goes_on, "goes on from call to call"),
        (spawns, "its code holds a SeedSequence, which goes on from call to call"),
    ],
)
def test_what_is_true_of_one_run_alone_is_not_kept(
    make_client: Callable[..., DiracClient], function: Callable[[int], object], why: str
) -> None:
    """Neither the step nor what follows it is loaded in a later session, and the report says why."""
    notes = []
    for _ in range(2):
        client = make_client()
        client.submit(str, client.submit(function, 1)).result()
        client.flush()
        notes += [record.note for report in client.reports for record in report.records]
        assert all(report.summary().total.loaded == 0 for report in client.reports)
        client.close()
    assert any(why in note for note in notes)


def test_a_seed_sequence_that_spawns_nothing_stays_as_it_is(make_client: Callable[..., DiracClient]) -> None:
    """A generator that is made of it is the same in each call, and its result is kept."""
    before = make_client()
    value = before.submit(spawns_nothing, 1).result()
    before.flush()
    client = make_client()
    assert client.submit(spawns_nothing, 1).result() == value
    assert client.report.summary().total.loaded == 1


def test_the_clients_own_process_draws_nothing_that_the_user_would(tmp_path: Path) -> None:
    """Where a cluster is in the client's process, keeping many results moves no generator of the user's code."""
    with DiracClient(processes=False, dashboard_address=":0", cache=tmp_path.as_uri(), policy="all") as client:
        random.seed(7)
        np.random.seed(7)
        before = random.getstate(), np.random.get_state()[1].tolist()
        assert client.gather(client.map(square, range(300))) == [square(number) for number in range(300)]
        client.flush()
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before
        assert not any(record.note for report in client.reports for record in report.records)
        assert sum(record.kept for report in client.reports for record in report.records) == 300
