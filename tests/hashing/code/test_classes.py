"""What is set on parts of a class beside what they are: it counts, since a program can read it."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from cachingclient.hashing.identify import identify

_FIELDS = (
    "import dataclasses\n@dataclasses.dataclass\nclass C:\n    pt: float = dataclasses.field(default=3, metadata={})\n"
)
_ENUM = "import enum\nclass E(enum.Enum):\n    A = 'a'\nE.A.label = {}\ndef f(): return E.A.label"
_MODEL = "from typing import Annotated\nfrom pydantic import BaseModel, Field, AfterValidator, dataclasses\n"

SOURCES = {
    "metadata of a dataclass field": _FIELDS.replace("{}", "{{'unit': {}}}") + "def f(): return dataclasses.fields(C)",
    "attribute of a member": _ENUM,
    "attribute of a static method": "class C:\n    @staticmethod\n    def m(): pass\n    m.t = {}\ndef f(): return C.m",
    "bound of a model": _MODEL + "class C(BaseModel):\n    pt: float = Field(3, ge={})\ndef f(x): return C(pt=x)",
    "annotated bound": _MODEL + "class C(BaseModel):\n    pt: Annotated[float, Field(ge={})]\ndef f(x): return C(pt=x)",
    "annotated validator": _MODEL
    + "class C(BaseModel):\n    pt: Annotated[float, AfterValidator(lambda pt: pt + {})]\ndef f(x): return C(pt=x)",
    "bound of a pydantic dataclass": _MODEL
    + "@dataclasses.dataclass\nclass C:\n    pt: float = Field(3, ge={})\ndef f(x): return C(pt=x)",
}


def made(source: str) -> Any:
    """Return the function ``f`` of a source."""
    module = types.ModuleType("made")
    exec(compile(source, "<made>", "exec", dont_inherit=True), module.__dict__)
    return module.f


@pytest.mark.parametrize("kind", SOURCES)
def test_what_is_set_beside_counts(kind: str) -> None:
    """Another value is another identity; the same made again is none."""
    if "pydantic" in SOURCES[kind]:
        pytest.importorskip("pydantic")
    first, again, other = (identify(made(SOURCES[kind].format(value))).digest for value in (1, 1, 2))
    assert first == again != other


def test_a_static_method_without_more_is_as_it_was() -> None:
    """What a static method has of its function counts once, with the function."""
    source = "class C:\n    @staticmethod\n    def m():\n        {}\n        return 1\ndef f(): return C.m()"
    assert identify(made(source.format("'one'"))).digest == identify(made(source.format("'two'"))).digest


FROZEN = """
import attrs

@attrs.frozen(cache_hash={cached})
class Region:
    low: float
    name: str = attrs.field(eq=str.lower)

if __name__ == "__main__":
    from cachingclient.hashing.identify import identify
    region = Region({low}, "signal")
    hash(region)
    print(identify(Region).digest, identify(region).digest)
"""

REGIONS = """
class Region:
    low = high = None

    def __init__(self, low):
        self.low = low

def names():
    return list(vars(Region))
"""


@pytest.mark.parametrize("cached", [False, True])
def test_the_hash_of_a_frozen_class_of_attrs_counts_without_its_salt(cached: bool, tmp_path: Path) -> None:
    """attrs writes a number into the method that differs from process to process; what is hashed counts."""

    def digests(low: int, seed: int, *edit: str) -> list[str]:
        text = FROZEN.format(cached=cached, low=low)
        (tmp_path / "regions.py").write_text(text.replace(*edit) if edit else text)
        env = {**os.environ, "PYTHONHASHSEED": str(seed)}
        return subprocess.run(
            [sys.executable, "regions.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        ).stdout.split()

    kind, region = digests(20, seed=1)
    assert digests(20, seed=2) == [kind, region]
    same, other = digests(30, seed=2)
    assert same == kind
    assert other != region
    assert digests(20, 2, "eq=str.lower", "eq=str.upper")[0] != kind


def test_that_an_object_was_pickled_is_no_change_of_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python leaves a note of slots in the class; code that goes through the class's variables has it as before."""
    (tmp_path / "regions.py").write_text(REGIONS)
    monkeypatch.syspath_prepend(tmp_path)
    regions = importlib.import_module("regions")
    before = identify(regions.names).digest
    pickle.dumps(regions.Region(30))
    assert "__slotnames__" in vars(regions.Region)
    assert identify(regions.names).digest == before
    (tmp_path / "same.py").write_text(REGIONS)
    (tmp_path / "other.py").write_text(REGIONS.replace("low = high = None", "high = low = None"))
    same, other = (identify(importlib.import_module(name).names).digest for name in ("same", "other"))
    assert same == before != other
