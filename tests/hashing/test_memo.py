"""What was found of code is found again only as long as nothing that it refers to has changed, however that is done."""

from __future__ import annotations

import builtins
import math
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from cachingclient.hashing.identify import identify
from tests.hashing.edited import found, redefine, write

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
