"""What must run wherever the package is installed: a step is computed, loaded, and listed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from cachingclient import DiracClient


def square(x: int) -> int:
    """Return what is kept."""
    return x**2


def main() -> None:
    """Compute a step twice, and list what is kept."""
    with tempfile.TemporaryDirectory() as folder:
        for ran in (1, 0):
            with DiracClient(processes=False, dashboard_address=None, cache=folder, policy="all") as client:
                assert client.submit(square, 7).result() == 49
                assert client.report is not None
                assert client.report.summary().total.ran == ran
        command = [str(Path(sys.executable).with_name("cachectl")), "list", "--store", folder]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "square" in listed
    print("the package computes, loads and lists")


if __name__ == "__main__":
    main()
