"""A processor of TopEFT's shape: events with two to four leptons in many channels, with systematics, in EFT weights.

Each event has the 28 coefficients of a weight that is quadratic in six Wilson coefficients; histograms hold their sums
for each channel, systematic and bin, so that any point of the effective field theory can be read off later.

    loaded -> selected -> observed, for each source of jet energies -> filled, for each variable
                       -> weighed ->

The constants are what an analyst edits.
"""

from __future__ import annotations

from typing import Any

import awkward as ak
import hist
import numpy as np
from coffea import processor
from coffea.nanoevents import NanoAODSchema
from fronts import run_processor
from samples import Sample

from cachingclient import step

JET_CALIBRATION = 1.0
LEPTON_PT_MIN = 15.0
LEPTON_ETA_MAX = 2.5
LEPTON_ISO_MAX = 0.25
LOOSE_JET_PT_MIN = 20.0
JET_PT_MIN = 30.0
JET_ETA_MAX = 2.4
B_TAG_MEDIUM = 0.5
JET_SCALE = 0.03
JET_RESOLUTION = 0.05
LEPTON_EFFICIENCY = 0.02
B_TAG_EFFICIENCY = 0.05
LEPTON_BINNING = (20, 0.0, 400.0)
HT_BINNING = (20, 0.0, 1000.0)

COEFFICIENTS = 28
LEPTONS = ("2lss_m", "2lss_p", "2los", "3l", "4l")
JETS = (2, 3, 4, 5)  # the last one: or more
TAGS = (1, 2)  # the last one: or more
CHANNELS = [f"{leptons}_{jets}j_{tags}b" for leptons in LEPTONS for jets in JETS for tags in TAGS]

Observed = dict[str, np.ndarray]
Shift = tuple[float, float]  # of jet momenta: constant, and growing with |eta|


def sources() -> dict[str, dict[str, Shift]]:
    """What is done to the jets, by the source of uncertainty and the name of the systematic."""
    return {
        "nominal": {"nominal": (0.0, 0.0)},
        "scale": {"JES_up": (JET_SCALE, 0.0), "JES_down": (-JET_SCALE, 0.0)},
        "resolution": {"JER_up": (0.0, JET_RESOLUTION / 2), "JER_down": (0.0, -JET_RESOLUTION / 2)},
        "flavour": {"flavour_up": (0.01, 0.004), "flavour_down": (-0.01, -0.004)},
    }


class AnalysisProcessor(processor.ProcessorABC):
    """Histograms of each variable, for each process, channel, systematic, bin and coefficient."""

    def process(self, events: ak.Array) -> dict[str, dict[str, hist.Hist]]:
        objects = selected(loaded(events))
        seen: dict[str, Observed] = {}
        for shifts in sources().values():
            seen |= observed(objects, shifts)
        weights, process = weighed(objects, seen["nominal"]), events.metadata["process"]
        filled_ = {name: filled(name, process, seen, weights, objects.coefficients) for name in ("lepton_pt", "ht")}
        return {events.metadata["dataset"]: filled_}

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        return accumulator


@step
def loaded(events: ak.Array) -> ak.Array:
    """The columns of the events, jets calibrated."""
    names = ("pt", "eta", "phi", "charge", "miniPFRelIso_all")
    leptons = [ak.zip({name: kind[name] for name in names}) for kind in (events.Electron, events.Muon)]
    jets = ak.zip({name: events.Jet[name] for name in ("eta", "phi", "btagDeepFlavB")})
    read = {
        "leptons": ak.concatenate(leptons, axis=1),
        "jets": ak.with_field(jets, events.Jet.pt * JET_CALIBRATION, "pt"),
        "coefficients": ak.to_regular(events.EFTfitCoefficients, axis=1),
        "pileup": events.Pileup.nTrueInt,
    }
    return ak.to_packed(ak.materialize(ak.zip(read, depth_limit=1)))


@step
def selected(read: ak.Array) -> ak.Array:
    """Events with two to four good leptons, the hardest first, and the jets that are apart from them."""
    leptons, jets = read.leptons, read.jets
    good = (leptons.pt > LEPTON_PT_MIN) & (abs(leptons.eta) < LEPTON_ETA_MAX)
    leptons = leptons[good & (leptons.miniPFRelIso_all < LEPTON_ISO_MAX)]
    leptons = leptons[ak.argsort(leptons.pt, axis=1, ascending=False)]
    jets = jets[(jets.pt > LOOSE_JET_PT_MIN) & (abs(jets.eta) < JET_ETA_MAX)]
    one, other = ak.unzip(ak.cartesian([jets, leptons], nested=True))
    turned = (one.phi - other.phi + np.pi) % (2 * np.pi) - np.pi
    jets = jets[~ak.any((one.eta - other.eta) ** 2 + turned**2 < 0.4**2, axis=2)]
    objects = ak.with_field(ak.with_field(read, leptons, "leptons"), jets, "jets")
    number = ak.num(leptons)
    return ak.to_packed(objects[(number >= 2) & (number <= 4)])


