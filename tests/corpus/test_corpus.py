"""Checks every program of the corpus, and a number of mutations."""

from __future__ import annotations

from typing import Any

import pytest

from tests.corpus.case import Case
from tests.corpus.mutations import mutate
from tests.corpus.programs import CASES
from tests.corpus.run import faults, outcomes
from tests.corpus.surroundings import mutate as mutate_surroundings

Results = dict[str, tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What all programs and their edits did, each in a process of its own."""
    return outcomes(CASES, tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_edit_runs_what_it_must_and_nothing_else(case: Case, results: Results) -> None:
    """Results equal those without a cache, and exactly the steps that the edit can have changed run again."""
    assert not faults(case, *results[case.name]), case.why


def test_names_are_told_apart() -> None:
    """Every case stands in the summary under a name of its own."""
    assert len({case.name for case in CASES}) == len(CASES) >= 200


def test_mutations_find_nothing_stale_and_nothing_needless() -> None:
    """An edit that changes a result changes the key of its step; layout changes no key."""
    counts = mutate(300, seed=11)
    assert not counts.stale
    assert not counts.needless
    assert counts.changed > 100


def test_mutations_of_files_variables_outputs_and_memory_find_nothing_stale() -> None:
    """Whatever changes of what steps read and wrote, each call gives what the plain function gives."""
    stale, world, kept = mutate_surroundings(150, seed=5)
    assert not stale
    assert len(world.kinds) == 6
    assert kept > 10, "and results are kept"
