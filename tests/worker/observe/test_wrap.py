"""Wrappers are put in place while other threads import."""

from __future__ import annotations

import gc
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from cachingclient.worker.observe.wrap import replace


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A module more at each collection of garbage, of which each new object makes one: their names."""
    names: list[str] = []
    numbers = itertools.count()

    def import_one(phase: str, info: Any) -> None:
        names.append(f"json.made_meanwhile_{next(numbers)}")
        sys.modules[names[-1]] = ModuleType(names[-1])

    before = gc.get_threshold()
    gc.callbacks.append(import_one)
    gc.set_threshold(1)
    yield names
    gc.set_threshold(*before)
    gc.callbacks.remove(import_one)
    for name in names:
        del sys.modules[name]


def test_modules_that_are_imported_meanwhile_do_no_harm(imports: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The function is replaced wherever its package has it."""
    made: list[Callable[..., str]] = []

    def make(original: Callable[..., str]) -> Callable[..., str]:
        made.append(original)
        return lambda value: "replaced"

    original = json.dumps
    monkeypatch.setattr(json, "dumps", original)  # so that it is put back
    replace(json, "dumps", make)
    assert imports
    assert made == [original]
    assert json.dumps({}) == "replaced"
    assert json.loads("{}") == {}
