"""Which results are worth keeping."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cachingclient.plan.policy import Auto, CachePolicy, Cost, KeepAll, find_policy

seconds = some.floats(0, 1e6)


@given(seconds, some.integers(0, 10**12), some.integers(0, 10_000), some.floats(1e-6, 1e6))
def test_all_keeps_all(took: float, nbytes: int, inputs: int, load: float) -> None:
    """`all` keeps whatever it is shown."""
    assert KeepAll().keep(Cost(took, nbytes, inputs, load))


@given(seconds, seconds, some.integers(0, 1_000), some.floats(1e-6, 1e3))
def test_auto_keeps_more_of_what_took_longer(one: float, other: float, inputs: int, load: float) -> None:
    """If a quick result is worth keeping, so is a slow one of the same size."""
    quick, slow = sorted((one, other))
    if Auto().keep(Cost(quick, 1, inputs, load)):
        assert Auto().keep(Cost(slow, 1, inputs, load))


@given(seconds, some.integers(0, 1_000), some.floats(1e-6, 1e3), some.floats(1e-6, 1e3))
def test_auto_keeps_less_of_what_is_slow_to_load(took: float, inputs: int, one: float, other: float) -> None:
    """If a result that is slow to load is worth keeping, so is one that is quick to load."""
    quick, slow = sorted((one, other))
    if Auto().keep(Cost(took, 1, inputs, slow)):
        assert Auto().keep(Cost(took, 1, inputs, quick))


@given(some.integers(0, 1_000), some.floats(1e-6, 1e3))
def test_auto_keeps_nothing_that_costs_nothing(inputs: int, load: float) -> None:
    """A result that takes no time, of one input or none, is never kept."""
    assert not Auto().keep(Cost(0.0, inputs, min(inputs, 1), load))


def test_a_merge_of_many_is_worth_more_than_its_own_time() -> None:
    """Loading a merge saves loading all that it merged."""
    assert not Auto().keep(Cost(0.0005, 10_000, 1, 0.001))
    assert Auto().keep(Cost(0.0005, 10_000, 20, 0.001))


@pytest.mark.parametrize(("policy", "kind"), [("all", KeepAll), ("auto", Auto)])
def test_policies_by_name(policy: str, kind: type[CachePolicy]) -> None:
    """Each name stands for its policy."""
    assert type(find_policy(policy)) is kind


def test_a_policy_passes_through_and_travels() -> None:
    """A policy object is taken as it is, and can be sent to workers."""
    policy = Auto(margin=10.0)
    assert find_policy(policy) is policy
    assert pickle.loads(pickle.dumps(policy)).margin == 10.0


@pytest.mark.parametrize("wrong", ["", "ALL", "most"])
def test_unknown_names(wrong: str) -> None:
    """A name that is none is named, with those there are."""
    with pytest.raises(ValueError, match=f"policy is {wrong!r}; it takes 'auto', 'all' or a CachePolicy"):
        find_policy(wrong)


@pytest.mark.parametrize("wrong", [None, 3, KeepAll, ["all"]])
def test_wrong_types(wrong: Any) -> None:
    """What is neither a name nor a policy is named by its type."""
    with pytest.raises(TypeError, match=f"policy is of type {type(wrong).__name__}"):
        find_policy(wrong)


@pytest.mark.parametrize("budget", ["3%", 3, -0.1, float("nan"), True])
def test_a_budget_that_is_no_part_is_named(budget: Any) -> None:
    """With what it takes, before a worker meets it."""
    with pytest.raises(ValueError, match=rf"budget is {budget!r}; it takes a part from 0 to 1"):
        Auto(budget=budget)
