"""Random chains of maps, edited, with futures let go and entries lost on the way: right results, and nothing left."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import wait

from cachingclient import DiracClient
from tests.support.waiting import until

Place = tuple[int, int]  # layer, position

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")]


def leaf(number: int) -> np.ndarray:
    return np.full(1500, float(number))  # too large to travel with the graph


def total(parts: Sequence[np.ndarray], constant: int) -> np.ndarray:
    return np.sum(parts, axis=0) / 2 + constant


@dataclass
class Chain:
    """Layers of sums: for each the positions that it takes from the layer before, its constants, and what is kept."""

    taken: list[list[list[int]]]
    constants: list[list[int]]
    kept: list[bool]

    @classmethod
    def drawn(cls, rng: random.Random) -> Chain:
        widths = [4, *(rng.randint(1, 4) for _ in range(rng.randint(2, 5)))]
        taken: list[list[list[int]]] = [[[] for _ in range(4)]]
        for before, width in itertools.pairwise(widths):
            taken.append([rng.sample(range(before), rng.randint(1, before)) for _ in range(width)])
        constants = [[rng.randint(0, 3) for _ in range(width)] for width in widths]
        return cls(taken, constants, [rng.random() < 0.7 for _ in widths])

    def edit(self, rng: random.Random) -> None:
        """Give one constant in ten another value."""
        for layer in self.constants:
            layer[:] = [constant + 10 * (rng.random() < 0.1) for constant in layer]

    def expected(self) -> dict[Place, np.ndarray]:
        found: dict[Place, np.ndarray] = {}
        for number, layer in enumerate(self.taken):
            for place, (before, constant) in enumerate(zip(layer, self.constants[number], strict=True)):
                parts = [found[number - 1, other] for other in before]
                found[number, place] = total(parts, constant) if number else leaf(constant)
        return found

    def send(self, client: DiracClient, between: Callable[[dict[Place, Any]], None]) -> dict[Place, Any]:
        """Send a map a layer; `between` them futures may be let go."""
        futures: dict[Place, Any] = {}
        before: list[Any] = []
        for number, layer in enumerate(self.taken):
            with dask.annotate(**({} if self.kept[number] else {"cache": False})):
                parts = [[before[other] for other in taken] for taken in layer]
                constants = self.constants[number]
                before = client.map(total, parts, constants) if number else client.map(leaf, constants)
            parts.clear()
            between(futures)
            futures |= {(number, place): future for place, future in enumerate(before)}
        return futures


@pytest.mark.parametrize("seed", range(20))
def test_random_chains(make_client: Callable[..., DiracClient], cache_folder: Path, seed: int) -> None:
    """Whatever is edited, let go and lost, each future that stays has its result; then the client forgets them all."""
    rng = random.Random(seed)
    chain = Chain.drawn(rng)
    cold = make_client()
    cold.gather(chain.send(cold, lambda futures: None))
    cold.close()
    chain.edit(rng)
    client = make_client()

    def lose(share: float) -> None:
        for shard in [*cache_folder.glob("v1/steps/*"), *cache_folder.glob("v1/blobs/*")]:
            if rng.random() < share:
                shutil.rmtree(shard, ignore_errors=True)

    def between(futures: dict[Place, Any]) -> None:
        for place in [place for place in futures if rng.random() < 0.7]:
            del futures[place]
        if rng.random() < 0.1:
            lose(rng.choice([0.3, 1.0]))

    futures = chain.send(client, between)
    if rng.random() < 0.5:
        wait(futures.values(), timeout=300)
    lose(rng.choice([0.0, 0.3, 1.0]))
    expected = chain.expected()
    summed = client.submit(total, list(futures.values()), 0).result(timeout=300)
    assert np.allclose(summed, total([expected[place] for place in futures], 0))
    for place, result in client.gather(futures).items():
        assert np.array_equal(result, expected[place])
    futures.clear()
    until(lambda: not client.futures and not client._registry.taken, "the client holds keys that nobody wants")
