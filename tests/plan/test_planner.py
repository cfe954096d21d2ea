"""Planning on small graphs: what is loaded, run, pruned and held, with which look-ups, and for which reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import add, mul, neg
from typing import Any

import pytest
from dask._task_spec import Task, TaskRef
from hypothesis import given
from hypothesis import strategies as some

from cachingclient.graph import Alias, DataNode, GraphNode, Key, TaskGraph
from cachingclient.hashing.keys import Step
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.plan import Plan
from cachingclient.plan.planner import make_plan
from cachingclient.plan.steps import Action, Constraints
from cachingclient.storage import EntryInfo


def info(key: str, payload: bytes | None = None) -> EntryInfo:
    return EntryInfo(key, "result", "step", "pickle", "ab" * 16, 8, 0.0, 1.0, {}, payload)


class Shelf:
    """A look-up that knows some keys and counts how it is asked."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self.keys = set(keys)
        self.calls: list[set[str]] = []

    def __call__(self, keys: Iterable[str]) -> Mapping[str, EntryInfo]:
        asked = set(keys)
        self.calls.append(asked)
        return {key: info(key) for key in asked & self.keys}


def task(key: Key, function: Any, *args: Any) -> Task:
    return Task(key, function, *[TaskRef(arg) if isinstance(arg, str) else arg for arg in args])


def chain(length: int) -> dict[Key, GraphNode]:
    nodes: dict[Key, GraphNode] = {"s0": task("s0", add, 1, 2)}
    for number in range(1, length):
        nodes[f"s{number}"] = task(f"s{number}", add, f"s{number - 1}", number)
    return nodes


def keys_of(nodes: Mapping[Key, GraphNode], wanted: Iterable[Key]) -> dict[Key, str]:
    """The step keys of a graph, as text."""
    return {key: step.key.hex() for key, step in Merkle({}).steps(nodes, wanted).items() if step.key is not None}


def plan(nodes: Mapping[Key, GraphNode], wanted: Iterable[Key], find: Any = None, **constraints: Any) -> Plan:
    return make_plan(
        TaskGraph(nodes, {}), wanted, Merkle(constraints.pop("known", {})), find or Shelf(), Constraints(**constraints)
    )


def actions(made: Plan) -> dict[Key, str]:
    return {key: str(step.action) for key, step in made.steps.items()}


def test_nothing_known_runs_all() -> None:
    """With an empty store every step runs, and may be kept."""
    made = plan(chain(4), ["s3"])
    assert actions(made) == {f"s{number}": "run" for number in range(4)}
    assert all(step.keep for step in made.steps.values())


def test_hit_at_the_top_prunes_the_rest() -> None:
    """A wanted step that is kept is loaded, and nothing that it was computed from is needed."""
    nodes = chain(4)
    made = plan(nodes, ["s3"], Shelf([keys_of(nodes, ["s3"])["s3"]]))
    assert actions(made) == {"s0": "pruned", "s1": "pruned", "s2": "pruned", "s3": "load"}


def test_only_the_frontier_loads() -> None:
    """Of a chain that is kept up to the middle, only the last kept step is loaded."""
    nodes = chain(5)
    known = keys_of(nodes, ["s4"])
    made = plan(nodes, ["s4"], Shelf([known["s0"], known["s1"], known["s2"]]))
    assert actions(made) == {"s0": "pruned", "s1": "pruned", "s2": "load", "s3": "run", "s4": "run"}


def test_a_kept_step_that_one_of_two_needs_is_loaded() -> None:
    """A step is loaded if anything that runs needs it, though another that needed it is loaded itself."""
    nodes = {"a": task("a", add, 1, 2), "b": task("b", neg, "a"), "c": task("c", mul, "a", 3)}
    known = keys_of(nodes, ["b", "c"])
    made = plan(nodes, ["b", "c"], Shelf([known["a"], known["b"]]))
    assert actions(made) == {"a": "load", "b": "load", "c": "run"}


def test_wanted_intermediates_are_loaded_too() -> None:
    """A step that is asked for is loaded even below another that is."""
    nodes = chain(3)
    made = plan(nodes, ["s1", "s2"], Shelf(keys_of(nodes, ["s2"]).values()))
    assert actions(made) == {"s0": "pruned", "s1": "load", "s2": "load"}


@pytest.mark.parametrize("length", [1, 10, 300])
def test_long_chains_take_few_look_ups(length: int) -> None:
    """A chain of misses is looked up in a number of calls that grows with its logarithm."""
    shelf = Shelf()
    plan(chain(length), [f"s{length - 1}"], shelf)
    assert len(shelf.calls) <= length.bit_length() + 2


def test_a_wide_graph_is_looked_up_by_level() -> None:
    """Many steps beside one another are one look-up, and none is asked for twice."""
    nodes: dict[Key, GraphNode] = {f"leaf{number}": task(f"leaf{number}", add, number, 1) for number in range(500)}
    nodes["top"] = Task("top", max, *[TaskRef(f"leaf{number}") for number in range(500)])
    shelf = Shelf()
    plan(nodes, ["top"], shelf)
    asked = [key for call in shelf.calls for key in call]
    assert len(shelf.calls) <= 4
    assert len(asked) == len(set(asked))


def test_held_steps_are_neither_looked_up_nor_followed() -> None:
    """What the scheduler has is taken from there."""
    nodes = chain(3)
    known = Merkle({}).steps(nodes, ["s2"])
    shelf = Shelf()
    rest = {key: node for key, node in nodes.items() if key == "s2"}
    made = plan(rest, ["s2"], shelf, held=frozenset(["s1"]), known=known)
    assert actions(made) == {"s1": "held", "s2": "run"}
    assert known["s1"].key is not None
    assert known["s1"].key.hex() not in set().union(*shelf.calls)
    assert made.steps["s2"].step_key == keys_of(nodes, ["s2"])["s2"]


