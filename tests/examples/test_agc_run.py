"""The example's program as a user starts it, and the edits it makes."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import awkward as ak
import pytest
import uproot
from draw import draw
from edits import EDITS, Edit, edited
from generator.make_data import branch, generate, jobs
from inputs import describe
from phase import Phase
from phase import run as run_phase
from run import same

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"

RunExample = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_example(tmp_path: Path) -> RunExample:
    """Start `run.py` with an output folder of this test's own."""

    def start(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ROOT / "benchmarks" / "agc" / "run.py", "--output", tmp_path / "output", *arguments]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            list(map(str, command)), capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
        )

    return start


def write_file(path: Path, collections: dict[str, ak.Array]) -> Path:
    """A file with a tree of these collections and nothing else."""
    with uproot.recreate(path) as file:
        tree = file.mktree("Events", {name: branch(data) for name, data in collections.items()})
        tree.extend(collections)
    return path


def some_events(count: int) -> dict[str, ak.Array]:
    """The collections of a few events of top pairs."""
    columns = generate(replace(jobs(1)[0], entries=count))
    return {name: columns[name] for name in ("Jet", "Electron", "Muon")}


def cells(output: str, run: str) -> list[str]:
    """The cells of the table's row for one run."""
    [line] = [line for line in output.splitlines() if line.startswith(f"│ {run} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


@pytest.mark.slow
def test_a_run_prints_its_table_and_leaves_three_pictures(run_example: RunExample, tmp_path: Path) -> None:
    """Cold, warm and edited runs equal the plain ones; a warm run loads one result and runs nothing."""
    done = run_example("--input", write_file(tmp_path / "events.root", some_events(500)), "--policy", "all")
    assert done.returncode == 0, done.stderr
    edits = [f"{edit.name} edited" for edit in EDITS]
    assert [cells(done.stdout, run)[-1] for run in ("cold", "warm", *edits)] == ["yes"] * 6
    _, steps, loaded, ran, *_ = cells(done.stdout, "warm")
    assert (loaded, ran) == ("1", "0")
    assert cells(done.stdout, "cold")[3] == steps
    # One chunk: the fill, the merge and the normalisation, and before them two observations, all of them, or none.
    assert [int(cells(done.stdout, run)[3]) for run in edits[1:]] == [7, 25, 3]
    pictures = [Path(line) for line in done.stdout.splitlines()[-3:]]
    assert [path.name for path in pictures] == ["ht.png", "trijet_mass.png", "plan.png"]
    assert all(path.read_bytes().startswith(PNG) for path in pictures)


def test_a_cache_that_holds_entries_is_refused(run_example: RunExample, tmp_path: Path) -> None:
    """A cold run through a store that is in use would not be one, and the store is not ours to empty."""
    from cachingclient.storage import Entry, encode, open_store

    store = open_store((tmp_path / "used").as_uri())
    store.write(Entry(("0" * 32,), "result", "step", 1.0, {}, encode(1)))
    done = run_example("--cache", store.url, "--scale", "0.001")
    assert done.returncode == 2
    assert "holds entries" in done.stderr
    assert store.find(["0" * 32])


def test_an_unknown_kind_of_cache_is_named(run_example: RunExample) -> None:
    """Nothing is run before the URL of the store is known to make sense."""
    done = run_example("--cache", "gopher://hole", "--scale", "0.002")
    assert done.returncode == 2
    assert "unknown scheme 'gopher'" in " ".join(done.stderr.replace("│", " ").split())


def test_a_file_that_is_no_root_file_is_named(run_example: RunExample, tmp_path: Path) -> None:
    """The error says which of the files given can't be read."""
    broken = tmp_path / "broken.root"
    broken.write_text("not a ROOT file")
    done = run_example("--input", broken)
    assert done.returncode == 2
    assert "broken.root can't be read" in " ".join(done.stderr.replace("│", " ").split())


def test_missing_branches_are_told(tmp_path: Path) -> None:
    """What stands in for a branch that a real file lacks is said before anything runs."""
    collections = some_events(10)
    muons = collections["Muon"]
    collections["Muon"] = muons[[name for name in muons.fields if name != "sip3d"]]
    path = write_file(tmp_path / "older.root", collections)
    remarks = describe([path], "Events", tmp_path / "inputs.json")
    assert remarks == ["older.root: 0.0 stands in for Muon_sip3d"]


def test_files_without_passing_events_run_through(tmp_path: Path, agc: Path) -> None:
    """Real files may be small: histograms without an event are drawn like others."""
    path = write_file(tmp_path / "few.root", some_events(1))
    describe([path], "Events", tmp_path / "inputs.json")
    outcome = run_phase(Phase("plain", str(agc), str(tmp_path / "inputs.json"), workers=1))
    pictures = draw(outcome.histograms, tmp_path, 3378.0)
    assert outcome.steps == outcome.counts["ran"] > 0
    assert [path.name for path in pictures] == ["ht.png", "trijet_mass.png"]
    assert all(path.read_bytes().startswith(PNG) for path in pictures)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_changes_its_line_alone(edit: Edit, agc: Path, tmp_path: Path) -> None:
    """The edited module is the module but for one line."""
    before = (agc / "ttbar.py").read_text().splitlines()
    after = (edited(edit, tmp_path) / "ttbar.py").read_text().splitlines()
    assert [pair for pair in zip(before, after, strict=True) if len(set(pair)) > 1] == [(edit.old, edit.new)]


def test_an_edit_that_does_not_apply_is_an_error(tmp_path: Path) -> None:
    """An edit of a line that is gone would compare a run with itself."""
    with pytest.raises(ValueError, match="needs the line 'NOTHING = 1' once"):
        edited(Edit("nothing", "NOTHING = 1", "NOTHING = 2"), tmp_path / "edited")
    assert not (tmp_path / "edited").exists()


def test_a_difference_of_one_bit_is_seen(manifest: Path) -> None:
    """Equal means equal to the last bit, in the bins that are not drawn too."""
    import ttbar

    observed = {region: {"value": [100.0, 900.0]} for region in ("4j1b", "4j2b")}
    one = ttbar.fill("ttbar", ["nominal"], [observed], {})
    other = pickle.loads(pickle.dumps(one))
    assert same(one, other)
    other["4j2b"].view(flow=True)["value"][-1] += 1e-16 + 1.0
    assert not same(one, other)


def test_the_readme_tells_what_each_file_holds(agc: Path) -> None:
    """A file that comes or goes has its line."""
    rows = re.findall(r"^\| (`.*?) \|", (agc / "README.md").read_text(), re.MULTILINE)
    files = {path.name for path in agc.glob("*.py")} | {"generator/"}
    assert set(re.findall(r"`([^`]+)`", " ".join(rows))) == files
