"""The ttbar example with its store on real servers: plain, cold and warm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.services.rucio import Rucio
from tests.services.s3 import BEST, KEY, SECRET, S3Service, only_on

ROOT = Path(__file__).resolve().parents[2]
AGC = ROOT / "examples" / "agc"
sys.path[:0] = [str(AGC), str(ROOT / "benchmarks" / "agc")]

from generator.make_data import make_data  # noqa: E402 - the example is no package: its folder is put on the path first
from phase import Outcome, Phase, run  # noqa: E402
from run import same  # noqa: E402

pytestmark = pytest.mark.matrix


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Phase:
    """A run on a few thousand events."""
    manifest = make_data(tmp_path_factory.mktemp("samples"), scale=0.01)
    return Phase("plain", str(AGC), str(manifest), policy="all")


@pytest.fixture(scope="module")
def plain(order: Phase) -> Outcome:
    return run(order)


def assert_warm_is_warm(order: Phase, plain: Outcome, cache: str) -> None:
    """Both runs equal the plain one, and the warm one loads one result and runs nothing."""
    cold, warm = (run(Phase(name, order.code, order.manifest, cache, order.policy)) for name in ("cold", "warm"))
    assert same(plain.histograms, cold.histograms)
    assert same(plain.histograms, warm.histograms)
    assert cold.counts["kept"] == cold.counts["ran"] == plain.steps
    assert (warm.counts["loaded"], warm.counts["ran"]) == (1, 0)


@only_on(BEST)
def test_on_s3(s3_service: S3Service, order: Phase, plain: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint and credentials come from the environment, as for everything else that speaks S3."""
    s3_service.make_bucket("agc")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_service.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert_warm_is_warm(order, plain, "s3://agc/ttbar")


def test_on_rucio(
    rucio_service: Rucio,
    order: Phase,
    plain: Outcome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As Rucio's own configuration says who we are; what workers have just sent there is not taken for gone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert_warm_is_warm(order, plain, rucio_service.url("agc"))
    assert "are gone" not in capfd.readouterr().err
