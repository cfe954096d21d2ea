"""Tests of the canonical form of bytecode: layout never shows in it, what runs always does."""

from __future__ import annotations

import ast
import os
import random
import types
from pathlib import Path
from textwrap import dedent

import pytest

from cachingclient.hashing.code.bytecode import shape
from cachingclient.hashing.code.references import NO_ARGUMENTS, Reference

MODULES = ("bisect", "codecs", "contextlib", "copy", "csv", "dataclasses", "ast")


def function(source: str) -> types.CodeType:
    """Return the code of the one function in a source."""
    return next(c for c in compile(dedent(source), "<test>", "exec").co_consts if isinstance(c, types.CodeType))


def references(source: str) -> set[tuple[str, str, tuple[str, ...]]]:
    """Return what a function looks up."""
    return {(found.kind, found.name, found.attributes) for found in shape(function(source)).references}


@pytest.mark.parametrize("lines", ["one", "each", "random"])
@pytest.mark.parametrize("module", MODULES)
def test_line_numbers_never_show(module: str, lines: str) -> None:
    """The compiler joins, copies and swaps instructions by the lines they stand on; the form is the same."""
    source = Path(os.__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    chance = random.Random(1)
    for number, node in enumerate(ast.walk(tree)):
        if hasattr(node, "lineno"):
            node.lineno = node.end_lineno = {"one": 1, "each": number + 1, "random": chance.randint(1, 50)}[lines]
            node.col_offset = node.end_col_offset = 0
    one, other = (compile(text, module, "exec", dont_inherit=True) for text in (source, tree))
    assert shape(one).body == shape(other).body


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x): return x + 1", "def f(x): return x + 2"),
        ("def f(x): return x + 1", "def f(x): return x + 1.0"),
        ("def f(x): return 0.0", "def f(x): return -0.0"),
        ("def f(x): return x < 1", "def f(x): return x <= 1"),
        ("def f(x): return x.a", "def f(x): return x.b"),
        ("def f(x, y): return x - y", "def f(x, y): return y - x"),
        ("def f(x, y): return x", "def f(x, *, y): return x"),
        ("def f(x): return x and 1", "def f(x): return x or 1"),
        ("def f(x):\n if x: return 1\n return 2", "def f(x):\n if not x: return 1\n return 2"),
        ("def f(x):\n for i in x:\n  if i: break", "def f(x):\n for i in x:\n  if i: continue"),
        ("def f(x):\n try: a()\n except KeyError: b()", "def f(x):\n try: a()\n except IndexError: b()"),
        ("def f(x):\n try: a(); c()\n except KeyError: b()", "def f(x):\n try: a()\n except KeyError: b()\n c()"),
        ("def f(x):\n while a(): b()", "def f(x):\n while True:\n  b()\n  if not a(): break"),
        ("def f(x): yield x", "def f(x): return x"),
        ("def f(x):\n a, b = x, 1\n return a", "def f(x):\n b, a = x, 1\n return a"),
        ("def f(x): return {'a': 1, 'b': x}", "def f(x): return {'b': x, 'a': 1}"),
        ("def f(x): return g(a=1, b=2)", "def f(x): return g(b=1, a=2)"),
        ("def f(x): return x[1:2]", "def f(x): return x[1:3]"),
        ("def f(x): return f'{x!r}'", "def f(x): return f'{x!s}'"),
        ("async def f(x): return x", "def f(x): return x"),
    ],
)
def test_what_runs_shows(one: str, other: str) -> None:
    """Each difference in what code does is one of its form."""
    assert shape(function(one)).body != shape(function(other)).body


def test_references_are_chains() -> None:
    """A name is followed by the attributes taken from it."""
    assert references("def f(): return np.random.default_rng(1)") == {("global", "np", ("random", "default_rng"))}


def test_a_module_imported_outside_and_used_inside_a_nested_function_is_a_reference() -> None:
    """What an inner function takes from a module that the outer one imported belongs to the outer one."""
    found = references("def f(x):\n import helper\n def g(y): return helper.cut(y)\n return [g(v) for v in x]")
    assert ("import", "helper", ("cut",)) in found
    assert not any(kind == "free" for kind, *_ in found)


def test_either_of_two_imports_under_one_name_is_a_reference() -> None:
    """A variable that may hold one of two modules stands for both."""
    found = references("def f():\n try: import a as m\n except ImportError: import b as m\n return m.x")
    assert {("import", "a", ("x",)), ("import", "b", ("x",))} <= found


def test_variables_of_outer_functions_are_no_references_of_theirs() -> None:
    """A closure variable that the outer function binds is none of its references."""
    assert references("def f(x):\n def g(): return x\n return g") == set()


def test_names_that_a_class_body_binds_are_not_looked_up() -> None:
    """A class body's own names are its own."""
    assert ("global", "a", ()) not in references("def f():\n class A:\n  a = 1\n  b = a\n return A")


def test_an_empty_call_is_noted() -> None:
    """A generator made without a seed can be told from one with a seed."""
    found = shape(function("def f(): return default_rng()")).references
    assert found == (Reference("global", "default_rng", (), NO_ARGUMENTS),)


def test_global_writes_have_lines() -> None:
    """A function that rebinds a global is found with the line."""
    assert shape(function("def f():\n global a\n a = 1")).global_writes == (("a", 3),)


def test_words_of_queries_are_noted() -> None:
    """Texts that a library evaluates may name variables."""
    assert "CUT" in shape(function("def f(df): return df.query('pt > @CUT')")).words
    assert not shape(function("def f(df): return df.head('pt > @CUT')")).words
    assert "CUT" in shape(function("def f(): return numexpr.evaluate('pt > CUT')")).words
    assert "CUT" in shape(function("def f():\n from numexpr import evaluate as g\n return g('pt > CUT')")).words


def test_a_correction_and_a_model_read_no_variables() -> None:
    """The methods of correctionlib and torch have the names of others that do."""
    assert not shape(function("def f(cset, pt): return cset['sf'].evaluate(pt, 'nominal')")).words
    assert not shape(function("def f(model): return model.eval(), 'CUT'")).words
