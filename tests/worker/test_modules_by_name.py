"""Modules that a step reaches by a pickle, a name or a file: an edit of them, or of what they import, runs it again."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pickle
import pkgutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dask
import pandas as pd
import pytest
import yaml

from cachingclient import step
from cachingclient.worker import modules_by_name
from cachingclient.worker.context import configured_context
from cachingclient.worker.observe import Observed, current, doors, observing
from cachingclient.worker.observe.observing import install
from cachingclient.worker.recent_results import recent_results
from tests.worker.running import Heard

MODULES = ("models_of_tests", "scales_of_tests", "others_of_tests")
MODEL = """
import others_of_tests
from scales_of_tests import SCALE

class Model:
    def predict(self, x):
        return SCALE * x
"""
SCALE = "SCALE = 2\n"


def from_pickle(path: Path, x: int) -> Any:
    with path.open("rb") as file:
        return pickle.load(file).predict(x)


def from_pickle_of_a_known_class(path: Path, x: int) -> Any:
    from models_of_tests import Model  # type: ignore[import-not-found]

    with path.open("rb") as file:
        model = pickle.load(file)
    return Model.predict(model, x)


def from_pickle_in_a_pool(path: Path, x: int) -> Any:
    """By a thread in which no code of the user's runs."""
    with path.open("rb") as file, ThreadPoolExecutor() as pool:
        return pool.submit(pickle.load, file).result().predict(x)


def from_pickle_by_a_reader(path: Path, x: int) -> Any:
    """By a library's function that is looked at, as torch's."""
    return pd.read_pickle(path).predict(x)


