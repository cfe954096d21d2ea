"""The statistical model of the measurement: templates with their uncertainties, and the fit of the cross-section."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cabinetry
import hist
import numpy as np
import uproot

SAMPLES = {
    "ttbar": "ttbar",
    "wjets": "W + jets",
    "single_top_tW": "tW",
    "single_top_t_chan": "single top, t-channel",
    "single_top_s_chan": "single top, s-channel",
}
REGIONS = {"4j1b": "$H_T$ [GeV]", "4j2b": "$m_{bjj}$ [GeV]"}
EDGES = list(range(110, 551, 40))  # below, four jets above their threshold leave nothing
DATA = "pseudodata"
SEED = 1

# Name, what it varies, up, down (None: up mirrored).
SHAPES = (
    ("matrix element", ["ttbar"], "ME_var", None),
    ("parton shower", ["ttbar"], "PS_var", None),
    ("ttbar scales", ["ttbar"], "scaleup", "scaledown"),
    ("jet energy scale", None, "pt_scale_up", None),
    ("jet energy resolution", None, "pt_res_up", None),
    *((f"b-tag, jet {jet + 1}", None, f"btag_var_{jet}_up", f"btag_var_{jet}_down") for jet in range(4)),
)
RATES = (("luminosity", None, 0.03), ("W + jets rate", ["wjets"], 0.10))


def statistical_model(histograms: dict[str, hist.Hist], folder: Path) -> tuple[Any, list[float]]:
    """The model, and the data to be fitted; templates are left in `folder`."""
    logging.getLogger("cabinetry").setLevel(logging.ERROR)  # bins without events are no news here
    config = configuration(folder)
    save(histograms, folder / "histograms.root")
    cabinetry.templates.collect(config)
    cabinetry.templates.postprocess(config)
    return cabinetry.model_utils.model_and_data(cabinetry.workspace.build(config))


def cross_section(result: Any) -> str:
    """What the fit says of the cross-section, relative to the expected one."""
    number = result.labels.index("ttbar_norm")
    return f"{result.bestfit[number]:.3f} ± {result.uncertainty[number]:.3f}"


def save(histograms: dict[str, hist.Hist], path: Path) -> None:
    """Write the histograms, and the data to be fitted, in the bins of the fit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        for region, histogram in histograms.items():
            for process in SAMPLES:
                for variation in histogram.axes["variation"]:
                    name = f"{region}_{process}" + (f"_{variation}" if variation != "nominal" else "")
                    file[name] = rebinned(histogram[:, process, variation])
            file[f"{region}_{DATA}"] = in_place_of_data(histogram)


def in_place_of_data(histogram: hist.Hist) -> hist.Hist:
    """Counts as they might be measured: top pairs half as one, half as another simulation has them."""
    varied = [histogram[:, "ttbar", variation] * 0.5 for variation in ("ME_var", "PS_var")]
    others = [histogram[:, process, "nominal"] for process in SAMPLES if process != "ttbar"]
    counts = rebinned(sum(others, sum(varied[1:], varied[0])))
    counts.view()["value"] = np.random.default_rng(SEED).poisson(counts.values())
    counts.view()["variance"] = counts.values()
    return counts


def rebinned(histogram: hist.Hist) -> hist.Hist:
    """The bins of the fit: each is made of whole ones."""
    axis = histogram.axes[0]
    merged = hist.Hist(hist.axis.Variable(EDGES, name="observable"), storage=hist.storage.Weight())
    first = [int(np.flatnonzero(np.isclose(axis.edges, edge))[0]) for edge in EDGES]
    view = histogram.view()
    for field in ("value", "variance"):
        merged.view()[field] = np.add.reduceat(view[field][: first[-1]], first[:-1])
    return merged


def configuration(folder: Path) -> dict[str, Any]:
    """What cabinetry is told: regions, samples, and what is uncertain."""
    return {
        "General": {
            "Measurement": "ttbar",
            "POI": "ttbar_norm",
            "HistogramFolder": str(folder / "templates"),
            "InputPath": str(folder / "histograms.root:{RegionPath}_{SamplePath}{VariationPath}"),
            "VariationPath": "",
        },
        "Regions": [
            {"Name": region, "RegionPath": region, "Variable": variable, "Binning": EDGES}
            for region, variable in REGIONS.items()
        ],
        "Samples": [
            {"Name": "Pseudodata", "SamplePath": DATA, "Data": True},
            *({"Name": title, "SamplePath": process} for process, title in SAMPLES.items()),
        ],
        "Systematics": [*map(shape, SHAPES), *map(rate, RATES)],
        "NormFactors": [{"Name": "ttbar_norm", "Samples": "ttbar", "Nominal": 1.0, "Bounds": [0, 10]}],
    }


def shape(described: tuple[str, list[str] | None, str, str | None]) -> dict[str, Any]:
    name, processes, up, down = described
    return {
        "Name": name,
        "Type": "NormPlusShape",
        "Up": {"VariationPath": f"_{up}"},
        "Down": {"Symmetrize": True} if down is None else {"VariationPath": f"_{down}"},
    } | of(processes)


def rate(described: tuple[str, list[str] | None, float]) -> dict[str, Any]:
    name, processes, size = described
    directions = {"Up": {"Normalization": size}, "Down": {"Normalization": -size}}
    return {"Name": name, "Type": "Normalization"} | directions | of(processes)


def of(processes: list[str] | None) -> dict[str, Any]:
    """The samples that something varies; all of them if none are named."""
    return {} if processes is None else {"Samples": [SAMPLES[process] for process in processes]}
