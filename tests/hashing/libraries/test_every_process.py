"""Identities of library values are the same in every process, whatever its hash seed and what ran before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import importlib, json, sys
from cachingclient.hashing.identify import identify
found = {}
for source in json.loads(sys.argv[1]):
    name, _, table = source.partition(":")
    values = getattr(importlib.import_module(name), table)
    for label, make in (values.items() if isinstance(values, dict) else enumerate(values())):
        made = make() if callable(make) and isinstance(values, dict) else make
        for number, value in enumerate(made if isinstance(made, tuple) else (made,)):
            found[f"{name} {label} {number}"] = identify(value).digest
print(json.dumps(found, sort_keys=True))
"""
SOURCES = [
    "tests.hashing.test_dispatch:samples",
    "tests.hashing.libraries.test_numpy:DIFFERENT",
    "tests.hashing.libraries.test_pandas:FRAMES",
    "tests.hashing.libraries.test_pandas:ARROW",
    "tests.hashing.libraries.awkward.test_hasher:ARRAYS",
    "tests.hashing.libraries.test_histograms:HISTOGRAMS",
]


def run(seed: str, sources: list[str]) -> dict[str, str]:
    """Identify the sample values of other test modules in a fresh interpreter."""
    path = [str(Path(__file__).parents[3]), *filter(None, sys.path)]
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(sources)],
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(path)},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(found.stdout)


@pytest.mark.slow
def test_identities_are_the_same_under_every_hash_seed_and_in_every_order() -> None:
    """Three interpreters with different seeds, one of which goes the other way round, agree on every value."""
    first = run("0", SOURCES)
    assert len(first) > 200
    assert run("1", SOURCES) == first
    assert run("2", SOURCES[::-1]) == first
