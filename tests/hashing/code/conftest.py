"""A module that is edited and imported again."""

from __future__ import annotations

import decimal
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cachingclient.hashing.identify import identify

Identity = Callable[..., str]
_numbers = itertools.count()


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identity]:
    """Return the digest of the function `cut` of a module with a text, beside other modules; each anew."""
    before = decimal.getcontext().copy()

    def of(text: str, **others: str) -> str:
        folder = tmp_path / str(next(_numbers))
        folder.mkdir()
        names = {"cuts_of_tests": text + "\ndef cut(x): return x / 3\n", **others}
        for name, content in names.items():
            (folder / f"{name}.py").write_text(content)
            sys.modules.pop(name, None)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            importlib.invalidate_caches()
            return identify(importlib.import_module("cuts_of_tests").cut).digest

    yield of
    for name in ("cuts_of_tests", "settings_of_tests", "digits_of_tests"):
        sys.modules.pop(name, None)
    decimal.setcontext(before)
