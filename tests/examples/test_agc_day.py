"""The edits of a day of the ttbar example: the same for a seed, as often as they are meant to be, and each applies."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from day import LINES, PARTS, DayEdit, day, in_hindsight, table
from day_picture import draw
from matplotlib import pyplot
from phase import Outcome
from rich.console import Console


def test_a_seed_tells_the_day() -> None:
    """Policies are compared on the same edits, and another seed gives others."""
    assert day(50, 1) == day(50, 1) != day(50, 2)
    counts = Counter(edit.kind for edit in day(5000, 3))
    assert all(abs(counts[kind] / 50 - part) < 3 for kind, part in PARTS.items())


def test_each_edit_changes_one_line_more_or_back(tmp_path: Path) -> None:
    """What was edited before stays as it is, in modules that can be compiled."""
    folders = [edit.write(tmp_path / f"{number}") for number, edit in enumerate([DayEdit("cold", {}), *day(30, 1)])]
    for folder in folders:
        compile((folder / "ttbar.py").read_text(), "ttbar.py", "exec")
    texts = [(folder / "ttbar.py").read_text() + (folder / "columns.py").read_text() for folder in folders]
    for before, after in pairwise(texts):
        lines = zip(before.split("\n"), after.split("\n"), strict=True)
        assert sum(one != other for one, other in lines) == 1


def test_every_line_is_there(tmp_path: Path) -> None:
    """A line that the example does not have any more is named."""
    for kind, lines in LINES.items():
        for line in lines:
            for other in line.others:
                DayEdit(kind, {line: other}).write(tmp_path / f"{kind}{hash(other)}")
    line = LINES["selection"][0]
    gone = type(line)(line.module, "NOTHING = 1", ("NOTHING = 2",))
    with pytest.raises(ValueError, match="'NOTHING = 1' 0 times"):
        DayEdit("selection", {gone: "NOTHING = 2"}).write(tmp_path / "gone")


def outcome(seconds: float, select: int, fill: int, each: float) -> Outcome:
    return Outcome(
        {}, 1, seconds, ran={"select": select, "fill": fill}, spent={"select": select * each, "fill": fill * each * 3}
    )


def test_hindsight_runs_only_what_is_new() -> None:
    """At plain's speed, by what a step of each name took at first: how fast a later run had them does not count."""
    everything = [outcome(14.0, 6, 2, 1.0), outcome(8.0, 3, 1, 0.7), outcome(5.0, 0, 2, 2.0), outcome(1.0, 0, 0, 1.0)]
    assert in_hindsight([10.0, 12.0, 8.0, 9.0], everything) == [10.0, 6.0, 4.0, 0.0]


def test_the_table_has_a_row_a_policy() -> None:
    """With the whole day, the mean after each kind of edit, what was waited, and how many runs were wrong."""
    console = Console(width=140, file=io.StringIO(), record=True)
    processor, waited = {"plain": [10.0, 10.0], "auto": [12.0, 4.0]}, {"plain": [9.0, 9.0], "auto": [8.0, 1.0]}
    console.print(table(["cold", "histogram"], processor, waited, {"auto": 1}))
    [row] = [line for line in console.export_text().splitlines() if line.startswith("│ auto")]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["auto", "16", "1.25", "12.0", "4.0", "9", "1"]


def test_the_picture_tells_the_totals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each, with what the whole day took beside its name."""
    shown: list[str] = []
    monkeypatch.setattr(
        pyplot, "close", lambda figure: shown.extend(t.get_text() for t in figure.axes[0].get_legend().texts)
    )
    draw(["cold", "histogram"], {"plain": [10.0, 10.0], "auto": [12.0, 4.0]}, tmp_path / "day.png")
    assert shown == ["plain: 20 s", "auto: 16 s"]
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_short_day(agc: Path) -> None:
    """Two edits of very few events, by the program as it is started."""
    script = agc.parents[1] / "benchmarks" / "agc" / "day.py"
    command = [sys.executable, str(script), "--edits", "2", "--scale", "0.002", "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [name in done.stdout for name in ("plain", "auto", "all", "best in hindsight")] == [True] * 4
