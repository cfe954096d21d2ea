"""Methods, parameters and edited programs: what was found of them is found again as long as nothing has changed."""

from __future__ import annotations

import ast
import contextlib
import random
import sys
import types
from collections.abc import Callable
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
from tests.hashing.edited import found, redefine, write


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
    chosen.more.append(3)  # the step takes the first alone
    assert found(chosen.select).digest == digests[-1]
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
