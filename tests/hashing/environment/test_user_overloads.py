"""Code that users register with a library: what uses it does not name it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HELPER = """
import numba
from numba.extending import overload

def shift(x):
    pass

@overload(shift)
def _shift(x):
    def shifted(x):
        return x + {cut}
    return shifted

@numba.njit
def step(x):
    return shift(x)
"""


def digest_with(cut: float, folder: Path) -> str:
    """The identity of a compiled function whose overload has a constant, in a process of its own."""
    (folder / "helper_with_overload.py").write_text(HELPER.format(cut=cut))
    program = (
        "from cachingclient.hashing.identify import identify\nimport helper_with_overload\n"
        "print(identify(helper_with_overload.step).digest)"
    )
    done = subprocess.run([sys.executable, "-B", "-c", program], capture_output=True, text=True, cwd=folder, check=True)
    return done.stdout


def test_a_constant_of_a_numba_overload_counts(tmp_path: Path) -> None:
    """The compiled function calls what Numba was taught, which its own code does not show."""
    assert digest_with(30.0, tmp_path) == digest_with(30.0, tmp_path)
    assert digest_with(30.0, tmp_path) != digest_with(50.0, tmp_path)