@step
def observed(objects: ak.Array, shifts: dict[str, Shift]) -> dict[str, Observed]:
    """The channel of each event, -1 for none, and the variables, for each shift of the jets."""
    return {name: observe(objects, *shift) for name, shift in shifts.items()}


def observe(objects: ak.Array, constant: float, slope: float) -> Observed:
    leptons, jets = objects.leptons, objects.jets
    momenta = jets.pt * (1 + constant + slope * abs(jets.eta))
    momenta, tagged = momenta[momenta > JET_PT_MIN], jets.btagDeepFlavB[momenta > JET_PT_MIN] > B_TAG_MEDIUM
    number = ak.to_numpy(ak.num(leptons))
    charge = ak.to_numpy(ak.sum(leptons.charge, axis=1))
    same_sign = np.where(charge < 0, 0, 1)
    of_leptons = np.where(number == 2, np.where(charge == 0, 2, same_sign), number)
    of_jets = np.minimum(ak.to_numpy(ak.num(momenta)), JETS[-1]) - JETS[0]
    of_tags = np.minimum(ak.to_numpy(ak.sum(tagged, axis=1)), TAGS[-1]) - TAGS[0]
    channel = (of_leptons * len(JETS) + of_jets) * len(TAGS) + of_tags
    return {
        "channel": np.where((of_jets < 0) | (of_tags < 0), -1, channel),
        "tags": of_tags,
        "ht": ak.to_numpy(ak.sum(momenta, axis=1)),
        "lepton_pt": ak.to_numpy(leptons.pt[:, 0]),
    }


@step
def weighed(objects: ak.Array, nominal: Observed) -> dict[str, np.ndarray]:
    """How much more each event counts with each systematic that is a weight."""
    number, pileup = ak.to_numpy(ak.num(objects.leptons)), ak.to_numpy(objects.pileup)
    hard = np.minimum(nominal["ht"] / 1000.0, 1.0)
    relative = {
        "lepton_sf": LEPTON_EFFICIENCY * number,
        "btag_hf": B_TAG_EFFICIENCY * (nominal["tags"] + 1),
        "btag_lf": B_TAG_EFFICIENCY / 2 * (2 - nominal["tags"]),
        "pileup": 0.002 * (pileup - 30.0),
        "isr": 0.05 * hard,
        "fsr": 0.03 * (1 - hard),
    }
    return {
        f"{name}_{way}": 1 + sign * each for name, each in relative.items() for way, sign in (("up", 1), ("down", -1))
    }


@step
def filled(
    variable: str,
    process: str,
    seen: dict[str, Observed],
    weights: dict[str, np.ndarray],
    coefficients: ak.Array,
) -> hist.Hist:
    """The histogram of a variable, with all systematics."""
    every = [(seen[name], 1.0) for name in seen] + [(seen["nominal"], weight) for weight in weights.values()]
    axis = hist.axis.Regular(*{"ht": HT_BINNING, "lepton_pt": LEPTON_BINNING}[variable], name=variable)
    histogram = hist.Hist(
        hist.axis.StrCategory([process], name="process", growth=True),
        hist.axis.StrCategory(CHANNELS, name="channel", growth=True),
        hist.axis.StrCategory([*seen, *weights], name="systematic", growth=True),
        axis,
        hist.axis.Integer(0, COEFFICIENTS, name="coefficient", flow=False),
    )
    sums, of_event = histogram.view(flow=True)[0], np.asarray(coefficients, dtype=float)
    for number, (one, weight) in enumerate(every):
        inside = one["channel"] >= 0
        weight = np.broadcast_to(weight, len(inside))[inside]
        cell = one["channel"][inside] * axis.extent + axis.index(one[variable][inside]) + 1
        for coefficient in range(COEFFICIENTS):
            found = np.bincount(cell, weight * of_event[inside, coefficient], len(CHANNELS) * axis.extent)
            sums[:, number, :, coefficient] = found.reshape(len(CHANNELS), axis.extent)
    return histogram


def run(client: Any, samples: list[Sample]) -> dict[str, hist.Hist]:
    """The histograms of all samples, at the luminosity of the data."""
    return run_processor(client, samples, AnalysisProcessor(), NanoAODSchema)
