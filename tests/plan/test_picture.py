"""Plans and run reports as pictures."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from cachingclient.plan.counts import state
from cachingclient.plan.plan import Plan
from cachingclient.plan.record import StepRecord
from cachingclient.plan.report import RunReport
from cachingclient.plan.steps import PlannedStep
from tests.plan.edited import RECORDS, plan, step

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("planned", "shown"),
    [
        (step("a-1", "load"), "loaded"),
        (step("a-1", "run"), "ran"),
        (step("a-1", "pruned"), "not needed"),
        (step("a-1", "held"), "in memory"),
        (step("a-1", "run", reason="a lock"), "uncacheable"),
    ],
)
def test_every_step_has_one_state(planned: PlannedStep, shown: str) -> None:
    """A picture shows each step in one colour."""
    assert state(planned) == shown
    assert state(step("a-1", "load"), StepRecord("a-1", "a", "ran")) == "ran"


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_pictures_of_a_plan_and_a_run(edited: Plan, tmp_path: Path, suffix: str) -> None:
    """A plan and a report draw themselves into a file of the format that the name says."""
    for number, shown in enumerate((edited, RunReport(edited, RECORDS))):
        path = shown.picture(tmp_path / f"{number}.{suffix}")
        data = path.read_bytes()
        assert data.startswith(PNG) if suffix == "png" else b"</svg>" in data


def test_a_picture_names_every_step_name(edited: Plan, tmp_path: Path) -> None:
    """Each name is written in the picture, with what happened to its steps."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        text = edited.picture(tmp_path / "plan.svg").read_text()
    for shown in ("load", "select", "fill", "plot", "2 not needed", "to load (2)", "3 of 7 steps to run"):
        assert f">{shown}" in text


def test_boxes_and_legend_have_the_same_words(edited: Plan, tmp_path: Path) -> None:
    """Of what is to be done in a plan, and of what was done in a report."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        planned = edited.picture(tmp_path / "plan.svg").read_text()
        done = RunReport(edited, RECORDS).picture(tmp_path / "run.svg").read_text()
    for word, text in (("to run", planned), ("ran", done)):
        assert re.search(rf">\d+ {word}\b", text)
        assert re.search(rf">{word} \(\d", text)
    assert not re.search(r">\d+ run\b", done)


def test_a_picture_of_nothing(tmp_path: Path) -> None:
    """An empty plan draws an empty picture."""
    assert plan().picture(tmp_path / "nothing.png").read_bytes().startswith(PNG)


def test_a_picture_without_matplotlib(edited: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where matplotlib is missing, the error says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        edited.picture(tmp_path / "plan.png")
