"""A module of an analysis, whose steps are looked at again and again."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

SOURCE = """
import math
from pathlib import Path

import numpy as np

import noted_helpers as helpers
from cachingclient import step

cut = 30
settings = [1, 2]
named = {"a": 1, "b": {"c": [1]}}
flags = {1, 2}
packed = ([1], 2)
raw = bytearray(b"ab")
numbers = np.arange(3)
path = "data/noted.txt"
model = Path("data/model.txt")


class Base:
    shift = 1


class Selection(Base):
    cuts = [1, 2]

    def passes(self, pt):
        return pt > self.shift


def keep(*values, limit=[5], **more):
    return values


def closed():
    inside = 1

    def inner(pt, *, width=2):
        return inside + width

    return inner


inner = closed()


@step
def before(pt):
    return keep(pt)


@step
def uses(pt):
    chosen = cut, settings, named, flags, packed, path, model, math.sqrt(pt), len(settings)
    return keep(chosen, inner(pt), before(pt), helpers.helped(pt), Selection().passes(pt), np.maximum(1, pt))


@step
def reads_arrays(pt):
    return keep(raw, numbers)
"""
HELPERS = """
threshold = 3


def helped(pt):
    return pt > threshold
"""


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A module of an analysis with a helper module beside it, as their import leaves them."""
    monkeypatch.chdir(tmp_path)
    for name, source in {"noted_helpers": HELPERS, "noted_analysis": SOURCE}.items():
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(source, f"<{name}>", "exec", dont_inherit=True), module.__dict__)
    return sys.modules["noted_analysis"]
