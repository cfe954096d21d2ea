"""The source that is kept is that of the code, or none is."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cachingclient.hashing.identify import identify
from cachingclient.plan.explain import notes_for
from cachingclient.plan.source import sources_of

MODULE = """
import functools


def passes(pt):
    return pt > 30


def select(values):
    return [value for value in values if passes(value)]


def closed(cut):
    def inner(pt):
        return pt > cut
    return inner


@functools.cache
def cached(x):
    return x + 1


def sign_in(server, password="hunter2"):
    return server


class Window:
    def has(self, value):
        return value > 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A user's module in a file."""
    (tmp_path / "kept_cuts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("kept_cuts")
    del sys.modules["kept_cuts"]


def test_functions_have_their_source(module: Any) -> None:
    """Those that a step leads to, in one file or in several."""
    found = sources_of(identify(module.select))
    assert found == {
        "kept_cuts.select": "def select(values):\n    return [value for value in values if passes(value)]\n",
        "kept_cuts.passes": "def passes(pt):\n    return pt > 30\n",
    }
    assert sources_of(identify(module.sign_in)) == {}, "it names a secret"
    assert "return value > 3" in sources_of(identify(module.Window))["kept_cuts.Window.has"]


def test_a_file_that_was_edited_since_it_was_imported_gives_none(module: Any) -> None:
    """Its lines are not those of the code that runs."""
    Path(module.__file__).write_text(MODULE.replace("pt > 30", "pt > 99"))
    linecache.checkcache(module.__file__)
    assert "kept_cuts.passes" not in sources_of(identify(module.select))
    Path(module.__file__).unlink()
    linecache.checkcache(module.__file__)
    assert sources_of(identify(module.select)) == {}


def test_no_source_is_kept_where_others_can_write_or_the_setting_says_no(module: Any) -> None:
    """Nor the files that the functions are in."""
    functions = [identify(module.select)]
    kept = [
        next(notes_for(functions, private=private, source=source)).details
        for private, source in ((True, True), (True, False), (False, True))
    ]
    assert ["source" in details for details in kept] == [True, False, False]
    assert ["places" in details for details in kept] == [True, True, False]
