"""What was found of code is found again only as long as nothing that it refers to has changed, however that is done."""

from __future__ import annotations

import ast
import builtins
import contextlib
import math
import random
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.memo import identify_again
from cachingclient.hashing.step_keys import Merkle
from tests.corpus.mutations import Sites
from tests.corpus.programs.seeds import SEEDS

SOURCE = """
import math
from pathlib import Path

import numpy as np

import noted_helpers as helpers
from cachingclient import step

cut = 30
settings = [1, 2]
named = {"a": 1, "b": {"c": [1]}}
flags = {1, 2}
packed = ([1], 2)
raw = bytearray(b"ab")
numbers = np.arange(3)
path = "data/noted.txt"
model = Path("data/model.txt")


class Base:
    shift = 1


class Selection(Base):
    cuts = [1, 2]

    def passes(self, pt):
        return pt > self.shift


def keep(*values, limit=[5], **more):
    return values


def closed():
    inside = 1

    def inner(pt, *, width=2):
        return inside + width

    return inner


inner = closed()


@step
def before(pt):
    return keep(pt)


@step
def uses(pt):
    chosen = cut, settings, named, flags, packed, path, model, math.sqrt(pt), len(settings)
    return keep(chosen, inner(pt), before(pt), helpers.helped(pt), Selection().passes(pt), np.maximum(1, pt))


@step
def reads_arrays(pt):
    return keep(raw, numbers)
"""
HELPERS = """
threshold = 3


def helped(pt):
    return pt > threshold
"""


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A module of an analysis with a helper module beside it, as their import leaves them."""
    monkeypatch.chdir(tmp_path)
    for name, source in {"noted_helpers": HELPERS, "noted_analysis": SOURCE}.items():
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(source, f"<{name}>", "exec", dont_inherit=True), module.__dict__)
    return sys.modules["noted_analysis"]


def found(obj: Any) -> Identity:
    """What a call of a step finds of its code."""
    return identify_again(obj, obj.__cache_token__(), Inputs(), Environment())


def redefine(module: Any, source: str) -> None:
    """Run a cell of a notebook again."""
    exec(compile(source, "<cell>", "exec", dont_inherit=True), module.__dict__)


def write(path: str) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text("there now")


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a variable is rebound": lambda m: setattr(m, "cut", 31),
    "a variable is rebound to an equal value of another type": lambda m: setattr(m, "cut", 30.0),
    "a variable is deleted": lambda m: delattr(m, "cut"),
    "an item of a list": lambda m: m.settings.__setitem__(0, 9),
    "an item that equals the old one": lambda m: m.settings.__setitem__(0, True),
    "a longer list": lambda m: m.settings.append(3),
    "a value of a dict": lambda m: m.named.__setitem__("a", 2),
    "a list deep in a dict": lambda m: m.named["b"]["c"].append(2),
    "the order of a dict": lambda m: m.named.update(a=m.named.pop("a")),
    "an element of a set": lambda m: m.flags.add(3),
    "a list in a tuple": lambda m: m.packed[0].append(2),
    "a closure variable": lambda m: setattr(m.inner.__closure__[0], "cell_contents", 2),
    "the default of an argument": lambda m: setattr(m.inner, "__kwdefaults__", {"width": 3}),
    "a default changed in place": lambda m: m.inner.__kwdefaults__.update(width=3),
    "a list that is a default": lambda m: m.keep.__kwdefaults__["limit"].append(6),
    "an attribute of a function": lambda m: setattr(m.keep, "version", 2),
    "the code of a function": lambda m: setattr(m.keep, "__code__", (lambda *values, limit, **more: 1).__code__),
    "a helper redefined": lambda m: redefine(m, "def keep(*values): return None"),
    "a step redefined": lambda m: redefine(m, "@step\ndef before(pt):\n    return 1"),
    "a step with another version": lambda m: redefine(m, "before = step(version=2)(before.function)"),
    "the function in a step": lambda m: setattr(m.before, "function", m.keep),
    "a class redefined": lambda m: redefine(m, "class Selection: pass"),
    "a method replaced": lambda m: setattr(m.Selection, "passes", lambda self, pt: False),
    "a list in a class": lambda m: m.Selection.cuts.append(3),
    "an attribute of a base class": lambda m: setattr(m.Base, "shift", 2),
    "an attribute added to a class": lambda m: setattr(m.Selection, "shift", 3),
    "other base classes": lambda m: setattr(m.Selection, "__bases__", (type("Other", (m.Base,), {"x": 1}),)),
    "a variable of another module": lambda m: setattr(m.helpers, "threshold", 4),
    "a function of another module": lambda m: setattr(m.helpers, "helped", m.keep),
    "another module under the name": lambda m: setattr(m, "helpers", types.SimpleNamespace(helped=m.keep)),
    "a builtin hidden by a variable": lambda m: setattr(m, "len", m.keep),
}
FILES: dict[str, Callable[[Any], Any]] = {
    "a file that appears": lambda m: write(m.path),
    "a file that appears where a path leads": lambda m: write(m.model),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_seen(change: str, analysis: Any) -> None:
    """After any change to what a step refers to, its identity is what a walk finds, which is another one."""
    before = found(analysis.uses)
    assert found(analysis.uses) is before
    assert before == identify(analysis.uses)
    CHANGES[change](analysis)
    assert found(analysis.uses).digest == identify(analysis.uses).digest != before.digest


@pytest.mark.parametrize("change", FILES)
def test_files_are_seen(change: str, analysis: Any) -> None:
    """After any change of a file that a step's code names, it is found with the file as it is; its key stays."""
    before = found(analysis.uses)
    assert found(analysis.uses) is before
    FILES[change](analysis)
    now = found(analysis.uses)
    assert now == identify(analysis.uses)
    assert now.inputs != before.inputs
    assert now.digest == before.digest


