"""What modules set in libraries when they are imported is part of the identity of what is in them."""

from __future__ import annotations

import argparse
import gc
import importlib
import inspect
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from cachingclient.hashing.code import import_effects
from cachingclient.hashing.code.import_effects import _parsed
from cachingclient.hashing.identify import identify

Identity = Callable[..., str]


CALLED = """
import decimal, functools
def go(n, digits = 9): return decimal.setcontext(decimal.Context(digits)) or dict
@functools.cache
def once(): go(1)
held = (lambda digits: lambda: go(1, digits))(3)
{}
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import decimal\ndecimal.getcontext().prec = 9", "import decimal\ndecimal.getcontext().prec = 5"),
        (
            "import numpy as np\nnp.set_printoptions(precision=3)",
            "import numpy as np\nnp.set_printoptions(precision=8)",
        ),
        (
            "P = 3\nimport numpy as np\nnp.set_printoptions(precision=P)",
            "P = 8\nimport numpy as np\nnp.set_printoptions(precision=P)",
        ),
        (
            "from fractions import Fraction\ndef new(self): return 1\nFraction.of_tests = new",
            "from fractions import Fraction\ndef new(self): return 2\nFraction.of_tests = new",
        ),
        (
            "import decimal\ndef go(): decimal.getcontext().prec = 9\ngo()",
            "import decimal\ndef go(): decimal.getcontext().prec = 5\ngo()",
        ),
        (
            "import decimal\nif decimal:\n    with decimal.localcontext():\n        decimal.getcontext().prec = 9",
            "import decimal\nif decimal:\n    with decimal.localcontext():\n        decimal.getcontext().prec = 5",
        ),
        (CALLED.format("go(1)()"), CALLED.replace("digits = 9", "digits = 5").format("go(1)()")),
        (CALLED.format("go(5)()"), CALLED.format("go(7)()")),
        (CALLED.format("once()"), CALLED.replace("digits = 9", "digits = 5").format("once()")),
        (CALLED.format("held()"), CALLED.replace(")(3)", ")(4)").format("held()")),
        (
            "from matplotlib import rcParams\nrcParams['lines.linewidth'] = 2",
            "from matplotlib import rcParams\nrcParams['lines.linewidth'] = 3",
        ),
    ],
)
def test_what_is_set_counts(identity: Identity, before: str, after: str) -> None:
    """It changes what functions give that never mention it."""
    assert identity(before) != identity(after)
    assert identity(before) == identity(before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "print('hello')"),
        ("import decimal\ndecimal.getcontext().prec = 9", "import decimal\n\ndecimal.getcontext().prec=9  # digits"),
        ("", "import sys\nsys.path.append('/of/this/machine')"),
        ("", "import logging\nlogging.getLogger('cuts').setLevel(10)"),
        ("", "import warnings\nwarnings.filterwarnings('ignore', 'of tests')"),
        ("", "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--pt')"),
        ("", "import decimal\nif __name__ == '__main__':\n    decimal.getcontext().prec = 4"),
        ("", "import decimal\ndef other(): decimal.getcontext().prec = 4"),
        ("import decimal\nHERE = '/a'\nprint(HERE)", "import decimal\nHERE = '/b'\nprint(HERE)"),
    ],
)
def test_what_sets_nothing_does_not_count(identity: Identity, before: str, after: str) -> None:
    """An edit of it runs no step again."""
    assert identity(before) == identity(after)


def test_modules_that_are_imported_for_what_they_set(identity: Identity) -> None:
    """They are named nowhere else."""
    one, other = (f"import decimal\ndecimal.getcontext().prec = {digits}\n" for digits in (9, 5))
    first = identity("import settings_of_tests", settings_of_tests=one)
    assert identity("import settings_of_tests", settings_of_tests=one) == first
    assert identity("import settings_of_tests", settings_of_tests=other) != first
    assert identity("import settings_of_tests", settings_of_tests="") != first


REGISTERED = """
from fractions import Fraction
from dask.sizeof import sizeof
class Cut: pass
@sizeof.register(Fraction)
def _(number): return SIZE
@sizeof.register(Cut)
def _(number): return 24
"""


def test_a_function_that_a_library_registers_by_a_decorator_counts(identity: Identity) -> None:
    """It is named nowhere else, and several have one name; one that a library wrapped counts where it is used."""
    first = identity("SIZE = 16" + REGISTERED)
    assert identity("SIZE = 16" + REGISTERED.replace("def _(", "# layout\ndef _(")) == first
    assert identity("SIZE = 16" + REGISTERED.replace("): return SIZE", "):\n    'Of a cut.'\n    return SIZE")) == first
    assert identity("SIZE = 17" + REGISTERED) != first
    assert identity("SIZE = 16" + REGISTERED.replace("24", "25")) != first
    wrapped = "import numpy as np\n@np.vectorize\ndef other(x): return "
    assert identity(wrapped + "1") == identity(wrapped + "2")
    named = "import functools\ndef plain(x): return 1\n@functools.wraps(plain)\ndef other(x): return "
    assert identity(named + "1") == identity(named + "2")


INSTALLED = """
import fractions
import digits_of_tests
def scaled(self): return float(self) * FACTOR
def install():
    global done
    setattr(fractions.Fraction, "scaled_of_tests", scaled)
    done = digits_of_tests.DIGITS
