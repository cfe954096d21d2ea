"""Texts that name the caller's variables to a library: counted where they stand in the code, else not kept."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from cachingclient.hashing.identify import identify
from cachingclient.worker.observe import observing

TABLE = pd.DataFrame({"pt": [10, 20, 30, 40, 50, 60]})
IN_THE_CODE = {
    "in place": "def f(table): return table.query('pt > @CUT')",
    "in a variable": "def f(table):\n    text = 'pt > @CUT'\n    return table.query(text)",
    "a function of the module": "import pandas as pd\ndef f(table): return table[pd.eval('table.pt > CUT')]",
    "a function by its name": "from pandas import eval\ndef f(table): return table[eval('table.pt > CUT')]",
}
FROM_ELSEWHERE = {
    "a variable of the module": "TEXT = 'pt > @CUT'\ndef f(table): return table.query(TEXT)",
    "a dict": "TEXTS = {'sr': 'pt > @CUT'}\ndef f(table):\n    for text in TEXTS.values():\n"
    "        return table.query(text)",
    "a default": "def f(table, text='pt > @CUT'): return table.query(text)",
    "a helper's argument": "def g(table, text): return table.query(text)\ndef f(table): return g(table, 'pt > @CUT')",
    "a closure": "def make(text):\n    return lambda table: table.query(text)\nf = make('pt > @CUT')",
    "a function by another name": "from pandas import eval as g\ndef f(table): return table[g('table.pt > CUT')]",
    "a method by its name": "def f(table): return getattr(table, 'query')('pt > @CUT')",
    "what an object has": "class A:\n    cut = CUT\n    def g(self, table, text): return table.query(text)\n"
    "def f(table): return A().g(table, 'pt > @self.cut')",
    "a part of a variable around it": "TEXT = 'pt > @cuts[\"pt\"]'\ndef make(cuts):\n"
    "    return lambda table: table.query(TEXT) if cuts['other'] else table\nf = make({'pt': CUT, 'other': 1})",
}
HARMLESS = {
    "columns": "TEXT = 'pt > 30'\ndef f(table): return table.query(TEXT)",
    "its own variables": "TEXT = 'pt > @cut'\ndef f(table):\n    cut = CUT\n    return table.query(TEXT)",
    "the standard library": "from collections import namedtuple\nNAMES = 'pt CUT'\n"
    "def f(table): return namedtuple('Cut', NAMES)(CUT, 1)",
    "a file, which is observed": "import os\ndef f(table):\n    open(os.devnull).close()",
    "a library's function": "from numpy import sqrt\nTEXT = 'sqrt(pt) > 5'\ndef f(table): return table.query(TEXT)",
}


TAKEN = {
    "a name made at run time": "import sys\ndef f(table): return getattr(sys, '_get' + 'frame')(0).f_globals['CUT']",
    "a partial": "import functools, sys\nframe = functools.partial(sys._getframe, 0)\n"
    "def f(table): return frame().f_globals['CUT']",
    "a method": "import inspect\nclass A:\n    stack = staticmethod(inspect.stack)\n"
    "def f(table): return A.stack()[0].frame.f_globals['CUT']",
    "a helper": "import operator, sys\ntake = operator.attrgetter('_getframe')\ndef g(): return take(sys)(1)\n"
    "def f(table): return g().f_globals['CUT']",
}


@pytest.fixture
def made() -> Iterator[Any]:
    """Make the function of a program, as one of a module of the user's."""

    def make(source: str, cut: int = 30) -> Any:
        module = sys.modules["cuts_of_test"] = ModuleType("cuts_of_test")
        exec(compile(f"CUT = {cut}\n{source}", "/home/alice/cuts_of_test.py", "exec"), vars(module))
        return vars(module)["f"]

    yield make
    sys.modules.pop("cuts_of_test", None)


def reasons(function: Any) -> set[str]:
    """Why the result of a function is not kept."""
    with observing() as seen:
        function(TABLE)
    return seen.unknown


@pytest.mark.parametrize("how", IN_THE_CODE)
def test_a_text_in_the_code_counts_with_what_it_names(how: str, made: Any) -> None:
    """An edit of the variable is one of the step, which is kept."""
    before = made(IN_THE_CODE[how])
    assert not reasons(before)
    assert identify(before).digest != identify(made(IN_THE_CODE[how], 50)).digest


@pytest.mark.parametrize("how", FROM_ELSEWHERE)
def test_a_text_from_elsewhere_has_the_step_not_kept(how: str, made: Any) -> None:
    """No key has the variable: the reason says which, and who asked."""
    (why,) = reasons(made(FROM_ELSEWHERE[how]))
    assert why.startswith("pandas looks up '")
    assert "by a text that does not stand in" in why


@pytest.mark.parametrize("how", HARMLESS)
def test_what_names_no_variable_that_could_change_is_kept(how: str, made: Any) -> None:
    """Columns, what the function computed itself, what belongs to a library."""
    assert not reasons(made(HARMLESS[how]))


@pytest.mark.parametrize("how", TAKEN)
def test_a_frame_that_the_users_code_takes_has_the_step_not_kept(how: str, made: Any) -> None:
    """Whatever the function is called: what is read from a frame can't be seen, and no key has it."""
    (why,) = reasons(made(TAKEN[how]))
    assert why.endswith(" takes a stack frame, and what it reads there can't be seen")


def test_a_message_that_says_where_it_comes_from_reads_no_variables(made: Any) -> None:
    """Logging, warnings and libraries take frames to name a file and a line."""
    source = "import logging, warnings\ndef f(table):\n    logging.getLogger('cuts').warning('few')\n"
    assert not reasons(made(f"{source}    warnings.warn('few', stacklevel=2)"))


def test_a_frame_that_compiled_code_makes_for_a_traceback_is_none_that_is_read() -> None:
    """As Cython's for the limited interface, in PyTables among others; the same text in `eval` takes one."""
    run = ctypes.pythonapi.PyEval_EvalCode
    run.restype, run.argtypes = ctypes.py_object, [ctypes.py_object] * 3
    text, names = compile("_getframe()", "tables/file.pyx", "eval"), {"_getframe": sys._getframe}

    assert reasons(lambda table: run(text, names, names)) == set()
    assert reasons(lambda table: eval(text, dict(names))) != set()
