"""The comparison with other caches: its edits apply, what it counts is right, and its page says what a peer does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.older.environments import NotInstalled

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "peers"
sys.path[:0] = [str(FOLDER)]

from changes import CALLS, CHANGES, EXAMPLE, Change  # noqa: E402 - the benchmarks are no package
from measure import missed  # noqa: E402
from packages import PEERS  # noqa: E402
from page import HEADER, counted, row  # noqa: E402
from picture import saving, spread  # noqa: E402


def on_the_page() -> list[list[str]]:
    """The rows of the page's table, without what marks code."""
    text = (ROOT / "docs" / "performance.md").read_text().replace("`", "")
    lines = text[text.index("| | cold, plain = 1") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


def test_each_change_is_of_one_file(tmp_path: Path) -> None:
    """Of the analysis as it stands; the first changes nothing."""
    differ = []
    for change in CHANGES:
        change.write(tmp_path / change.name)
        names = [path.name for path in EXAMPLE.iterdir() if path.is_file()]
        differ.append([n for n in names if (tmp_path / change.name / n).read_bytes() != (EXAMPLE / n).read_bytes()])
    assert differ == [[], ["steps.py"], ["kinematics.py"], ["correction.json"], ["analysis.py"]]
    with pytest.raises(ValueError, match=r"steps.py has 'gone' 0 times, not once"):
        Change("gone", "steps.py", "gone", "").write(tmp_path / "gone")


def test_missed_is_what_ran_and_need_not_have() -> None:
    """Of each step, and not what runs too little, which shows as stale results."""
    helper = next(change for change in CHANGES if change.name == "helper in another file")
    assert missed(CALLS, helper) == CALLS["load"] + CALLS["select"]
    assert missed({"fill": 6}, helper) == 0
    assert counted({"stale": 2, "missed": 1, "failed": 0}) == "2 stale, 1 missed"
    assert counted({"stale": 0, "missed": 0, "failed": 0}) == "right"


def told(processor: float, stale: int = 0) -> dict[str, Any]:
    """What is told of a run."""
    return {"processor": processor, "stale": stale, "missed": 0, "failed": 0, "results": 7}


def test_cost_and_saving_are_beside_plain() -> None:
    """The cold run beside the plain runs around it, and the mean of the runs that followed."""
    pairs = {"plain": [[[1.0, 2.0], [1.0, 4.0]]], "others": {"joblib": [[1.0, 4.5]]}}
    took = dict(zip((change.name for change in CHANGES), (0.0, 3.0, 3.0, 0.0, 1.5), strict=True))
    runs = {"cold": told(4.5), **{name: told(seconds) for name, seconds in took.items()}}
    one = {"title": "joblib", "pairs": pairs, "runs": runs}
    assert saving(one) == 0.5
    assert row(one) == ["joblib", "1.50", "50 %", *["right"] * 5]
    unmeasured = row(one | {"pairs": None, "runs": runs | {"cold": told(4.5, stale=7)}})
    assert unmeasured[1:3] == ["not measured, 7 stale", "not measured"]


def test_names_in_the_picture_are_apart() -> None:
    """They keep their order, move as little as can be, and stay where nothing is near; there may be none."""
    assert spread([], 0.5) == []
    assert spread([0.0, 1.0], 0.5) == [0.0, 1.0]
    assert spread([1.0, 1.0, 1.0], 0.5) == [0.5, 1.0, 1.5]


def test_the_page_has_every_peer() -> None:
    """A row for each, with its version, and a column for each edit."""
    header, _, *rows = on_the_page()
    assert header == HEADER
    assert [cells[0] for cells in rows] == [peer.title for peer in PEERS.values()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "ours, all" else pytest.mark.matrix) for name in PEERS]
)
def test_a_peer_does_what_the_page_says(name: str, tmp_path: Path) -> None:
    """With few events: what is stale, is missed and fails; a policy that goes by cost may then keep less."""
    try:
        PEERS[name].python()
    except NotInstalled as error:
        pytest.skip(str(error))
    path, picture = tmp_path / "figures.json", tmp_path / "peers.png"
    command = [sys.executable, str(FOLDER / "measure.py"), "--repeats", "1", "--events", "5000", "--only", name]
    subprocess.run([*command, "--json", str(path), "--picture", str(picture)], check=True)
    runs = json.loads(path.read_text())[name]["runs"]
    found = [counted(runs[change.name]) for change in CHANGES]
    [said] = [cells[3:] for cells in on_the_page() if cells[0] == PEERS[name].title]
    if "auto" in PEERS[name].title:
        found, said = ([re.sub(r"^\d+ missed$", "right", cell) for cell in cells] for cells in (found, said))
    assert found == said
    assert picture.read_bytes().startswith(b"\x89PNG")
