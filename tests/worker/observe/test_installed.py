"""What a step asks about installed packages, which no key knows of."""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cachingclient.worker.observe import observing


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda: importlib.util.find_spec("no_such_module"), "whether there is a no_such_module"),
        (lambda: importlib.util.find_spec("numpy"), "whether there is a numpy"),
        (lambda: importlib.metadata.version("numpy"), "whether there is a numpy, and in which version"),
        (lambda: importlib.metadata.metadata("numpy"), "whether there is a numpy, and in which version"),
        (lambda: importlib.metadata.entry_points(group="console_scripts"), "which packages are installed"),
        (lambda: list(importlib.metadata.distributions()), "which packages are installed"),
    ],
    ids=["no module", "module", "version", "metadata", "entry points", "all"],
)
def test_a_step_that_asks_what_is_installed_is_not_kept(ask: Callable[[], object], what: str) -> None:
    """What it got would be another once something is installed, and its key the same."""
    with observing() as seen:
        ask()
    (reason,) = seen.unknown
    assert what in reason


def test_what_a_library_asks_for_itself_does_not_count() -> None:
    """Pandas looks for its backends by their entry points: it counts with its own version."""
    with observing() as seen, pytest.raises(ValueError, match="no_such_backend"):
        pd.DataFrame({"x": [1]}).plot(backend="no_such_backend")
    assert not seen.unknown


def test_what_a_module_asks_while_it_is_imported_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its variables hold what it made of it, and count by their values."""
    text = "import importlib.metadata\n__version__ = importlib.metadata.version('numpy')\n"
    (tmp_path / "analysis_with_version.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with observing() as seen:
        version = importlib.import_module("analysis_with_version").__version__
    assert version == importlib.metadata.version("numpy")
    assert not seen.unknown
