"""Tables of overloads that mixins fill from sets of names."""

import os
import subprocess
import sys
from pathlib import Path

MIXINS = """
import awkward as ak
import numpy as np

behavior = {}

@ak.mixin_class(behavior)
class Vector:
    @ak.mixin_class_method(np.add, {"Vector", "Point", "Jet", "Muon", "Photon", "Tau"})
    def add(self, other):
        return self.pt + other.pt

@ak.mixin_class(behavior)
class Tagged(Vector):
    @property
    def tight(self):
        return self.pt > 30

def select(jets):
    return ak.with_name(jets, "Tagged", behavior=behavior).tight
"""
TELL = """
from cachingclient.hashing.identify import identify
from mixins import behavior, select

print(identify(select).digest, "|".join(map(str, behavior)))
"""


def told(folder: Path, seed: int, source: str = MIXINS) -> list[str]:
    """Return the digest of `select` in a process with a seed of hashes, and the order of the keys there."""
    (folder / "mixins.py").write_text(source)
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TELL],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return found.stdout.split(maxsplit=1)


def test_a_table_of_mixins_is_the_same_in_every_process(tmp_path: Path) -> None:
    """`mixin_class` goes through a set of names: the client and its workers have other orders of one table."""
    digests, orders = zip(*(told(tmp_path, seed) for seed in range(3)), strict=True)
    assert len(set(digests)) == 1
    assert len(set(orders)) > 1


def test_what_a_mixin_does_still_counts(tmp_path: Path) -> None:
    first, _ = told(tmp_path, 1)
    edits = [
        MIXINS.replace("> 30", "> 40"),
        MIXINS.replace("self.pt + other.pt", "self.pt - other.pt"),
        MIXINS.replace('"Muon"', '"Electron"'),
        MIXINS.replace("np.add", "np.subtract"),
    ]
    assert len({first, *(told(tmp_path, 1, edit)[0] for edit in edits)}) == 5


def test_the_rest_of_such_a_table_keeps_its_order(tmp_path: Path) -> None:
    """A program that goes through the table sees which entry of its own is first."""
    ways = ['\nbehavior["a"] = 1\nbehavior["b"] = 2\n', '\nbehavior["b"] = 2\nbehavior["a"] = 1\n']
    assert len({told(tmp_path, 1, MIXINS + way)[0] for way in ways}) == 2