def from_path(path: Path, x: int) -> Any:
    spec = importlib.util.spec_from_file_location("configuration", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VALUE * x


def from_name(_: Path, x: int) -> Any:
    """By ``importlib.import_module``, as entry points are loaded."""
    return pkgutil.resolve_name("models_of_tests:Model")().predict(x)


def from_configuration(_: Path, x: int) -> Any:
    """By a call of ``__import__``."""
    return yaml.unsafe_load("!!python/object:models_of_tests.Model {}").predict(x)


def by_a_library_that_comes_later(_: Path, x: int) -> Any:
    """By a call of ``__import__`` in a module that is loaded within the step."""
    import pydoc

    model: Any = pydoc.locate("models_of_tests.Model")
    return model().predict(x)


def compiled_elsewhere(_: Path, x: int) -> Any:
    from others_of_tests import scale  # type: ignore[import-not-found]

    return scale(x)


class Analysis:
    """Modules, a pickled model and a configuration that use them, in a process that keeps what steps give."""

    def __init__(self, folder: Path, heard: Heard) -> None:
        self.folder, self._heard = folder, heard
        self.model, self.configuration = folder / "model.pkl", folder / "configuration.py"

    def write(self, name: str, text: str) -> None:
        """Write a module, to be imported anew."""
        (self.folder / f"{name}.py").write_text(text)
        for each in MODULES:
            sys.modules.pop(each, None)
        importlib.invalidate_caches()

    def run(self, function: Callable[..., Any], path: Path) -> tuple[Any, bool, str]:
        """Return the result, whether the step ran for it, and why it was not kept."""
        recent_results().clear()
        result = step(function)(path, 3)
        (record,) = self._heard.take()
        return result, record.action == "ran", record.note


@pytest.fixture
def analysis(tmp_path: Path, store_url: str, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Analysis]:
    """An analysis whose modules are imported right after they are written."""
    monkeypatch.setattr(modules_by_name, "_CLOCKS_DIFFER", 0.0)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    made = Analysis(tmp_path, heard)
    for name, text in zip(MODULES, (MODEL, SCALE, "\n"), strict=True):
        made.write(name, text)
    made.model.write_bytes(pickle.dumps(importlib.import_module("models_of_tests").Model()))
    made.configuration.write_text("import scales_of_tests\nVALUE = scales_of_tests.SCALE\n")
    made.write("others_of_tests", "\n")
    with dask.config.set({"cachingclient.store": store_url, "cachingclient.policy": "all"}):
        configured_context.cache_clear()
        yield made
    configured_context.cache_clear()
    for each in MODULES:
        sys.modules.pop(each, None)


NAMES = [
    (from_pickle, "model"),
    (from_pickle_in_a_pool, "model"),
    (from_pickle_by_a_reader, "model"),
    (from_path, "configuration"),
    (from_name, "configuration"),
    (from_configuration, "configuration"),
    (by_a_library_that_comes_later, "configuration"),
]


@pytest.mark.parametrize(("function", "name"), NAMES)
def test_a_module_behind_it_counts(
    analysis: Analysis, function: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit of a constant two modules away runs the step; nothing edited, or put back, runs nothing."""
    monkeypatch.delitem(sys.modules, "pydoc", raising=False)
    reader = doors.Door("pandas.io.pickle", "read_pickle", "filepath_or_buffer", "r")
    monkeypatch.setattr(pd, "read_pickle", functools.wraps(pd.read_pickle)(doors._wrap([reader], pd.read_pickle)))
    path = getattr(analysis, name)
    assert analysis.run(function, path) == (6, True, "")
    assert analysis.run(function, path) == (6, False, "")
    analysis.write("scales_of_tests", "SCALE = 5\n")
    assert analysis.run(function, path) == (15, True, "")
    analysis.write("scales_of_tests", SCALE)
    assert analysis.run(function, path) == (6, False, "")


def test_what_the_code_leads_to_counts_by_what_it_does(analysis: Analysis) -> None:
    """A comment beside a class that the step names runs nothing, an edit of a method does."""
    assert analysis.run(from_pickle_of_a_known_class, analysis.model) == (6, True, "")
    analysis.write("models_of_tests", f"# A comment.\n{MODEL}")
    assert analysis.run(from_pickle_of_a_known_class, analysis.model) == (6, False, "")
    analysis.write("models_of_tests", MODEL.replace("SCALE * x", "SCALE + x"))
    assert analysis.run(from_pickle_of_a_known_class, analysis.model) == (5, True, "")


def test_a_worker_that_imported_it_before_the_edit(analysis: Analysis) -> None:
    """What the old code gave is not kept under the file as it is now."""
    __import__("models_of_tests")
    (analysis.folder / "scales_of_tests.py").write_text("SCALE = 50\n")
    result, ran, note = analysis.run(from_pickle, analysis.model)
    assert (result, ran) == (6, True)
    assert "scales_of_tests.py may have changed since this process imported it; restart the workers" in note


@pytest.mark.parametrize("function", [from_name, from_configuration])
def test_a_module_that_was_imported_before_the_step(analysis: Analysis, function: Callable[..., Any]) -> None:
    """Python tells of no import then; it counts all the same."""
    importlib.import_module("models_of_tests")
    assert analysis.run(function, analysis.configuration) == (6, True, "")
    analysis.write("scales_of_tests", "SCALE = 5\n")
    assert analysis.run(function, analysis.configuration) == (15, True, "")


def test_what_numba_compiles_counts_by_what_it_does(analysis: Analysis) -> None:
    """It looks for the module of the function that it was given."""
    numba = pytest.importorskip("numba")
    compiled = "import numba\n\n@numba.njit\ndef scale(x):\n    return 2 * x\n"
    assert numba.njit
    analysis.write("others_of_tests", compiled)
    assert analysis.run(compiled_elsewhere, analysis.configuration) == (6, True, "")
    analysis.write("others_of_tests", f"# A comment.\n{compiled}")
    assert analysis.run(compiled_elsewhere, analysis.configuration) == (6, False, "")


@pytest.mark.parametrize("within", [False, True], ids=["outside", "within a step"])
@pytest.mark.parametrize("how", ["import missing_of_tests", "importlib.import_module('missing_of_tests')"])
def test_an_import_that_fails_has_the_traceback_of_plain_python(
    how: str, within: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a step imports by a call passes through a function of this package, also in a worker."""
    install()
    monkeypatch.setattr(current, "outside", Observed())
    with pytest.raises(ImportError) as caught, observing() if within else nullcontext():
        exec(compile(how, "script.py", "exec"), {"importlib": importlib})
    ours = [str(entry.path) for entry in caught.traceback if "imports_by_name" in str(entry.path)]
    assert bool(ours) == (within and "import_module" in how)


def test_a_warning_of_a_module_names_who_imports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks for that by the frames around the module's."""
    install()
    monkeypatch.setattr(current, "outside", Observed())
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "old_of_tests.py").write_text("import warnings\nwarnings.warn('old', UserWarning, stacklevel=2)\n")
    for how in ("import old_of_tests", "importlib.import_module('old_of_tests')"):
        monkeypatch.delitem(sys.modules, "old_of_tests", raising=False)
        with pytest.warns(UserWarning, match="old") as warned:
            exec(compile(how, "script.py", "exec"), {"importlib": importlib})
        assert Path(warned[0].filename).name == ("script.py" if how.startswith("import ") else "__init__.py")
    monkeypatch.delitem(sys.modules, "old_of_tests", raising=False)
