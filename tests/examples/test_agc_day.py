"""The edits of a day: the same for a seed, as often as they are meant to be, each applies and changes what it says."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import awkward as ak
import click
import day as program
import numpy as np
import pytest
from day import begun, measure, stores_of
from day_edits import EFT, PARTS, TTBAR, Analysis, DayEdit, day
from day_figures import Day, Figures, in_hindsight, table
from day_picture import draw
from matplotlib import pyplot
from phase import Outcome, Phase, own_seconds
from rich.console import Console

from cachingclient.plan.record import StepRecord


def test_a_seed_tells_the_day() -> None:
    """Policies are compared on the same edits, and another seed gives others."""
    assert day(50, 1) == day(50, 1) != day(50, 2)
    counts = Counter(edit.kind for edit in day(5000, 3))
    assert all(abs(counts[kind] / 50 - part) < 3 for kind, part in PARTS.items())


@pytest.mark.parametrize("analysis", [TTBAR, EFT], ids=["ttbar", "topeft"])
def test_each_edit_changes_one_line_more_or_back(analysis: Analysis, tmp_path: Path) -> None:
    """What was edited before stays as it is, in modules that can be compiled."""
    edits = [DayEdit("cold", {}), *day(30, 1, analysis)]
    folders = [edit.write(tmp_path / f"{number}", analysis) for number, edit in enumerate(edits)]
    texts = ["".join((folder / name).read_text() for name in analysis.modules) for folder in folders]
    for text in texts:
        compile(text.replace("from __future__ import annotations", ""), "edited", "exec")
    for before, after in pairwise(texts):
        lines = zip(before.split("\n"), after.split("\n"), strict=True)
        assert sum(one != other for one, other in lines) == 1


def test_a_line_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One that the example does not have any more."""
    line = TTBAR.lines["selection"][0]
    gone = replace(line, old="NOTHING = 1", others=("NOTHING = 2",))
    with pytest.raises(ValueError, match="'NOTHING = 1' 0 times"):
        DayEdit("selection", {gone: "NOTHING = 2"}).write(tmp_path / "gone")


def modules(analysis: Analysis, edit: DayEdit, folder: Path) -> dict[str, ModuleType]:
    """The modules of an analysis as they are after an edit, beside those that other tests imported."""
    edit.write(folder, analysis)
    found = {}
    for name in analysis.modules:
        spec = spec_from_file_location(f"edited_{name.removesuffix('.py')}", folder / name)
        assert spec is not None
        assert spec.loader is not None
        found[name.removesuffix(".py")] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return found


def ttbar_steps(edited: dict[str, ModuleType], path: str, given: dict[str, Any]) -> dict[str, Any]:
    """What the steps of each kind give for what the unedited ones before them gave."""
    ttbar, columns = edited["ttbar"], edited["columns"]
    found = {"loading": columns.load_columns(path, "Events", 0, 2000)}
    found["selection"] = ttbar.select_objects(given.get("loading", found["loading"]))
    jets = given.get("selection", found["selection"])
    found["variation"] = {name: ttbar.scale_jets(jets, shift) for name, shift in ttbar.jet_shifts().items()}
    found["observable"] = ttbar.observe(jets)
    found["histogram"] = ttbar.fill("ttbar", ["nominal"], [given.get("observable", found["observable"])], {})
    return found


def eft_steps(edited: dict[str, ModuleType], path: str, given: dict[str, Any]) -> dict[str, Any]:
    """The same of the processor of TopEFT's shape."""
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    topeft = edited["topeft"]
    events = NanoEventsFactory.from_root({path: "Events"}, schemaclass=NanoAODSchema).events()
    found = {"loading": topeft.loaded(events)}
    found["selection"] = topeft.selected(given.get("loading", found["loading"]))
    objects = given.get("selection", found["selection"])
    found["observable"] = topeft.observed(objects, {"nominal": (0.0, 0.0)})
    seen = given.get("observable", found["observable"])
    weights = topeft.weighed(objects, seen["nominal"])
    found["variation"] = topeft.sources(), weights
    weights = given.get("variation", found["variation"])[1]
    variables = ("lepton_pt", "ht")
    found["histogram"] = [topeft.filled(name, "ttH", seen, weights, objects.coefficients) for name in variables]
    return found


def equal(one: Any, other: Any) -> bool:
    """Whether two results are the same, with the names of their columns."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, ak.Array):
        return one.fields == other.fields and bool(ak.array_equal(one, other))
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


@pytest.mark.filterwarnings("ignore:Missing cross-reference index")
@pytest.mark.parametrize(("analysis", "steps"), [(TTBAR, ttbar_steps), (EFT, eft_steps)], ids=["ttbar", "topeft"])
def test_each_edit_changes_the_result_of_its_steps_alone(
    analysis: Analysis, steps: Any, agc: Path, manifest: Path, eft_manifest: Path, tmp_path: Path
) -> None:
    """An edit that changes no result would make a day of it too good, whatever line it is."""
    where = eft_manifest if analysis is EFT else manifest
    path = str(next(where.parent.glob("tt*_0*.root")))
    right = steps(modules(analysis, DayEdit("cold", {}), tmp_path / "right"), path, {})
    for kind, lines in analysis.lines.items():
        for number, (line, other) in enumerate((each, other) for each in lines for other in each.others):
            edited = modules(analysis, DayEdit(kind, {line: other}), tmp_path / f"{kind}{number}")
            found = steps(edited, path, right)
            assert {name for name in PARTS if not equal(found[name], right[name])} == {kind}, other


def figures(seconds: float, select: int, fill: int, each: float, differs: bool = False) -> Figures:
    ran, spent = {"select": select, "fill": fill}, {"select": select * each, "fill": fill * each * 3}
    return Figures(seconds, seconds, ran, spent, differs)


def test_hindsight_runs_only_what_is_new() -> None:
    """At plain's speed, by what a step of each name took at first: how fast a later run had them does not count."""
    everything = [figures(14.0, 6, 2, 1.0), figures(8.0, 3, 1, 0.7), figures(5.0, 0, 2, 2.0), figures(1.0, 0, 0, 1.0)]
    assert in_hindsight([10.0, 12.0, 8.0, 9.0], everything) == [10.0, 6.0, 4.0, 0.0]


