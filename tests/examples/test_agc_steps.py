"""The steps of the ttbar example: their physics, their determinism and the graph they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import assembly
import awkward as ak
import columns
import dask
import numpy as np
import pytest
import ttbar
from distributed import Client
from run import same
from samples import CHUNK_SIZE, DataFile, Sample, chunked, read_samples


@pytest.fixture(scope="module")
def samples(manifest: Path) -> list[Sample]:
    return read_samples(manifest)


@pytest.fixture(scope="module")
def histograms(samples: list[Sample]) -> ttbar.Histograms:
    """The analysis of all samples, in this process."""
    return dask.compute(assembly.build(samples), scheduler="sync")[0]


@pytest.fixture(scope="module")
def few(samples: list[Sample]) -> list[Sample]:
    """A nominal and a varied sample."""
    return samples[:2]


@pytest.fixture(scope="module")
def histograms_of_few(few: list[Sample]) -> ttbar.Histograms:
    return dask.compute(assembly.build(few), scheduler="sync")[0]


@pytest.fixture(scope="module")
def jets(samples: list[Sample]) -> ak.Array:
    file = samples[0].files[0]
    return ttbar.select_objects(columns.load_columns(file.path, file.treename, 0, 1000))


def nominal(histograms: ttbar.Histograms, region: str, process: str) -> np.ndarray:
    return histograms[region][:, process, "nominal"].values()


def near_the_top_quark(masses: np.ndarray) -> float:
    """The share of trijet masses, of those in the histogram's range, within 150 to 190 GeV."""
    shown = masses[(masses >= 50) & (masses < 550)]
    return float(np.mean((shown >= 150) & (shown < 190)))


def test_trijet_mass_peaks_at_the_top_quark(histograms: ttbar.Histograms, jets: ak.Array) -> None:
    """Among top pairs the fullest bin of the trijet mass is one of those around 172.5 GeV."""
    values, centres = nominal(histograms, "4j2b", "ttbar"), histograms["4j2b"].axes[0].centers
    assert 150 < centres[np.argmax(values)] < 190
    assert near_the_top_quark(ttbar.observe(jets)["4j2b"]["value"]) > 0.25


def test_trijet_mass_of_w_and_jets_has_no_peak(samples: list[Sample]) -> None:
    """W + jets holds no top quark: whichever of its jets are tagged, no mass is favoured."""
    [sample] = [sample for sample in samples if sample.process == "wjets"]
    file = sample.files[0]
    jets = ttbar.select_objects(columns.load_columns(file.path, file.treename, 0, file.entries))
    tagged = ak.with_field(jets, ak.ones_like(jets.pt), "btagCSVV2")
    assert near_the_top_quark(ttbar.trijet_mass(tagged)) < 0.22


def test_ht_rises_fast_and_falls_slowly(histograms: ttbar.Histograms) -> None:
    """Four jets above 30 GeV leave nothing below 120 GeV; after its peak the sum falls steadily."""
    everything = sum(nominal(histograms, "4j1b", process) for process in histograms["4j1b"].axes["process"])
    edges = histograms["4j1b"].axes[0].edges
    assert everything[edges[1:] <= 110].sum() == 0
    assert 190 <= edges[int(np.argmax(everything))] < 330
    coarse = [everything[(edges[:-1] >= low) & (edges[1:] <= low + 80)].sum() for low in (310, 390, 470)]
    assert everything.max() > 0
    assert coarse == sorted(coarse, reverse=True)


def test_ttbar_dominates_both_regions(histograms: ttbar.Histograms) -> None:
    """The regions are those of a ttbar measurement, purer with two b-tags."""
    shares = []
    for region in ("4j1b", "4j2b"):
        processes = histograms[region].axes["process"]
        yields = {process: nominal(histograms, region, process).sum() for process in processes}
        shares.append(yields["ttbar"] / sum(yields.values()))
    assert 0.6 < shares[0] < shares[1]


def test_scaling_jets_up_moves_events_up(histograms: ttbar.Histograms) -> None:
    """More energetic jets bring more events over the threshold, at larger HT."""
    shifted = histograms["4j1b"][:, "ttbar", :]
    centres = shifted.axes[0].centers

    def mean(variation: str) -> float:
        return float(np.average(centres, weights=shifted[:, variation].values()))

    assert mean("pt_scale_down") < mean("nominal") < mean("pt_scale_up")


def test_every_variation_is_filled(histograms: ttbar.Histograms) -> None:
    """All variations of the jets, of b-tagging and of the samples have events of top pairs."""
    samples = ["ME_var", "PS_var", "scaleup", "scaledown"]
    wanted = {"nominal", *ttbar.jet_shifts(), *ttbar.PT_RESOLUTION, *ttbar.btag_shifts(), *samples}
    for histogram in histograms.values():
        assert set(histogram.axes["variation"]) == wanted
        assert all(histogram[:, "ttbar", variation].values().sum() > 0 for variation in wanted)


