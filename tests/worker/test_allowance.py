"""What keeping may cost: a share of what steps take, spent on what is worth most."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest

from cachingclient.plan.policy import Cost
from cachingclient.worker.allowance import (
    ALWAYS,
    AT_FIRST,
    FAMILIAR,
    LEFT,
    MOST_MISSES,
    Allowance,
    Ran,
    mark_of,
)

Run = tuple[str, float, float, float, int]
"""A step: its name, the chance that it is asked for, the seconds that it takes and that keeping it takes, its size."""


def simulate(account: Allowance, steps: Iterable[Run], seed: int = 0) -> Counter[str]:
    """Run steps in turn; return how many of each name were kept, and what was spent as `spent`."""
    kept: Counter[str] = Counter()
    draw = random.Random(seed)
    for name, asked, seconds, keeping, nbytes in steps:
        account.ran(seconds)
        grant = account.grant((name, 1), asked, Ran(draw.random(), seconds), Cost(seconds, nbytes, 1, 0.0005))
        if grant is not None:
            grant.settle(keeping)
            kept[name] += 1
    return kept


def analysis(chunks: int) -> list[Run]:
    """Chunks of events, each with a selection and twenty variations of it, that an observable is computed from."""
    select, scale, observe = (
        ("select", 1.0, 0.12, 0.004, 500_000),
        ("scale", 0.3, 0.02, 0.004, 500_000),
        ("observe", 0.5, 0.04, 0.003, 50_000),
    )
    return [step for _ in range(chunks) for step in (select, *[scale, observe] * 20)]


@pytest.mark.parametrize("part", [0.01, 0.03, 0.1])
def test_no_more_is_spent_than_the_share(part: float) -> None:
    """Whatever comes in whatever order, but for what may be spent at first."""
    account = Allowance(part)
    simulate(account, analysis(100))
    assert account.spent <= AT_FIRST + part * account.steps + 0.01
    assert account.spent > 0.9 * part * account.steps


def test_the_best_kinds_are_kept_first() -> None:
    """Nearly all of the kind with the highest value, a part of the next, next to none of the last."""
    kept = simulate(Allowance(0.03), analysis(100))
    assert kept["select"] > 90
    assert 200 < kept["observe"] < 1800
    assert kept["scale"] < 40


@pytest.mark.parametrize("part", [0.0, 1.0])
def test_the_ends_of_the_range(part: float) -> None:
    """With nothing to spend nothing is kept but what always is; with all of it everything that does not cost more."""
    steps = [*analysis(20), ("merge", ALWAYS, 0.01, 0.002, 1000), ("fit", 0.1, 2.0, 0.003, 1000)]
    kept = simulate(Allowance(part), steps)
    if part:
        assert kept.total() == len(steps)
    else:
        assert kept == {"merge": 1, "fit": 1}


def test_without_a_budget_everything_is_kept() -> None:
    """As with policy 'all', or one of the user's."""
    steps = [("select", 0.001, 0.0001, 1.0, 10**9)] * 50
    assert simulate(Allowance(None), steps).total() == 50


def test_final_results_are_kept_when_all_is_spent() -> None:
    """They are charged, so what is not final gets less, but half of the budget at least."""
    account, without = Allowance(0.01), Allowance(0.01)
    finals = [("merge", ALWAYS, 0.01, 0.01, 1000)] * 100
    kept = simulate(account, [*finals, *analysis(1)])
    assert kept["merge"] == 100
    others = account.spent - account.always
    assert 0 < others <= LEFT * (AT_FIRST + account.steps * 0.01)
    assert kept.total() - 100 < simulate(without, analysis(1)).total()


def test_the_first_of_each_name_is_kept_so_that_something_is_known_of_it() -> None:
    """Even where other kinds have taken what their value is worth."""
    account = Allowance(0.03)
    simulate(account, analysis(50))
    assert (
        simulate(account, [("observe", 0.5, 0.04, 0.003, 50_000)] * 40 + [("rare", 0.01, 0.02, 0.003, 1000)])["rare"]
        == 1
    )


def test_one_huge_result_does_not_take_all() -> None:
    """Ten gigabytes of a step whose results are small otherwise, and of one that was never seen."""
    account = Allowance(0.03)
    simulate(account, analysis(20))
    for name in ("select", "unseen"):
        assert simulate(account, [(name, 1.0, 0.2, 10.0, 10**10)]) == {}


def test_costs_that_vary_a_hundredfold() -> None:
    """The share holds, and what is cheap for its size is kept more often."""
    draw, account = random.Random(3), Allowance(0.03)
    steps = []
    for _ in range(3000):
        factor = 10 ** draw.uniform(-1, 1)
        steps.append(("skim", 1.0, 0.05, 0.004 * factor, int(400_000 * factor)))
    kept = simulate(account, steps)
    assert account.spent <= AT_FIRST + 0.03 * account.steps + 0.05
    assert kept["skim"] > 300


def test_a_slow_start_says_little_of_a_kind() -> None:
    """The first result of a kind waits for imports: later ones are kept all the same."""
    slow = ("select", 1.0, 0.12, 0.3, 500_000)
    kept = simulate(Allowance(0.03), [slow, *analysis(100)])
    assert kept["select"] > 60


def test_the_same_run_chooses_nearly_the_same() -> None:
    """Of the kind that the budget ends in, those with the same step keys; times differ by a fifth."""

    def chosen(seed: int) -> set[int]:
        noise, marks, account = random.Random(seed), random.Random(1), Allowance(0.03)
        found = set()
        for number in range(4000):
            seconds, mark = 0.04 * noise.uniform(0.8, 1.2), marks.random()
            account.ran(seconds)
            grant = account.grant(("observe", 1), 0.5, Ran(mark, seconds), Cost(seconds, 50_000, 1, 0.0005))
            if grant is not None:
                grant.settle(0.003 * noise.uniform(0.8, 1.2))
                found.add(number)
        return found

    one, other = chosen(5), chosen(6)
    assert len(one & other) > 0.8 * max(len(one), len(other))


def test_arguments_are_not_looked_at_for_nothing() -> None:
    """A kind that is not kept and left its arguments alone is not looked at, unless something may be found."""
    account, name = Allowance(0.0), ("scale", 1)

    def looks(run: str) -> bool:
        return account.is_worth_a_look(name, 0.1, 0.5, run)

    assert looks("")
    simulate(account, [("scale", 0.1, 0.02, 0.004, 1000)] * FAMILIAR)
    assert not looks("")
    for _ in range(MOST_MISSES):
        assert looks("a/1")
        account.sought(name, "a/1", found=False)
    assert not looks("a/1")
    assert looks("a/2")
    account.sought(name, "a/1", found=True)
    assert looks("a/1")
    account.kind(name).changes_arguments = True
    assert looks("")


def test_marks_are_spread_and_the_step_s_own() -> None:
    """They come from the step key, which is a digest."""
    assert [mark_of(bytes([first] + [7] * 15)) < 0.5 for first in (0, 127, 128, 255)] == [True, True, False, False]
