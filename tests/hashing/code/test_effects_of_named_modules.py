"""What a module sets on import counts for a script's code too, where workers import the module for what it names."""

from __future__ import annotations

import decimal
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cachingclient.hashing.identify import identify

SETTINGS = """
import decimal, enum
DIGITS = 3
class Kind(enum.Enum):
    LOOSE = 1
class Cuts: pass
decimal.getcontext().prec = 9
"""


@pytest.fixture
def of_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Return the digest of what a script calls `cut`, beside a module with a text."""
    before = decimal.getcontext().copy()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def of(script: str, settings: str) -> str:
        (tmp_path / "settings_of_tests.py").write_text(settings)
        sys.modules.pop("settings_of_tests", None)
        importlib.invalidate_caches()
        namespace: dict[str, object] = {"__name__": "__main__"}
        exec(compile(script, "script.py", "exec", dont_inherit=True), namespace)
        return identify(namespace["cut"]).digest

    yield of
    sys.modules.pop("settings_of_tests", None)
    decimal.setcontext(before)


@pytest.mark.parametrize(
    "script",
    [
        "import settings_of_tests\ndef cut(x): return x / settings_of_tests.DIGITS",
        "def cut(x):\n    import settings_of_tests\n    return x / 3",
        "def cut(x):\n    from settings_of_tests import DIGITS\n    return x / DIGITS",
        "import settings_of_tests\ncut = (lambda module: lambda x: x / module.DIGITS)(settings_of_tests)",
        "import settings_of_tests as cut",
        "from settings_of_tests import Kind\ndef cut(x): return x / Kind.LOOSE.value",
        "from settings_of_tests import Cuts\ncut = Cuts()",
        "from settings_of_tests import Cuts as cut",
    ],
)
def test_a_module_that_is_named_counts_with_what_it_sets(of_script: Callable[[str, str], str], script: str) -> None:
    """Another precision changes what is found, a comment and the old one again don't."""
    nine = of_script(script, SETTINGS)
    assert of_script(script, SETTINGS.replace("prec = 9", "prec = 5")) != nine
    assert of_script(script, SETTINGS + "# A comment.\n") == nine


def test_a_module_whose_constant_was_taken_does_not_count(of_script: Callable[[str, str], str]) -> None:
    """A worker gets the number, and imports nothing."""
    script = "from settings_of_tests import DIGITS\ndef cut(x): return x / DIGITS"
    assert of_script(script, SETTINGS.replace("prec = 9", "prec = 5")) == of_script(script, SETTINGS)
