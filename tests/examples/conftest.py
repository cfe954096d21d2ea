"""The example, and the programs that run it and make its pages, on the import path; and a small set of its samples."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AGC = ROOT / "examples" / "agc"
PROGRAMS = (ROOT / "benchmarks" / "agc", ROOT / "benchmarks" / "topeft", ROOT / "docs" / "notebooks")
sys.path[:0] = [str(AGC), *map(str, PROGRAMS)]


@pytest.fixture(scope="session")
def agc() -> Path:
    """The folder of the example."""
    return AGC


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of 10,000 events in all, made once for the session."""
    from generator.make_data import make_data

    return make_data(tmp_path_factory.mktemp("samples"), scale=0.05)


@pytest.fixture(scope="session")
def eft_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of the processor of TopEFT's shape: 10,000 events in all."""
    from eft_data import make_eft_data

    return make_eft_data(tmp_path_factory.mktemp("eft-samples"), scale=0.05)