def test_a_step_s_time_is_without_the_calls_in_it() -> None:
    """Else a processor that runs again to fill histograms would count with all that it found."""
    around = StepRecord(("process", 1), "process", "ran", 5.0)
    call = StepRecord("('process', 1)/a-0", "observations", "ran", 4.0)
    inside = StepRecord("('process', 1)/a-0/a-1", "selected", "ran", 3.0)
    other = StepRecord("merge-1", "merge", "ran", 2.0)
    assert own_seconds([inside, call, around, other]) == {
        "selected": 3.0,
        "observations": 1.0,
        "process": 1.0,
        "merge": 2.0,
    }


ORDER = {"edits": 1, "seed": 1, "scale": 0.1, "front": "map", "workers": 1, "ways": ["plain", "auto"]}


def short_day() -> Day:
    plain, auto = [figures(10.0, 1, 1, 1.0)] * 2, [figures(12.0, 1, 1, 1.0, True), figures(4.0, 0, 1, 1.0)]
    return Day(ORDER, ["cold", "histogram"], {"plain": plain, "auto": auto})


def test_the_table_has_a_row_a_policy() -> None:
    """With the whole day, the mean after each kind of edit, what was waited, and how many runs were wrong."""
    console = Console(width=140, file=io.StringIO(), record=True)
    console.print(table(short_day()))
    [row] = [line for line in console.export_text().splitlines() if line.startswith("│ auto")]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["auto", "16", "1.25", "12.0", "4.0", "16", "1"]


def test_the_picture_is_made_of_what_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each, with what the whole day took beside its name, and the front above."""
    shown: list[str] = []

    def look(figure: Any) -> None:
        legend = figure.axes[0].get_legend()
        shown.extend([legend.get_title().get_text(), *(text.get_text() for text in legend.texts)])

    monkeypatch.setattr(pyplot, "close", look)
    short_day().save(tmp_path / "day.json")
    draw(Day.read(tmp_path / "day.json"), tmp_path / "day.png")
    assert shown == ["map", "plain: 20 s", "auto: 16 s"]
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")


def test_a_day_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No run is measured twice but plain's of the edit it stopped at; the run that it stopped in is told."""
    asked: list[tuple[str, str | None]] = []
    stops = {2}

    def run(phase: Phase) -> Outcome:
        asked.append((Path(phase.code).name, phase.cache and Path(phase.cache).name))
        if len(asked) in stops:
            raise KeyboardInterrupt
        return Outcome({}, 1, 1.0, work_seconds=float(len(asked)))

    monkeypatch.setattr(program, "run", run)
    path, ways = tmp_path / "day.json", {"plain": {}, "auto": {"policy": "auto"}}
    order = Phase("day", "", "", front="map")
    folder = stores_of(path)
    folder.mkdir()
    found = begun(path, False, Day(ORDER, ["cold", "histogram"], {way: [] for way in ways}))
    with pytest.raises(KeyboardInterrupt):
        list(measure(found, order, ways, folder, path))
    found = begun(path, True, Day(ORDER, ["cold", "histogram"], {way: [] for way in ways}))
    assert len(list(measure(found, order, ways, folder, path))) == 2
    assert asked == [("0", None), ("0", "auto"), ("0", None), ("0", "auto"), ("1", None), ("1", "auto")]
    saved = Day.read(path)
    assert saved.each("processor") == {"plain": [1.0, 5.0], "auto": [4.0, 6.0]}
    assert (saved.again, saved.running) == ([[0, "auto"]], None)


def test_another_day_does_not_go_on(tmp_path: Path) -> None:
    """What differs is told, and a file is not written over."""
    path, fresh = tmp_path / "day.json", replace(short_day(), order=ORDER | {"scale": 1.0})
    short_day().save(path)
    with pytest.raises(click.BadParameter, match=r"scale is 0\.1 there"):
        begun(path, True, fresh)
    with pytest.raises(click.BadParameter, match="--resume goes on with it"):
        begun(path, False, fresh)
    Day(ORDER, ["cold", "histogram"], {"plain": [], "auto": []}).save(path)
    with pytest.raises(click.BadParameter, match="its stores are gone"):
        begun(path, True, short_day())


@pytest.mark.matrix
@pytest.mark.parametrize("front", ["topeft", "delayed", "map", "coffea, steps"])
def test_a_short_day(front: str, agc: Path, tmp_path: Path) -> None:
    """An edit of very few events, by the program as it is started; nothing but the figures is left."""
    script, path = agc.parents[1] / "benchmarks" / "agc" / "day.py", tmp_path / "day.json"
    command = [sys.executable, str(script), "--edits", "1", "--scale", "0.002", "--workers", "1", "--front", front]
    done = subprocess.run([*command, "--json", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [name in done.stdout for name in ("plain", "auto", "all", "best in hindsight")] == [True] * 4
    assert json.loads(path.read_text())["order"]["front"] == front
    assert list(tmp_path.iterdir()) == [path]
