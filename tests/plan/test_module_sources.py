"""The sources of modules that are not imported: found without importing them, with those that they import."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from cachingclient.plan.module_sources import source_digest

FILES = {
    "models_of_tests/__init__.py": "raise RuntimeError('imported')",
    "models_of_tests/linear.py": "import json\nfrom numpy import array\nfrom . import helpers\n"
    "from .shapes import one\nimport models_of_tests.many.one",
    "models_of_tests/helpers.py": "two = 2",
    "models_of_tests/shapes.py": "one = 1",
    "models_of_tests/many/__init__.py": "five = 5",
    "models_of_tests/many/one.py": "six = 6",
    "models_of_tests/beside.py": "three = 3",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that is on the path."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "models_of_tests"


@pytest.mark.parametrize(
    ("edited", "counts"),
    [
        ("linear", True),
        ("helpers", True),
        ("shapes", True),
        ("many/one", True),
        ("many/__init__", True),
        ("__init__", True),
        ("beside", False),
    ],
)
def test_what_it_imports_counts(folder: Path, edited: str, counts: bool) -> None:
    """Of the user's modules, and the packages that they are in; nothing is imported to find out."""
    before = source_digest("models_of_tests.linear")
    assert before
    (folder / f"{edited}.py").write_text("one = two = three = 4\n# edited")
    assert (source_digest("models_of_tests.linear") != before) == counts
    assert not any(name.startswith("models_of_tests") for name in sys.modules)


@pytest.mark.parametrize(
    "statement",
    [
        "import importlib\nimportlib.import_module('models_of_tests.beside')",
        "from importlib import import_module\nimport_module('.beside', __package__)",
        "import importlib\nimportlib.import_module('..beside', package='models_of_tests.many')",
        "__import__('models_of_tests.beside')",
    ],
)
def test_what_a_call_imports_by_a_constant_counts(folder: Path, statement: str) -> None:
    """As an import statement does."""
    (folder / "linear.py").write_text(statement)
    before = source_digest("models_of_tests.linear")
    (folder / "beside.py").write_text("three = 4")
    assert before
    assert source_digest("models_of_tests.linear") != before


@pytest.mark.parametrize(
    "statement",
    [
        "import importlib\nimportlib.import_module('models_of_tests.' + 'beside')",
        "import importlib\nload = importlib.import_module\nload('models_of_tests.beside')",
        "from importlib import import_module as load\nload('models_of_tests.beside')",
        "__import__(NAME)",
        "from importlib import import_module\nimport_module('.beside', PACKAGE)",
        "exec(TEXT)",
        "import runpy\nrunpy.run_path('beside.py')",
        "from importlib.util import spec_from_file_location\nspec_from_file_location('beside', 'beside.py')",
    ],
)
def test_what_runs_other_code_than_it_names_has_none(folder: Path, statement: str) -> None:
    """Nobody can tell from its source what it is."""
    (folder / "linear.py").write_text(statement)
    assert source_digest("models_of_tests.linear") == ""


def test_what_is_nowhere_has_none(folder: Path) -> None:
    """Neither have libraries, whose versions count, and what is compiled."""
    assert source_digest("models_of_tests.cubic") == source_digest("json") == source_digest("math.pi") == ""


def test_what_was_edited_after_its_import_has_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is not what this process runs; of modules that it has not imported nothing can be older."""
    monkeypatch.setitem(sys.modules, "models_of_tests.helpers", types.ModuleType("models_of_tests.helpers"))
    helpers = folder / "helpers.py"
    vars(sys.modules["models_of_tests.helpers"])["__file__"] = str(helpers)
    written = helpers.stat().st_ctime
    assert source_digest("models_of_tests.linear", lambda _: written + 1)
    assert source_digest("models_of_tests.linear", lambda _: written - 1) == ""
