"""A ttbar cross-section analysis in named steps, after the Analysis Grand Challenge.

Events with one lepton and four jets fall into two regions: with exactly one b-tagged jet
(`4j1b`) the sum of jet momenta is filled, with two or more (`4j2b`) the mass of the three
jets that look most like a top quark. Systematic variations shift jets or weigh events.

    load_columns -> select_objects -> scale_jets or smear_jets -> observe -> weigh_btags -> fill
    -> merge -> normalise

Every step is a plain function of plain arguments; `assembly.py` joins them to one delayed graph,
`processors.py` calls them in a coffea processor. The constants are what an analyst edits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import awkward as ak
import hist
import numpy as np
import vector

vector.register_awkward()
packed = getattr(ak, "to_packed", None) or ak.packed  # as awkward 1 has it

LEPTON_PT_MIN = 30.0
LEPTON_ETA_MAX = 2.1
LEPTON_SIP3D_MAX = 4.0
ELECTRON_CUT_BASED = 4
MUON_ISO_MAX = 0.15
JET_ETA_MAX = 2.4
JET_ID_MIN = 6
JET_LEPTON_DR_MIN = 0.4
LOOSE_JET_PT_MIN = 20.0  # below JET_PT_MIN by more than any variation moves a jet

JET_PT_MIN = 30.0
JETS_MIN = 4
B_TAG_THRESHOLD = 0.5

# Relative shifts of jet momenta: constant, growing with |eta|, falling with pt (at 30 GeV).
Shift = tuple[float, float, float]
PT_SCALE = 0.03
JET_ENERGY_SOURCES: dict[str, Shift] = {
    "absolute_scale": (0.006, 0.0, 0.0),
    "flavour_qcd": (0.006, 0.0, 0.010),
    "fragmentation": (0.008, -0.001, -0.002),
    "single_pion_ecal": (0.007, 0.0, -0.003),
    "relative_bal": (0.0, 0.005, 0.001),
    "relative_fsr": (0.001, 0.003, 0.0),
    "relative_pt_ec1": (0.0, 0.002, 0.002),
    "pileup_data_mc": (0.001, 0.0, 0.010),
}
PT_RESOLUTION = {"pt_res_up": 0.05, "pt_res_down": 0.025}
BTAG_SLOPE = 0.075  # relative change of the weight at a jet of 50 GeV
BTAG_JETS = 4

HT_BINNING = (25, 50.0, 550.0)
TRIJET_BINNING = (25, 50.0, 550.0)

Histograms = dict[str, hist.Hist]
Observed = dict[str, dict[str, np.ndarray]]


def variation_names(sample: str) -> list[str]:
    """What is observed of a sample of this variation: only the nominal one has its jets varied."""
    if sample != "nominal":
        return [sample]
    return ["nominal", *jet_shifts(), *PT_RESOLUTION]


def jet_shifts() -> dict[str, Shift]:
    sources = {"pt_scale": (PT_SCALE, 0.0, 0.0)}
    sources |= {f"jes_{name}": shift for name, shift in JET_ENERGY_SOURCES.items()}
    return {
        f"{name}_{direction}": (sign * shift[0], sign * shift[1], sign * shift[2])
        for name, shift in sources.items()
        for direction, sign in (("up", 1), ("down", -1))
    }


def btag_shifts() -> dict[str, tuple[int, float]]:
    return {
        f"btag_var_{jet}_{direction}": (jet, sign * BTAG_SLOPE)
        for jet in range(BTAG_JETS)
        for direction, sign in (("up", 1), ("down", -1))
    }


def objects(columns: ak.Array, kind: str) -> ak.Array:
    """The columns of one collection as four-vectors with their properties."""
    prefix = f"{kind}_"
    fields = [name for name in columns.fields if name.startswith(prefix)]
    return ak.zip({name.removeprefix(prefix): columns[name] for name in fields}, with_name="Momentum4D")


def good_leptons(columns: ak.Array) -> ak.Array:
    """Electrons and muons that pass the cuts."""
    electrons, muons = objects(columns, "Electron"), objects(columns, "Muon")
    electrons = electrons[
        (electrons.pt > LEPTON_PT_MIN)
        & (abs(electrons.eta) < LEPTON_ETA_MAX)
        & (electrons.cutBased >= ELECTRON_CUT_BASED)
        & (electrons.sip3d < LEPTON_SIP3D_MAX)
    ]
    muons = muons[
        (muons.pt > LEPTON_PT_MIN)
        & (abs(muons.eta) < LEPTON_ETA_MAX)
        & (muons.tightId != 0)
        & (muons.sip3d < LEPTON_SIP3D_MAX)
        & (muons.pfRelIso04_all < MUON_ISO_MAX)
    ]
    shared = ["pt", "eta", "phi", "mass", "charge"]
    return ak.with_name(ak.concatenate([electrons[shared], muons[shared]], axis=1), "Momentum4D")


def good_objects(columns: ak.Array) -> tuple[ak.Array, ak.Array]:
    """Good jets and the lepton of the events that have one good lepton and may have enough jets."""
    leptons, jets = good_leptons(columns), objects(columns, "Jet")
    jets = jets[(jets.pt > LOOSE_JET_PT_MIN) & (abs(jets.eta) < JET_ETA_MAX) & (jets.jetId >= JET_ID_MIN)]
    jet, lepton = ak.unzip(ak.cartesian([jets, leptons], nested=True))
    jets = jets[~ak.any(jet.deltaR(lepton) < JET_LEPTON_DR_MIN, axis=2)]
    wanted = (ak.num(leptons) == 1) & (ak.num(jets) >= JETS_MIN)
    kept = ["pt", "eta", "phi", "mass", "btagCSVV2"]
    # A choice of fields gives plain records: they are named again to stay four-vectors.
    return packed(ak.with_name(jets[wanted][kept], "Momentum4D")), packed(leptons[wanted][:, 0])


def select_objects(columns: ak.Array) -> ak.Array:
    """The jets of `good_objects`."""
    jets, _ = good_objects(columns)
    return jets


def rescaled(jets: ak.Array, factor: ak.Array) -> ak.Array:
    fields = {name: jets[name] for name in jets.fields}
    fields |= {"pt": jets.pt * factor, "mass": jets.mass * factor}
    return ak.zip(fields, with_name="Momentum4D")


def scale_jets(jets: ak.Array, shift: Shift) -> ak.Array:
    """Jets with their energy scale moved by one source of uncertainty."""
    constant, slope, soft = shift
    return rescaled(jets, 1 + constant + slope * abs(jets.eta) + soft * 30.0 / jets.pt)


def smear_jets(jets: ak.Array, width: float, seed: int) -> ak.Array:
    """Jets with a worse momentum resolution, the same one for the same seed."""
    counts = ak.num(jets)
    noise = np.random.default_rng(seed).normal(1.0, width, int(ak.sum(counts)))
    return rescaled(jets, ak.unflatten(np.maximum(noise, 0.1), counts))


def in_regions(jets: ak.Array) -> tuple[ak.Array, dict[str, ak.Array]]:
    """The jets above the threshold, and for each region which events are in it."""
    jets = jets[jets.pt > JET_PT_MIN]
    enough = ak.num(jets) >= JETS_MIN
    tags = ak.sum(jets.btagCSVV2 > B_TAG_THRESHOLD, axis=1)
    return jets, {"4j1b": enough & (tags == 1), "4j2b": enough & (tags >= 2)}


def observe(jets: ak.Array) -> Observed:
    """What is filled in each region, for the events that are in it."""
    jets, passing = in_regions(jets)
    one, two = (jets[passing[region]] for region in ("4j1b", "4j2b"))
    return {
        "4j1b": {"value": ak.to_numpy(ak.sum(one.pt, axis=1)), "jet_pt": leading(one)},
        "4j2b": {"value": trijet_mass(two), "jet_pt": leading(two)},
    }


def leading(jets: ak.Array) -> np.ndarray:
    """Momenta of the first jets, an event a row."""
    return ak.to_numpy(ak.to_regular(jets.pt[:, :BTAG_JETS], axis=1)).reshape(-1, BTAG_JETS)


def trijet_mass(jets: ak.Array) -> np.ndarray:
    """The mass of the three jets, a b-tagged one among them, that have the highest momentum."""
    first, second, third = ak.unzip(ak.combinations(jets, 3))
    trijet = first + second + third
    tagged = np.maximum(np.maximum(first.btagCSVV2, second.btagCSVV2), third.btagCSVV2)
    best = ak.argmax(ak.where(tagged > B_TAG_THRESHOLD, trijet.pt, -1.0), axis=1, keepdims=True)
    return ak.to_numpy(ak.flatten(trijet[best].mass, axis=1))


def btag_weight(jet_pt: Any, jet: int, slope: float) -> Any:
    """How much more an event counts with a b-tagging efficiency that differs for one of its jets."""
    return 1 + slope * jet_pt[:, jet] / 50.0


def weigh_btags(observed: Observed, shifts: dict[str, tuple[int, float]]) -> dict[str, Observed]:
    """The same events, weighted for each shift."""
    return {
        variation: {
            region: columns | {"weight": btag_weight(columns["jet_pt"], jet, slope)}
            for region, columns in observed.items()
        }
        for variation, (jet, slope) in shifts.items()
    }


def empty(process: str, variations: list[str]) -> Histograms:
    """Histograms with nothing in them yet."""
    axes = {
        "4j1b": hist.axis.Regular(*HT_BINNING, name="observable", label="$H_T$ [GeV]"),
        "4j2b": hist.axis.Regular(*TRIJET_BINNING, name="observable", label="$m_{bjj}$ [GeV]"),
    }
    return {
        region: hist.Hist(
            axis,
            hist.axis.StrCategory([process], name="process", growth=True),
            hist.axis.StrCategory(variations, name="variation", growth=True),
            storage=hist.storage.Weight(),
        )
        for region, axis in axes.items()
    }


def fill(process: str, variations: list[str], observed: list[Observed], weighed: dict[str, Observed]) -> Histograms:
    """Histograms of one chunk with all its variations."""
    everything = dict(zip(variations, observed, strict=True)) | weighed
    histograms = empty(process, list(everything))
    for region, histogram in histograms.items():
        for variation, regions in everything.items():
            columns = regions[region]
            histogram.fill(
                observable=columns["value"],
                process=process,
                variation=variation,
                weight=columns.get("weight", 1.0),
            )
    return histograms


def merge(parts: Sequence[Histograms]) -> Histograms:
    """The sum of histograms, which may have different processes and variations."""
    return {region: sum((part[region] for part in parts[1:]), parts[0][region]) for region in parts[0]}


def normalise(histograms: Histograms, factor: float) -> Histograms:
    return {region: histogram * factor for region, histogram in histograms.items()}
