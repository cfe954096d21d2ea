"""Code that users register with a library: what uses it does not name it."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from cachingclient.hashing.identify import identify

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


def test_an_accessor_of_pandas_counts_where_it_is_asked_for() -> None:
    """Its class counts for code that uses its name on a table, and for no other code that uses pandas."""
    pandas = pytest.importorskip("pandas")

    def register(cut: int) -> None:
        class Cuts:
            def __init__(self, table: Any) -> None:
                self.table = table

            def passed(self) -> Any:
                return self.table[self.table.pt > cut]

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it was registered before
            pandas.api.extensions.register_dataframe_accessor("cuts_of_tests")(Cuts)

    def uses(number: int) -> Any:
        return [pandas.DataFrame({"pt": [number]}).cuts_of_tests.passed() for _ in range(1)]

    def does_not(number: int) -> Any:
        return pandas.DataFrame({"pt": [number]})

    try:
        found = []
        for cut in (30, 30, 25):
            register(cut)
            found.append((identify(uses).digest, identify(does_not).digest))
    finally:
        del pandas.DataFrame.cuts_of_tests
        pandas.DataFrame._accessors.discard("cuts_of_tests")
    assert found[0] == found[1] != found[2]
    assert found[0][1] == found[2][1]
