"""The comparison with other caches: its edits apply, what it counts is right, and a peer is run as it is started."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
sys.path[:0] = [str(PEERS)]

from changes import CALLS, CHANGES, EXAMPLE, Change  # noqa: E402 - the benchmarks are no package
from measure import cold_cost, counted, judged  # noqa: E402
from picture import saving  # noqa: E402


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


def found(**ran: int) -> dict[str, Any]:
    """What a run tells."""
    return {"ran": ran, "processor": 1.0, "waited": 1.0, "stale": 2, "failed": 0, "results": 7, "error": ""}


def test_missed_is_what_ran_and_need_not_have() -> None:
    """Of each step, and not what runs too little, which shows as stale results."""
    helper = next(change for change in CHANGES if change.name == "helper")
    assert judged(found(**CALLS), helper)["missed"] == CALLS["load"] + CALLS["select"]
    assert judged(found(fill=6), helper)["missed"] == 0
    assert counted(judged(found(load=1), helper)) == "2 stale, 1 missed"
    assert counted(judged(found() | {"stale": 0}, helper)) == "right"


def test_cost_and_saving_are_beside_plain() -> None:
    """The cold run beside the plain runs around it, and the mean of the runs that followed."""
    pairs = {"plain": [[[1.0, 2.0], [1.0, 4.0]]], "others": {"joblib": [[1.0, 4.5]]}}
    runs = {"cold": {"processor": 4.5}, "nothing": {"processor": 0.0}, "body": {"processor": 3.0}}
    one = {"pairs": pairs, "runs": runs}
    assert (cold_cost(one), saving(one)) == ("1.50 of 1", 0.5)
    assert cold_cost({"pairs": None, "runs": runs}) == "not measured"


@pytest.mark.slow
def test_a_peer_as_it_is_started(tmp_path: Path) -> None:
    """cachingclient, with very few events: nothing is stale and nothing fails."""
    path, picture = tmp_path / "figures.json", tmp_path / "peers.png"
    command = [sys.executable, str(PEERS / "measure.py"), "--repeats", "1", "--events", "200", "--only", "ours, all"]
    subprocess.run([*command, "--json", str(path), "--picture", str(picture)], check=True)
    runs = json.loads(path.read_text())["ours, all"]["runs"]
    assert [(run["stale"], run["failed"], run["missed"]) for run in runs.values()] == [(0, 0, 0)] * 6
    assert picture.read_bytes().startswith(b"\x89PNG")