@pytest.mark.parametrize("owner", [math, builtins], ids=["library", "builtins"])
def test_replaced_functions_of_others_are_seen(owner: Any, analysis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that somebody puts in the place of a library's or of a builtin is part of the identity."""
    before = found(analysis.uses)
    name = "sqrt" if owner is math else "len"
    real = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda thing: real(thing))
    assert found(analysis.uses).digest == identify(analysis.uses).digest != before.digest


@pytest.mark.parametrize("name", ["raw", "numbers"])
def test_what_can_change_unseen_is_looked_at_each_time(name: str, analysis: Any) -> None:
    """Buffers are written to without any object being replaced: nothing is remembered of code that reads them."""
    before = found(analysis.reads_arrays)
    getattr(analysis, name)[1] = 7
    assert found(analysis.reads_arrays).digest == identify(analysis.reads_arrays).digest != before.digest


def test_lying_objects_are_seen_through(analysis: Any) -> None:
    """An object that calls itself equal to anything takes the place of none."""
    before = found(analysis.uses)
    redefine(analysis, "class Same:\n    def __eq__(self, other): return True\nsettings[0] = Same()")
    assert found(analysis.uses).digest == identify(analysis.uses).digest != before.digest


def test_a_module_imported_inside_a_function_may_be_replaced(analysis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import statement in a step finds what is among the modules now."""
    redefine(analysis, "@step\ndef imports(pt):\n    import noted_helpers\n    return noted_helpers.threshold")
    before = found(analysis.imports)
    other = types.ModuleType("noted_helpers")
    vars(other)["threshold"] = 5
    monkeypatch.setitem(sys.modules, "noted_helpers", other)
    assert found(analysis.imports).digest == identify(analysis.imports).digest != before.digest


def test_users_overloads_of_arrays_are_seen(analysis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user registers with awkward, or replaces there, counts in code that uses it."""
    ak = pytest.importorskip("awkward")
    redefine(analysis, "import awkward as ak\n@step\ndef counts(pt):\n    return ak.num(pt)")
    digests = {found(analysis.counts).digest}
    for number in (1, 2):
        redefine(analysis, f"class Mine(ak.Array):\n    def value(self): return {number}")
        monkeypatch.setitem(ak.behavior, ("*", "noted"), analysis.Mine)
        digests.add(found(analysis.counts).digest)
        assert found(analysis.counts).digest == identify(analysis.counts).digest
    assert len(digests) == 3


def test_a_method_counts_with_what_it_reads_now(analysis: Any) -> None:
    """Attributes of the object of a bound step may be rebound or changed in place."""
    redefine(
        analysis,
        "class Chosen:\n"
        "    def __init__(self, cut): self.cut, self.more, self.array = cut, [1], np.arange(2)\n"
        "    @step\n"
        "    def select(self, pt): return pt > self.cut + self.more[0]\n"
        "    @step\n"
        "    def compare(self, pt): return pt > self.array\n",
    )
    chosen = analysis.Chosen(30)
    digests = [found(chosen.select).digest, found(analysis.Chosen(30).select).digest]
    assert digests[0] == digests[1] == identify(chosen.select).digest
    chosen.cut = 31
    digests.append(found(chosen.select).digest)
    chosen.more[0] = 2
    digests.append(found(chosen.select).digest)
    assert len(set(digests)) == 3
    chosen.more.append(3)  # of which nothing is read
    assert found(chosen.select).digest == identify(chosen.select).digest == digests[-1]
    before = found(chosen.compare).digest
    chosen.array[0] = 5
    assert found(chosen.compare).digest == identify(chosen.compare).digest != before


def test_a_method_that_reads_a_path_counts_with_the_file(analysis: Any) -> None:
    """It is found again while the file is as it was, and with the file as it is now once that has changed."""
    redefine(
        analysis,
        "class Assigned:\n"
        "    def __init__(self, model): self.model = model\n"
        "    @step\n"
        "    def assign(self, pt): return pt, self.model\n",
    )
    write("data/model.txt")
    assigned = analysis.Assigned(analysis.model)
    before = found(assigned.assign)
    assert found(assigned.assign) is before
    analysis.model.write_text("trained again")
    assert found(assigned.assign) == identify(assigned.assign)
    assert found(assigned.assign).inputs != before.inputs


def test_other_settings_of_the_cache_find_other_identities(analysis: Any) -> None:
    """How much of a version counts is part of what is remembered."""
    short = identify_again(
        analysis.uses, analysis.uses.__cache_token__(), Inputs(), Environment(precision="major.minor")
    )
    assert short.digest != found(analysis.uses).digest


def test_a_step_of_a_class_with_another_token_is_looked_at_each_time(analysis: Any) -> None:
    """What such a token is made of is not known."""
    redefine(
        analysis,
        "from cachingclient.step import Options, StepFunction\n"
        "class Own(StepFunction):\n"
        "    def __cache_token__(self): return self.extra\n"
        "own = Own(keep, Options())\n"
        "own.extra = 1\n"
        "@step\n"
        "def calls_own(pt): return own(pt)",
    )
    digests = [found(analysis.calls_own).digest, Merkle({}).value(analysis.own).key]
    analysis.own.extra = 2
    assert found(analysis.calls_own).digest == identify(analysis.calls_own).digest != digests[0]
    assert Merkle({}).value(analysis.own).key != digests[1]


def test_functions_among_parameters_are_looked_at(analysis: Any) -> None:
    """Functions with their parameters, in lists and tuples, are known again by what they are, and seen to change."""

    def parts() -> Any:
        return [(analysis.keep, (0.5, 1.0)), (analysis.inner, [1, 2]), None]

    def digest(value: Any) -> bytes | None:
        return Merkle({}).value(value).key

    before = digest(parts())
    assert digest(parts()) == before == Merkle({}).value(parts()).key
    assert digest(tuple(parts())) != before
    others = [(0, (0, 0.5)), (0, (1, 1)), (0, (1, True)), (1, (1, [1, 3])), (1, (1, (1, 2))), (2, (0, "None"))]
    for place, (inner, value) in others:
        other = parts()
        other[place] = (*other[place][:inner], value, *other[place][inner + 1 :]) if other[place] else value
        assert digest(other) != before
    value = parts()
    digest(value)
    value[1][1].append(3)
    assert digest(value) != before
    analysis.inner.__closure__[0].cell_contents = 2
    assert digest(parts()) != before


def identified(way: Callable[[Any], Identity], function: Any) -> str:
    """The digest of a function, or why it has none."""
    try:
        return way(function).digest
    except Unidentifiable as error:
        return error.reason


def as_a_step(function: Any) -> Identity:
    """What is found of a function, remembered as that of a step is."""
    return identify_again(function, (function,), Inputs(), Environment())


def test_programs_edited_in_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell with a random edit runs in a program that was looked at: its functions have the identity of a walk."""
    chance = random.Random(5)
    changed = 0
    for program in sorted(SEEDS) * 30:
        source, steps = SEEDS[program]
        module = types.ModuleType("noted_program")
        monkeypatch.setitem(sys.modules, "noted_program", module)
        redefine(module, source)
        functions = [getattr(module, name) for name in steps]
        before = [identified(as_a_step, function) for function in functions]
        assert before == [identified(as_a_step, function) for function in functions]
        tree = ast.parse(source)
        _, top, change = chance.choice(Sites(tree).found)
        change(chance)
        cell = ast.Module(tree.body if chance.random() < 0.5 else tree.body[top : top + 1], [])
        with contextlib.suppress(Exception):  # some edits fail when they run, half done
            exec(compile(ast.fix_missing_locations(cell), "<cell>", "exec", dont_inherit=True), module.__dict__)
        after = [identified(as_a_step, function) for function in functions]
        assert after == [identified(identify, function) for function in functions]
        changed += after != before
    assert changed > 20


def test_numpy_values_are_no_numpy_functions() -> None:
    """A change of a scalar array that code reads is seen."""
    values = np.zeros(())

    def reads() -> Any:
        return values

    before = identify_again(reads, (reads,), Inputs(), Environment())
    values[...] = 1
    assert identify_again(reads, (reads,), Inputs(), Environment()).digest != before.digest