def test_unknown_outside_keys_are_never_guessed() -> None:
    """A step on a key that nobody knows is uncacheable, with the reason, and so is all after it by key."""
    nodes = {"b": task("b", neg, "a"), "c": task("c", neg, "b")}
    made = plan(nodes, ["c"])
    assert made.steps["b"].step_key is None
    assert made.steps["c"].step_key is None
    assert "'a'" in made.steps["b"].reason
    assert "uncacheable" in made.steps["c"].reason


def test_impure_steps_have_no_identity() -> None:
    """A step that the user called not pure runs, whatever is kept."""
    nodes = chain(1)
    made = plan(nodes, ["s0"], Shelf(keys_of(nodes, ["s0"]).values()), impure=frozenset(["s0"]))
    assert actions(made) == {"s0": "run"}
    assert (made.steps["s0"].step_key, made.steps["s0"].keep) == (None, False)
    assert "not pure" in made.steps["s0"].reason


def test_unkept_steps_are_neither_loaded_nor_kept() -> None:
    """``cache=False`` on a step excludes it and it alone."""
    nodes = chain(3)
    made = plan(nodes, ["s1"], Shelf([keys_of(nodes, ["s1"])["s1"]]), unkept=frozenset(["s1"]))
    assert actions(made) == {"s0": "run", "s1": "run"}
    assert [made.steps[key].keep for key in ("s0", "s1")] == [True, False]


def test_lost_steps_run_though_they_are_found() -> None:
    """An entry that turned out to be lost is not planned to be loaded again."""
    nodes = chain(2)
    known = keys_of(nodes, ["s1"])
    made = plan(nodes, ["s1"], Shelf(known.values()), lost=frozenset(["s1"]))
    assert actions(made) == {"s0": "load", "s1": "run"}


def test_data_and_aliases_are_no_steps() -> None:
    """Data is sent as it is, and an alias stands for its target."""
    nodes = {"d": DataNode("d", [1, 2]), "s": task("s", sum, "d"), "a": Alias("a", "s")}
    made = plan(nodes, ["a"])
    assert actions(made) == {"d": "data", "s": "run", "a": "alias"}
    assert made.steps["a"].step_key == made.steps["s"].step_key


def test_renaming_keys_changes_no_step_key() -> None:
    """Step keys depend on what is computed, not on what it is called."""
    renamed = {"x": task("x", add, 1, 2), "y": task("y", add, "x", 1)}
    assert list(keys_of(chain(2), ["s1"]).values()) == list(keys_of(renamed, ["y"]).values())


@given(some.integers(), some.integers(), some.sampled_from([add, mul, max, min]))
def test_every_part_of_a_call_counts(first: int, second: int, function: Any) -> None:
    """Another argument, another order or another function is another step."""
    calls = {(function, first, second), (function, second, first), (neg, first), (function, first + 1, second)}
    nodes = {str(number): Task(str(number), *call) for number, call in enumerate(calls)}
    assert len(set(keys_of(nodes, nodes).values())) == len(calls)


@given(some.data())
def test_what_runs_always_has_its_inputs(data: Any) -> None:
    """In any graph with any part of it kept: what runs finds all its inputs, and nothing is done for nothing."""
    size = data.draw(some.integers(1, 12))
    nodes: dict[Key, GraphNode] = {}
    for number in range(size):
        inputs = data.draw(some.lists(some.integers(0, number - 1), max_size=3)) if number else []
        nodes[f"n{number}"] = Task(f"n{number}", max, number, -1, *[TaskRef(f"n{other}") for other in inputs])
    wanted = {f"n{number}" for number in data.draw(some.sets(some.integers(0, size - 1), min_size=1))}
    step_keys = keys_of(nodes, wanted)
    kept = data.draw(some.sets(some.sampled_from(sorted(step_keys.values()))))
    made = plan(nodes, wanted, Shelf(kept))
    done = {key for key, step in made.steps.items() if step.action in (Action.RUN, Action.LOAD)}
    assert wanted <= done
    for key in done:
        step = made.steps[key]
        assert (step.action is Action.LOAD) == (step.step_key in kept)
        if step.action is Action.RUN:
            assert step.dependencies <= done
    used = wanted.union(*[made.steps[key].dependencies for key in done if made.steps[key].action is Action.RUN])
    assert done == used & done


def test_plans_print() -> None:
    """A plan shows itself as text and as HTML."""
    made = plan(chain(3), ["s2"])
    assert "3 of 3 steps to run" in str(made)
    assert "<table" in made._repr_html_()


def test_steps_of_earlier_calls() -> None:
    """The step of an earlier call is taken over as it was."""
    known = {"a": Step(b"\1" * 16)}
    nodes = {"b": task("b", neg, "a")}
    other = plan(nodes, ["b"], known={"a": Step(b"\2" * 16)})
    assert plan(nodes, ["b"], known=known).steps["b"].step_key != other.steps["b"].step_key


def test_steps_of_one_name_share_it() -> None:
    """A plan of a million steps holds their few names once."""
    nodes = {f"loading-{number:032x}": task(f"loading-{number:032x}", neg, number) for number in range(2)}
    first, second = plan(nodes, nodes).steps.values()
    assert first.name == "loading"
    assert first.name is second.name
