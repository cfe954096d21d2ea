"""The ttbar example on real servers, as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.rucio import Rucio
from tests.services.s3 import KEY, SECRET, S3Service

ROOT = Path(__file__).resolve().parents[2]


def run_example(cache: str, output: Path, **environment: str) -> dict[str, list[str]]:
    """Start the example on few events; the cells of its table by run."""
    program = [sys.executable, ROOT / "examples/agc/run.py", "--cache", cache, "--output", output]
    done = subprocess.run(
        [*map(str, program), "--policy", "all", "--scale", "0.01"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(output), **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("│ ")]
    return {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("│").split("│")] for line in lines)}


def assert_warm_is_warm(table: dict[str, list[str]]) -> None:
    """Everything equals the plain runs, and the warm run loads one result and runs nothing."""
    assert all(cells[-1] == "yes" for name, cells in table.items() if name not in ("run", "plain"))
    _, loaded, ran, *_ = table["warm"]
    assert (loaded, ran) == ("1", "0")


@pytest.mark.slow
def test_the_example_on_s3(s3_service: S3Service, tmp_path: Path) -> None:
    """Endpoint and credentials come from the environment, as for everything else that speaks S3."""
    s3_service.make_bucket("agc")
    environment = {
        "AWS_ENDPOINT_URL": s3_service.endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    assert_warm_is_warm(run_example("s3://agc/ttbar", tmp_path, **environment))


@pytest.mark.slow
def test_the_example_on_rucio(rucio_service: Rucio, tmp_path: Path) -> None:
    """As Rucio's own configuration says who we are."""
    assert_warm_is_warm(run_example(rucio_service.url("agc"), tmp_path))
