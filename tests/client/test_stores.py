"""Clients on stores that add something to the entries: what they keep is loaded by the next client's workers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient import DiracClient, open_store


def block(number: int) -> np.ndarray:
    return np.full(50_000, number)


@pytest.fixture(params=["signed", "near", "behind", "signed and near", "data"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Options of a store."""
    key = tmp_path / "key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    signed = {"trust": "signed", "signing_key": str(key)}
    near = {"near": str(tmp_path / "near")}
    return {
        "signed": signed,
        "near": near,
        "behind": near | {"behind": True},
        "signed and near": signed | near,
        "data": {"trust": "data"},
    }[request.param]


def test_what_one_client_keeps_the_next_loads(
    make_client: Callable[..., DiracClient], store_url: str, options: dict[str, Any]
) -> None:
    """Results are right, and nothing is run again."""
    totals = []
    for _ in range(2):
        client = make_client(cache=open_store(store_url, **options))
        assert [int(value[0]) for value in client.gather(client.map(block, range(4)))] == list(range(4))
        client.flush()
        assert client.report is not None
        totals.append(client.report.summary().total)
        client.close()
    assert (totals[0].kept, totals[1].loaded, totals[1].ran) == (4, 4, 0)
