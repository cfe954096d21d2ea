"""The ttbar example at each level of trust: what a shared and a signed store keep of it, beside a private one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from generator.make_data import make_data
from phase import Outcome, Phase, run
from run import same

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def order(agc: Path, tmp_path_factory: pytest.TempPathFactory) -> Phase:
    """A run on a few thousand events."""
    manifest = make_data(tmp_path_factory.mktemp("samples"), scale=0.01)
    return Phase("plain", str(agc), str(manifest), policy="all")


@pytest.fixture(scope="module")
def plain(order: Phase) -> Outcome:
    """What comes of it without a store."""
    return run(order)


@pytest.mark.parametrize(
    "level", ["signed", *(pytest.param(each, marks=pytest.mark.matrix) for each in ("private", "data"))]
)
def test_warm_is_warm(
    order: Phase, plain: Outcome, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each keeps every step, and loads one result and runs nothing: histograms are data."""
    cache, key = tmp_path / "cache", tmp_path / "key"
    cache.mkdir()
    cache.chmod(0o700 if level == "private" else 0o777)
    key.write_bytes(os.urandom(40))
    key.chmod(0o600)
    options = {"private": {}, "data": {"trust": "data"}, "signed": {"trust": "signed", "signing_key": str(key)}}[level]
    monkeypatch.setenv("DASK_CACHINGCLIENT__STORE_OPTIONS", json.dumps(options))
    cold, warm = (run(Phase(name, order.code, order.manifest, str(cache), order.policy)) for name in ("cold", "warm"))
    print(f"{level:8} cold {cold.counts['kept']:3} kept of {plain.steps}; warm {warm.counts['loaded']} loaded, "
          f"{warm.counts['ran']} ran")  # fmt: skip
    assert same(plain.histograms, cold.histograms)
    assert same(plain.histograms, warm.histograms)
    assert cold.counts["kept"] == cold.counts["ran"] == plain.steps
    assert (warm.counts["loaded"], warm.counts["ran"]) == (1, 0)
