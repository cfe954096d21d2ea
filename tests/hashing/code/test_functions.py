"""Tests of code's identity that need no second process: reasons, warnings, ingredients, libraries."""

from __future__ import annotations

import functools
import random
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.identity import Identity


def made(source: str, name: str = "made") -> Any:
    """Return the function ``f`` of a source."""
    module = types.ModuleType(name)
    exec(compile(source, "<made>", "exec", dont_inherit=True), module.__dict__)
    return module.f


def test_a_wrapper_that_a_library_made_counts_by_what_it_wraps() -> None:
    """A library's decorator hides the user's function in a closure."""
    source = "import contextlib\n@contextlib.contextmanager\ndef f():\n    yield {}"
    assert identify(made(source.format(1))).digest != identify(made(source.format(2))).digest


def test_type_hints_count_only_where_a_library_may_act_on_them() -> None:
    """A plain function is the same with other hints; one that a library wrapped may not be."""
    assert identify(made("def f(x: int): return x")).digest == identify(made("def f(x: str): return x")).digest
    source = "import functools\ndef g(x: {}): return x\nf = functools.singledispatch(g)"
    wrapped = "import contextlib\n@contextlib.contextmanager\ndef f(x: {}):\n    yield x"
    assert identify(made(wrapped.format("int"))).digest != identify(made(wrapped.format("str"))).digest
    assert identify(made(source.format("int"))).digest == identify(made(source.format("str"))).digest


def test_a_process_wide_generator_counts_by_name() -> None:
    """The state of a library's own generator is none of the function's."""

    def draw() -> tuple[float, float]:
        return random.random(), np.random.rand()

    before = identify(draw)
    draw()
    assert identify(draw).digest == before.digest
    assert len([text for text in before.warnings if "without a seed" in text]) == 2


def test_a_global_generator_counts_by_its_state() -> None:
    """A generator of the user's own has the state it has."""
    source = "import numpy as np\nrng = np.random.default_rng({})\ndef f(): return rng.random()"
    assert identify(made(source.format(1))).digest == identify(made(source.format(1))).digest
    assert identify(made(source.format(1))).digest != identify(made(source.format(2))).digest


def test_warnings_are_one_for_each_use() -> None:
    """A clock read in many places of a function is one warning, with a line."""
    identity = identify(made("import time\ndef f():\n    return time.time(), time.time()"))
    assert identity.warnings == ("made.f calls time.time: its result may differ from run to run (line 3 of made.f)",)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(): return eval('1')", "eval runs code that can't be followed (line 1 of made.f)"),
        ("import importlib\ndef f(n): return importlib.import_module(n)", "known only at run time (line 2 of made.f)"),
        ("import threading\nlock = threading.Lock()\ndef f(): return lock", "which made.f reads as 'lock'"),
        (
            "import sys\ndef f(): sys.path.insert(0, 'lib'); import cuts; return cuts.low",
            "it uses sys.path, which differs",
        ),
        ("from sys import path\ndef f(): return path[0]", "(line 2 of made.f); name the folder in PYTHONPATH"),
        ("def f(): return globals()", "globals() of made is searched at run time (line 1 of made.f)"),
    ],
)
def test_reasons_name_the_line(source: str, reason: str) -> None:
    """What can't be identified says where it is."""
    function = made(source)
    function.__module__ = "made"
    with pytest.raises(Unidentifiable) as raised:
        identify(function)
    assert reason in raised.value.reason


def test_ingredients_name_functions_variables_and_packages() -> None:
    """A key can be expanded into its named parts."""
    source = "import numpy as np\nCUT = 3\ndef g(x): return np.sqrt(x) + CUT\ndef f(x): return g(x)"
    identity: Identity = identify(made(source))
    labels = {label.split(" ")[0] for label in identity.ingredients}
    assert labels >= {"function", "variable", "package"}
    assert "variable made.g:CUT" in identity.ingredients


def test_a_cache_that_fills_is_no_change() -> None:
    """What lru_cache remembers is not part of the function."""

    @functools.lru_cache
    def remembered(x: int) -> int:
        return x

    before = identify(remembered).digest
    remembered(1)
    assert identify(remembered).digest == before


@pytest.mark.parametrize("change", ["__defaults__", "__kwdefaults__", "__code__", "by"])
def test_what_is_set_on_a_function_counts(change: str) -> None:
    """A function is what it is now, not what its source says."""
    functions: list[Callable[..., Any]] = [made("def f(x=1, *, y=2): return x + y") for _ in range(2)]
    values = {
        "__defaults__": (5,),
        "__kwdefaults__": {"y": 5},
        "__code__": made("def f(x=1, *, y=2): return x - y").__code__,
    }
    setattr(functions[0], change, values.get(change, 5))
    assert identify(functions[0]).digest != identify(functions[1]).digest


def test_a_global_that_is_rebound_counts_by_its_value() -> None:
    """Code with a memory is identified as it stands now, and says that running may change that."""
    function = made("memory = None\ndef f(x):\n    global memory\n    memory = x")
    function.__module__ = "made"
    before = identify(function)
    assert before.rebinds == ("made.f rebinds the global variable 'memory' (line 4)",)
    function(None)
    assert identify(function).digest == before.digest
    function(7)
    assert identify(function).digest != before.digest
    del function.__globals__["memory"]
    assert identify(function).digest != before.digest


@pytest.mark.parametrize("call", ["Timestamp.now()", "Timestamp.today()", "Timestamp.utcnow()"])
def test_clocks_of_libraries(call: str) -> None:
    """What a library calls its clock is one, by the names that all libraries use."""
    found = identify(made(f"import pandas\ndef f():\n    return pandas.{call}")).varying
    assert found == (f"made.f calls pandas.{call[:-2]}: its result may differ from run to run (line 3 of made.f)",)


def test_a_users_own_now_is_no_clock() -> None:
    """A method of the user's that happens to have such a name is followed as any other."""
    source = "class Shift:\n    def now(self): return 3\ndef f(shift):\n    return Shift.now(shift)"
    assert identify(made(source)).varying == ()


@pytest.mark.parametrize("use", ["C.cuts.pt", "C['cuts']['pt']", "C.cuts.get('pt')"])
def test_a_configuration_whose_attributes_are_its_entries(use: str) -> None:
    """One that raises KeyError for what it lacks is asked for names that it does not have, and counts all the same."""
    source = (
        "class Entries(dict):\n    def __getattr__(self, name):\n        found = self[name]\n"
        "        return Entries(found) if isinstance(found, dict) else found\n"
        "C = Entries(cuts={{'pt': {pt}}})\ndef f(x): return x > {use}"
    )
    first, same, other = (identify(made(source.format(pt=pt, use=use))).digest for pt in (30, 30, 25))
    assert first == same != other