FACTOR, NAMES, done = 2, [], False
"""


@pytest.mark.parametrize(
    "call",
    ["import settings_of_tests\nsettings_of_tests.install()", "from settings_of_tests import install\ninstall()"],
)
@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("float(self) * FACTOR", "float(self) / FACTOR", True),
        ("FACTOR, NAMES, done = 2", "FACTOR, NAMES, done = 3", True),
        ("def install", "# layout\ndef install", False),
        ("NAMES, done = 2, [], False", "NAMES, done = 2, ['pt'], None", False),
    ],
)
def test_a_function_that_sets_something_counts_with_the_functions_that_it_names(
    identity: Identity, call: str, old: str, new: str, counts: bool
) -> None:
    """A patch that is installed by a call, in whatever module; what programs fill is another in each process."""
    modules = {"settings_of_tests": INSTALLED, "digits_of_tests": "DIGITS = 4"}
    first = identity(call, **modules)
    assert old in INSTALLED
    assert (identity(call, **{**modules, "settings_of_tests": INSTALLED.replace(old, new)}) != first) is counts
    assert identity(call, **{**modules, "digits_of_tests": "DIGITS = 5"}) != first


def test_a_variable_that_functions_rebind_is_another_in_each_process(identity: Identity) -> None:
    """What a session has set since does not count where only a call at import names it."""
    text = (
        "import fractions\nverbose, total = False, 7\n"
        "def speak():\n    global verbose\n    verbose = True\n"
        "def install():\n    if not verbose: fractions.Fraction.of_tests = total\ninstall()"
    )
    first = identity(text)
    sys.modules["cuts_of_tests"].speak()
    import_effects._seen.clear()
    assert identify(sys.modules["cuts_of_tests"].cut).digest == first != identity(text.replace("7", "8"))


def test_modules_that_are_imported_for_type_checkers_alone(identity: Identity) -> None:
    """A worker has not imported them."""
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import settings_of_tests"
    first = identity(text)
    one = "import decimal\ndecimal.getcontext().prec = 9\n"
    identity("import settings_of_tests", settings_of_tests=one)
    module = sys.modules["settings_of_tests"]
    assert identity(text, settings_of_tests=one) == first
    sys.modules["settings_of_tests"] = module
    import_effects._seen.clear()
    assert identify(sys.modules["cuts_of_tests"].cut).digest == first


def test_a_module_that_travels_by_value_sets_nothing_where_it_arrives(identity: Identity) -> None:
    """A worker gets its functions without its other statements."""
    plain = identity("import decimal")
    identity("import decimal\ndecimal.getcontext().prec = 9")
    module = sys.modules["cuts_of_tests"]
    cloudpickle.register_pickle_by_value(module)
    try:
        assert identify(module.cut).digest == plain
    finally:
        cloudpickle.unregister_pickle_by_value(module)


STEPS = """
import decimal, functools
from cachingclient import step
import dask
decimal.getcontext().prec = PREC
class Cuts:
    def method(self, x): return x
    @staticmethod
    def static(x): return x
    @step
    def marked_method(self, x): return x
@step
def marked(x): return x
@functools.cache
def cached(x): return x
def wrapping(f):
    @functools.wraps(f)
    def wrapper(x): return f(x)
    return wrapper
@wrapping
def wrapped(x): return x
@dask.delayed
def delayed(x): return x
def make():
    def made(x): return x
    return made
"""


@pytest.mark.parametrize(
    ("of", "counts"),
    [
        (lambda module: module.Cuts().method, True),
        (lambda module: module.Cuts.static, True),
        (lambda module: module.Cuts().marked_method, True),
        (lambda module: module.marked, True),
        (lambda module: module.wrapped, True),
        (lambda module: module.cached, True),
        (lambda module: module.delayed.key and module.delayed.dask[module.delayed.key].value, False),
        (lambda module: module.make(), False),
        (lambda module: module.cut, True),
    ],
)
def test_what_workers_import_by_its_name(identity: Identity, of: Callable[[Any], Any], counts: bool) -> None:
    """What is sent to them as it is comes without its module's settings, there and so in its identity here."""
    found = []
    for digits in ("5", "9"):
        identity(STEPS.replace("PREC", digits))
        found.append(identify(of(sys.modules["cuts_of_tests"])).digest)
    assert (found[0] != found[1]) is counts


def test_a_module_that_is_loaded_again_sets_what_it_says_now(identity: Identity, tmp_path: Path) -> None:
    """Until then it is as it was, whatever its file says."""
    first = identity("import decimal\ndecimal.getcontext().prec = 9")
    module = sys.modules["cuts_of_tests"]
    assert module.__file__ is not None
    path = Path(module.__file__)
    path.write_text(path.read_text().replace("9", "12"))
    assert identify(module.cut).digest == first
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path.parent))
        importlib.reload(module)
    assert identify(module.cut).digest != first


def test_threads_that_parse_at_once() -> None:
    """Python 3.11 fails to parse where it changes threads in the middle, as it may while it collects garbage."""
    source = inspect.getsource(argparse)

    def change_threads(phase: str, info: dict[str, int]) -> None:
        time.sleep(0)

    before = gc.get_threshold()
    gc.set_threshold(50)
    gc.callbacks.append(change_threads)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(tree.body for tree in pool.map(_parsed, [source] * 16))
    finally:
        gc.callbacks.remove(change_threads)
        gc.set_threshold(*before)


def test_who_loads_a_module_does_not_count(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that tells no source, as pytest's, leaves it where it is."""
    text = "import decimal\ndecimal.getcontext().prec = 9"
    first = identity(text)
    import_effects._seen.clear()
    spec = sys.modules["cuts_of_tests"].__spec__
    assert spec is not None
    monkeypatch.setattr(spec, "loader", object())
    assert identify(sys.modules["cuts_of_tests"].cut).digest == first != identity("import decimal")
