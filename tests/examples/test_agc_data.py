"""The samples of the ttbar example: their form, their determinism, and that they are made once."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from generator.make_data import MANIFEST, SAMPLES, generate, jobs, make_data, write

TYPES = {
    "run": "uint32_t",
    "luminosityBlock": "uint32_t",
    "event": "uint64_t",
    "Jet_pt": "float[]",
    "Jet_btagCSVV2": "float[]",
    "Jet_jetId": "int32_t[]",
    "Electron_cutBased": "int32_t[]",
    "Electron_sip3d": "float[]",
    "Muon_charge": "int32_t[]",
    "Muon_tightId": "bool[]",
    "Muon_pfRelIso04_all": "float[]",
}


def contents(path: Path) -> ak.Array:
    with uproot.open(path) as file:
        return file["Events"].arrays()


def test_every_sample_has_its_files_and_entries(manifest: Path) -> None:
    """The manifest tells of each file what the file itself says."""
    samples = json.loads(manifest.read_text())["samples"]
    assert list(samples) == [sample.name for sample in SAMPLES]
    for entry in samples.values():
        assert entry["files"]
        for described in entry["files"]:
            with uproot.open(manifest.parent / described["path"]) as file:
                assert file["Events"].num_entries == described["entries"]
                assert str(file.file.uuid) == described["uuid"]


def test_branches_have_the_types_of_nanoaod(manifest: Path) -> None:
    """A reader of NanoAOD finds its branches with the types it knows."""
    with uproot.open(manifest.parent / "ttbar__nominal_0.root") as file:
        tree = file["Events"]
        assert {name: tree[name].typename for name in TYPES} == TYPES
        assert {"nJet", "nElectron", "nMuon"} <= set(tree.keys())


def test_objects_are_sorted_by_momentum(manifest: Path) -> None:
    """The hardest jet comes first, as in NanoAOD."""
    jets = contents(manifest.parent / "ttbar__nominal_0.root").Jet_pt
    assert ak.all(jets[:, :-1] >= jets[:, 1:])
    assert ak.all(ak.num(jets) >= 4)


def test_the_same_parameters_give_the_same_events(manifest: Path, tmp_path: Path) -> None:
    """Samples made elsewhere hold the same events under the same file UUID."""
    job = next(job for job in jobs(0.05) if job.sample.name == "wjets__nominal")
    write(job, tmp_path / job.name)
    with uproot.open(tmp_path / job.name) as here, uproot.open(manifest.parent / job.name) as there:
        assert here.file.uuid == there.file.uuid
        assert ak.array_equal(here["Events"].arrays(), there["Events"].arrays())


def test_files_of_a_sample_differ() -> None:
    """Two files of a sample are different events with different UUIDs."""
    first, second = (job for job in jobs(1) if job.sample.name == "ttbar__ME_var")
    assert first.uuid != second.uuid
    one, other = generate(first), generate(second)
    assert not np.intersect1d(one["event"], other["event"]).size
    assert not ak.array_equal(one["Jet"].pt, other["Jet"].pt)


def test_a_larger_scale_adds_files_and_keeps_those_there() -> None:
    """At another scale the first files stay as they were, so that nothing kept of them is lost."""
    small = {job.name: job.uuid for job in jobs(1)}
    assert small.items() <= {job.name: job.uuid for job in jobs(3)}.items()


def test_samples_are_made_once(manifest: Path, tmp_path: Path) -> None:
    """A second call leaves the files alone; a missing or cut file makes them anew."""
    made = make_data(tmp_path, scale=0.001)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert make_data(tmp_path, scale=0.001) == made
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times
    cut = tmp_path / "ttbar__nominal_0.root"
    cut.write_bytes(cut.read_bytes()[:100])
    make_data(tmp_path, scale=0.001)
    assert len(contents(cut)) > 0


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is whole or not there."""
    monkeypatch.setattr("generator.make_data.BASKET", 0)  # range() refuses it after the file was begun
    with pytest.raises(ValueError, match="range"):
        write(jobs(0.001)[0], tmp_path / "sample.root")
    assert list(tmp_path.iterdir()) == []


def test_a_scale_of_nothing_is_refused(tmp_path: Path) -> None:
    """The error names the argument and what it got."""
    with pytest.raises(ValueError, match="scale must be above 0, got 0"):
        make_data(tmp_path, scale=0)
    assert not (tmp_path / MANIFEST).exists()
