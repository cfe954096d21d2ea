"""What a step asks about installed packages, which no key knows of."""

import importlib.metadata
import importlib.util
from collections.abc import Callable

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
    """Pandas looks for its optional packages: it counts with its own version."""
    with observing() as seen, pytest.raises(ImportError):
        pd.DataFrame({"x": [1]}).to_excel("none.xlsx", engine="xlsxwriter")
    assert not seen.unknown
