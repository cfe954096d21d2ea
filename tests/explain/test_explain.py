"""Of everyday edits the reason names what was edited, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.explain.__main__ import table
from tests.explain.corpus import judged
from tests.explain.edits import EDITS, Edit
from tests.explain.run import faults, reasons


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is said of all edits, of each in a process of its own."""
    return reasons(EDITS, tmp_path_factory.mktemp("explain"))


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{edit.kind}: {edit.name}")
def test_a_reason_names_what_was_edited_and_nothing_else(edit: Edit, told: dict[str, Any]) -> None:
    """Each step that was edited has a reason of its own, with the values where they are small; others follow."""
    assert faults(edit, told[edit.name]) == []


def test_a_root_is_told_once_for_all_that_follows(told: dict[str, Any]) -> None:
    """The cut of three chains: one line, and in a table a word for each name."""
    after = told["a cut"]
    root = "PT_CUT in main.py changed: 30 -> 35"
    assert (
        after["told"]
        == f"{root}: select (3 steps) runs, and what follows: smear (3 steps), fill (3 steps), "
        + (after["told"].rpartition("fill (3 steps), ")[2])
    )
    assert after["told"].count(root) == 1
    assert after["table"]["select"] == root
    assert after["table"]["smear"] == "follows select"


def test_reasons_of_the_corpus_name_what_was_edited(tmp_path: Path) -> None:
    """Of the edits of its programs nearly all are named, and never another part."""
    found = judged(tmp_path)
    assert [fault for of_case in found.values() for fault in of_case if fault.startswith("WRONG")] == []
    assert sum(not of_case for of_case in found.values()) >= 0.95 * len(found)
    assert len(found) > 200


def test_the_table_counts_edits_by_kind() -> None:
    """Those that are named, and those of which something else is."""
    lines = table({"cut": [[], ["LACKS a word"]], "bin": [["WRONG x"]]})
    assert [line.split() for line in lines[1:]] == [
        ["cut", "2", "1", "0", "50.0%"],
        ["bin", "1", "0", "1", "0.0%"],
        ["all", "3", "1", "1", "33.3%"],
    ]
    assert len({edit.name for edit in EDITS}) == len(EDITS) >= 40