def test_smearing_is_the_same_for_the_same_seed(jets: ak.Array) -> None:
    """A chunk's smearing depends on its seed alone."""
    once, again = (ttbar.smear_jets(jets, 0.05, seed=7) for _ in range(2))
    assert ak.array_equal(once, again)
    assert not ak.array_equal(once, ttbar.smear_jets(jets, 0.05, seed=8))


def test_seeds_tell_files_ranges_and_steps_apart(samples: list[Sample]) -> None:
    """Every chunk and every step that draws has a seed of its own."""
    chunks = list(chunked(samples, 100))
    seeds = {chunk.seed(step) for chunk in chunks for step in ttbar.PT_RESOLUTION}
    assert len(seeds) == len(chunks) * len(ttbar.PT_RESOLUTION)


def test_a_step_leaves_its_input_alone(jets: ak.Array) -> None:
    """Steps share their inputs, so none may change them."""
    before = ak.copy(jets)
    ttbar.scale_jets(jets, (0.1, 0.0, 0.0))
    ttbar.smear_jets(jets, 0.1, 1)
    ttbar.weigh_btags(ttbar.observe(jets), ttbar.btag_shifts())
    assert ak.array_equal(jets, before)


def test_trijet_mass_is_that_of_the_hardest_tagged_combination() -> None:
    """Of all combinations with a b-tag the one with the largest momentum gives its mass."""
    event = {
        "pt": [100.0, 90.0, 80.0, 70.0],
        "eta": [0.0, 0.1, -0.1, 0.2],
        "phi": [0.0, 0.1, 0.2, 3.0],
        "mass": [10.0, 9.0, 8.0, 7.0],
        "btagCSVV2": [0.1, 0.2, 0.9, 0.9],
    }
    jets = ak.zip({name: ak.Array([values]) for name, values in event.items()}, with_name="Momentum4D")
    expected = (jets[:, 0] + jets[:, 1] + jets[:, 2]).mass
    assert ttbar.trijet_mass(jets) == pytest.approx(ak.to_numpy(expected))


def test_a_chunk_without_a_passing_event_is_filled_with_nothing(jets: ak.Array) -> None:
    """Empty chunks go through all steps."""
    none = jets[:0]
    observed = ttbar.observe(ttbar.smear_jets(ttbar.scale_jets(none, (0.1, 0.0, 0.0)), 0.1, 1))
    filled = ttbar.fill("ttbar", ["nominal"], [observed], ttbar.weigh_btags(observed, ttbar.btag_shifts()))
    assert all(histogram.sum(flow=True).value == 0 for histogram in filled.values())


def test_chunks_add_up(few: list[Sample], histograms_of_few: ttbar.Histograms) -> None:
    """Smaller chunks give the same events, but for the noise that belongs to a chunk."""
    smaller = dask.compute(assembly.build(few, chunk_size=1000), scheduler="sync")[0]
    for region, histogram in histograms_of_few.items():
        for variation in ("nominal", "pt_scale_up"):
            one, other = histogram[:, :, variation], smaller[region][:, :, variation]
            assert one.values() == pytest.approx(other.values())


def test_map_gives_the_histograms_of_the_graph(
    plain_client: Client, few: list[Sample], histograms_of_few: ttbar.Histograms
) -> None:
    """Both ways of sending the steps give the same bits."""
    assert same(assembly.run_with_map(plain_client, few).result(), histograms_of_few)


def test_a_new_file_leaves_the_calls_of_other_chunks_alone() -> None:
    """Only merges and the normalisation see that a sample has grown."""
    files = tuple(DataFile(f"{i}.root", "Events", 20_000, f"uuid-{i}") for i in range(3))
    grown = Sample("ttbar", "nominal", 1.0, files)

    def calls(samples: list[Sample]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}

        def each(step: Callable[..., Any], *arguments: list[Any]) -> list[str]:
            made = [f"{step.__name__}{values}" for values in zip(*arguments, strict=True)]
            found.setdefault(step.__name__, set()).update(made)
            return made

        assembly.assemble(each, samples, CHUNK_SIZE)
        return found

    before, after = calls([replace(grown, files=files[:2])]), calls([grown])
    assert before["normalise"].isdisjoint(after["normalise"])
    for step in ("load_columns", "select_objects", "smear_jets", "observe", "weigh_btags", "fill"):
        assert before[step] < after[step]


def test_a_missing_branch_has_a_stand_in_or_is_named() -> None:
    """Older and newer NanoAOD lack some branches; without a momentum there is no analysis."""
    lacking = set(columns.COLUMNS) - {"Jet_btagCSVV2", "Muon_sip3d"} | {"Jet_btagDeepB"}
    found = columns.stand_ins(lacking)
    assert (found["Jet_btagCSVV2"], found["Muon_sip3d"]) == ("Jet_btagDeepB", 0.0)
    with pytest.raises(KeyError, match="none of the branches Jet_pt"):
        columns.stand_ins(set(columns.COLUMNS) - {"Jet_pt"})


def test_no_events_are_refused() -> None:
    """An analysis of nothing says so instead of failing in a step."""
    with pytest.raises(ValueError, match="samples hold no events"):
        assembly.build([])
