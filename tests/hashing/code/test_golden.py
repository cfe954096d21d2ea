"""Golden keys: the canonical form of code is the same in every process, on every machine, in every release.

A change of the form that is meant raises `CANONICAL_VERSION` and renews the keys below; run this file to print them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import enum, functools
from dataclasses import dataclass
CUT, TAGS = 30, {"a", "b", "c"}
@dataclass
class Config:
    pt: float = 25.0
    def scaled(self, by=2): return self.pt * by
class Kind(enum.Enum):
    A = 1
    B = "b"
def plain(x, *, by: int = 3): return x + by
def reads(x):
    "Doc."
    return [v for v in x if v > CUT and v not in TAGS]
def flow(x):
    try:
        for i in range(x):
            if i % 2 or i == 7: continue
            a, b = i, x
            yield a - b
    except ValueError as error:
        raise TypeError(f"{error!r}") from None
def outer(n):
    def inner(x): return plain(x) * n
    return inner
closure = outer(4)
partial = functools.partial(plain, by=5)
def classes(x): return Config().scaled() + Kind.A.value
@functools.lru_cache
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
"""
NAMES = ("plain", "reads", "flow", "closure", "partial", "classes", "fib", "Config", "Kind")
SCRIPT = f"""
import json, sys, types
from cachingclient.hashing.identify import identify
from cachingclient.hashing.environment.environment import Environment
module = sys.modules["golden"] = types.ModuleType("golden")
exec(compile({PROGRAM!r}, "<golden>", "exec"), module.__dict__)
bare = Environment(ignore=frozenset({{"python"}}))
print(json.dumps({{name: identify(getattr(module, name), None, bare).digest for name in {NAMES!r}}}))
"""
GOLDEN: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("golden.json").read_text())
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def keys(seed: int) -> dict[str, str]:
    """Return the keys as a fresh interpreter finds them."""
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True, cwd="/"
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("seed", [0, 1, 77, 4242])
def test_keys_are_golden(seed: int) -> None:
    """Fresh interpreters find the keys that are written down, whatever their hash seed."""
    if VERSION not in GOLDEN:
        pytest.skip(f"no golden keys for Python {VERSION} yet")
    assert keys(seed) == GOLDEN[VERSION]


if __name__ == "__main__":
    GOLDEN[VERSION] = keys(0)
    Path(__file__).with_name("golden.json").write_text(json.dumps(GOLDEN, indent=1, sort_keys=True) + "\n")
