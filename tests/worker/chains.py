"""Chains of maps, and stores that lose what they have."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cachingclient import DiracClient

COUNT = 6


def block(number: int) -> np.ndarray:
    return np.full(50_000, number)


def doubled(values: np.ndarray) -> np.ndarray:
    return values * 2


def summed(values: np.ndarray) -> float:
    return float(values.sum())


def merged(parts: Iterable[Any]) -> float:
    return float(sum(np.sum(part) for part in parts))


def chain(client: DiracClient) -> list[list[Any]]:
    """Three maps, each over the futures of the one before."""
    blocks = client.map(block, range(COUNT))
    twice = client.map(doubled, blocks)
    return [blocks, twice, client.map(summed, twice)]


EXPECTED = [100_000.0 * number for number in range(COUNT)]


def counts(client: DiracClient) -> tuple[int, int]:
    """How many steps the client's graphs loaded and ran."""
    client.flush()
    totals: dict[tuple[Any, str], str] = {}
    for report in client.reports:
        totals |= {(record.key, record.name): record.action for record in report.records}
    actions = list(totals.values())
    return actions.count("loaded"), actions.count("ran")


def lose(folder: Path) -> None:
    """Take every entry out of a store."""
    for shard in [*(folder / "v1").glob("steps/*"), *(folder / "v1").glob("blobs/*")]:
        shutil.rmtree(shard)
