"""A ttbar cross-section analysis in named steps, after the Analysis Grand Challenge.

Events with one lepton and four jets fall into two regions: with exactly one b-tagged jet
(`4j1b`) the sum of jet momenta is filled, with two or more (`4j2b`) the mass of the three
jets that look most like a top quark. Systematic variations shift jets or weigh events.

    load_columns -> select_objects -> scale_jets or smear_jets -> observe -> weigh_btags -> fill
    -> merge -> normalise

Every step is a plain function of plain arguments; `build` joins them to one delayed graph,
`run_with_map` sends the same steps through a client. The constants are what an analyst edits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import dask
import hist
import numpy as np
import uproot
import vector
from dask.delayed import Delayed
from distributed import Client, Future

vector.register_awkward()

LUMINOSITY = 3378.0  # 1/pb
CHUNK_SIZE = 12_000
FAN_IN = 8

# The columns read, and the value that stands in for one that a file lacks (None: there is none).
COLUMNS: dict[str, float | bool | None] = {
    "Jet_pt": None,
    "Jet_eta": None,
    "Jet_phi": None,
    "Jet_mass": None,
    "Jet_btagCSVV2": None,
    "Jet_jetId": 6,
    "Electron_pt": None,
    "Electron_eta": None,
    "Electron_phi": None,
    "Electron_mass": 0.000511,
    "Electron_charge": 0,
    "Electron_cutBased": 4,
    "Electron_sip3d": 0.0,
    "Muon_pt": None,
    "Muon_eta": None,
    "Muon_phi": None,
    "Muon_mass": 0.10566,
    "Muon_charge": 0,
    "Muon_tightId": True,
    "Muon_sip3d": 0.0,
    "Muon_pfRelIso04_all": 0.0,
}
OTHER_NAMES = {"Jet_btagCSVV2": ("Jet_btagDeepB", "Jet_btagDeepFlavB", "Jet_btagPNetB")}

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
    "absolute_stat": (0.004, 0.0, 0.0),
    "absolute_scale": (0.006, 0.0, 0.0),
    "absolute_mpf_bias": (0.005, 0.0, 0.0),
    "flavour_qcd": (0.006, 0.0, 0.010),
    "fragmentation": (0.008, -0.001, -0.002),
    "single_pion_ecal": (0.007, 0.0, -0.003),
    "single_pion_hcal": (0.006, 0.0, -0.002),
    "time_pt_eta": (0.001, 0.003, 0.001),
    "relative_bal": (0.0, 0.005, 0.001),
    "relative_fsr": (0.001, 0.003, 0.0),
    "relative_sample": (0.0, 0.004, 0.0),
    "relative_jer_ec1": (0.0, 0.002, 0.0),
    "relative_pt_bb": (0.001, 0.0, 0.002),
    "relative_pt_ec1": (0.0, 0.002, 0.002),
    "relative_stat_ec": (0.0, 0.002, 0.001),
    "relative_stat_fsr": (0.0, 0.001, 0.001),
    "pileup_data_mc": (0.001, 0.0, 0.010),
    "pileup_pt_ref": (0.0, 0.0, 0.009),
    "pileup_pt_bb": (0.0, 0.0, 0.006),
    "pileup_pt_ec1": (0.0, 0.002, 0.005),
}
PT_RESOLUTION = {"pt_res_up": 0.05, "pt_res_down": 0.025}
BTAG_SLOPE = 0.075  # relative change of the weight at a jet of 50 GeV
BTAG_JETS = 4

HT_BINNING = (25, 50.0, 550.0)
TRIJET_BINNING = (25, 50.0, 550.0)

Histograms = dict[str, hist.Hist]
Observed = dict[str, dict[str, np.ndarray]]


# --- the samples -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DataFile:
    """A ROOT file, as its own metadata describes it."""

    path: str
    treename: str
    entries: int
    uuid: str


@dataclass(frozen=True, slots=True)
class Sample:
    """Files of one process, with the cross-section in pb."""

    process: str
    variation: str
    cross_section: float
    files: tuple[DataFile, ...]

    @property
    def factor(self) -> float:
        """What brings the sample's events to the luminosity of the data."""
        return self.cross_section * LUMINOSITY / max(sum(file.entries for file in self.files), 1)


def read_samples(manifest: Path) -> list[Sample]:
    """The samples that `make_data.py` left, or another manifest of that form."""
    described = json.loads(manifest.read_text())["samples"]
    return [
        Sample(
            entry["process"],
            entry["variation"],
            entry["cross_section"],
            tuple(
                DataFile(
                    str((manifest.parent / file["path"]).resolve()),
                    file["treename"],
                    file["entries"],
                    file["uuid"],
                )
                for file in entry["files"]
            ),
        )
        for entry in described.values()
    ]


@dataclass(frozen=True, slots=True)
class Chunk:
    sample: int
    file: DataFile
    start: int
    stop: int

    def seed(self, step: str) -> int:
        """A seed that depends on the events and the step alone, not on where or when they run."""
        text = f"{self.file.uuid}/{self.file.treename}/{self.start}-{self.stop}/{step}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def chunked(samples: Sequence[Sample], size: int) -> Iterator[Chunk]:
    for number, sample in enumerate(samples):
        for file in sample.files:
            for start in range(0, file.entries, size):
                yield Chunk(number, file, start, min(start + size, file.entries))


# --- the steps -------------------------------------------------------------------------------


def stand_ins(available: set[str]) -> dict[str, str | float | bool]:
    """For each of `COLUMNS`: the branch that holds it, or the value to be used in its place."""
    found: dict[str, str | float | bool] = {}
    for column, default in COLUMNS.items():
        names = (column, *OTHER_NAMES.get(column, ()))
        branch = next((name for name in names if name in available), None)
        if branch is None and default is None:
            raise KeyError(f"the tree has none of the branches {', '.join(names)}")
        found[column] = default if branch is None else branch  # type: ignore[assignment]
    return found


def load_columns(path: str, treename: str, start: int, stop: int) -> ak.Array:
    """Read the columns of one range of events."""
    with uproot.open(path) as file:
        tree = file[treename]
        wanted = stand_ins(set(tree.keys()))
        branches = [name for name in wanted.values() if isinstance(name, str)]
        read = tree.arrays(branches, entry_start=start, entry_stop=stop)
    columns = {}
    for column, source in wanted.items():
        if isinstance(source, str):
            columns[column] = read[source]
        else:
            columns[column] = ak.full_like(read[f"{column.split('_')[0]}_pt"], source)
    return ak.zip(columns, depth_limit=1)


def objects(columns: ak.Array, kind: str) -> ak.Array:
    """The columns of one collection as four-vectors with their properties."""
    prefix = f"{kind}_"
    fields = [name for name in columns.fields if name.startswith(prefix)]
    return ak.zip({name.removeprefix(prefix): columns[name] for name in fields}, with_name="Momentum4D")


def select_objects(columns: ak.Array) -> ak.Array:
    """Good jets of the events that have one good lepton and may have enough jets."""
    electrons, muons, jets = (objects(columns, kind) for kind in ("Electron", "Muon", "Jet"))
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
    jets = jets[(jets.pt > LOOSE_JET_PT_MIN) & (abs(jets.eta) < JET_ETA_MAX) & (jets.jetId >= JET_ID_MIN)]
    shared = ["pt", "eta", "phi", "mass", "charge"]
    leptons = ak.concatenate([electrons[shared], muons[shared]], axis=1)
    leptons = ak.with_name(leptons, "Momentum4D")
    jet, lepton = ak.unzip(ak.cartesian([jets, leptons], nested=True))
    jets = jets[~ak.any(jet.deltaR(lepton) < JET_LEPTON_DR_MIN, axis=2)]
    wanted = (ak.num(leptons) == 1) & (ak.num(jets) >= JETS_MIN)
    kept = ["pt", "eta", "phi", "mass", "btagCSVV2"]
    # A choice of fields gives plain records: they are named again to stay four-vectors.
    return ak.to_packed(ak.with_name(jets[wanted][kept], "Momentum4D"))


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


def observe(jets: ak.Array) -> Observed:
    """What is filled in each region, for the events that are in it."""
    jets = jets[jets.pt > JET_PT_MIN]
    jets = jets[ak.num(jets) >= JETS_MIN]
    tags = ak.sum(jets.btagCSVV2 > B_TAG_THRESHOLD, axis=1)
    one, two = jets[tags == 1], jets[tags >= 2]
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


def weigh_btags(observed: Observed, shifts: dict[str, tuple[int, float]]) -> dict[str, Observed]:
    """The same events, for each shift weighted by a b-tagging efficiency that differs for one jet."""
    return {
        variation: {
            region: columns | {"weight": 1 + slope * columns["jet_pt"][:, jet] / 50.0}
            for region, columns in observed.items()
        }
        for variation, (jet, slope) in shifts.items()
    }


def fill(process: str, variations: list[str], observed: list[Observed], weighed: dict[str, Observed]) -> Histograms:
    """Histograms of one chunk with all its variations."""
    axes = {
        "4j1b": hist.axis.Regular(*HT_BINNING, name="observable", label="$H_T$ [GeV]"),
        "4j2b": hist.axis.Regular(*TRIJET_BINNING, name="observable", label="$m_{bjj}$ [GeV]"),
    }
    everything = dict(zip(variations, observed, strict=True)) | weighed
    histograms = {}
    for region, axis in axes.items():
        histograms[region] = hist.Hist(
            axis,
            hist.axis.StrCategory([process], name="process", growth=True),
            hist.axis.StrCategory(list(everything), name="variation", growth=True),
            storage=hist.storage.Weight(),
        )
        for variation, regions in everything.items():
            columns = regions[region]
            histograms[region].fill(
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


# --- the graph -------------------------------------------------------------------------------

Node = Any  # a step that is not there yet: Delayed or Future
Each = Callable[..., list[Node]]  # calls a step for each element of its lists, as `map` does


def assemble(each: Each, samples: Sequence[Sample], chunk_size: int) -> Node:
    """Join the steps; what depends on a whole sample comes last, so that a new file adds to it."""
    chunks = list(chunked(samples, chunk_size))
    if not chunks:
        raise ValueError("samples hold no events")
    columns = each(
        load_columns,
        [chunk.file.path for chunk in chunks],
        [chunk.file.treename for chunk in chunks],
        [chunk.start for chunk in chunks],
        [chunk.stop for chunk in chunks],
    )
    events = each(select_objects, columns)
    varied = [i for i, chunk in enumerate(chunks) if samples[chunk.sample].variation == "nominal"]
    observed = observe_variations(each, chunks, events, varied)
    weighed = each(weigh_btags, [observed[i][0] for i in varied], [btag_shifts()] * len(varied))
    weighed_of = dict(zip(varied, weighed, strict=True))
    filled = each(
        fill,
        [samples[chunk.sample].process for chunk in chunks],
        [variation_names(samples[chunk.sample]) for chunk in chunks],
        observed,
        [weighed_of.get(i, {}) for i in range(len(chunks))],
    )
    of_sample: list[list[Node]] = [[] for _ in samples]
    for node, chunk in zip(filled, chunks, strict=True):
        of_sample[chunk.sample].append(node)
    totals = merged_in_tree(each, [nodes for nodes in of_sample if nodes])
    factors = [sample.factor for sample, nodes in zip(samples, of_sample, strict=True) if nodes]
    return each(merge, [each(normalise, totals, factors)])[0]


def observe_variations(each: Each, chunks: list[Chunk], events: list[Node], varied: list[int]) -> list[list[Node]]:
    """For each chunk what is observed: as it is, and in the chunks `varied` with its jets varied."""
    scaled = [(i, shift) for i in varied for shift in jet_shifts().values()]
    smeared = [(i, name, width) for i in varied for name, width in PT_RESOLUTION.items()]
    jets = each(scale_jets, [events[i] for i, _ in scaled], [shift for _, shift in scaled])
    jets += each(
        smear_jets,
        [events[i] for i, _, _ in smeared],
        [width for _, _, width in smeared],
        [chunks[i].seed(name) for i, name, _ in smeared],
    )
    owners = [*range(len(chunks)), *(i for i, _ in scaled), *(i for i, _, _ in smeared)]
    observed: list[list[Node]] = [[] for _ in chunks]
    for i, node in zip(owners, each(observe, events + jets), strict=True):
        observed[i].append(node)
    return observed


def variation_names(sample: Sample) -> list[str]:
    """The names of what `observe_variations` gives, in its order."""
    if sample.variation != "nominal":
        return [sample.variation]
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


def merged_in_tree(each: Each, groups: list[list[Node]]) -> list[Node]:
    """One node for each group, merged `FAN_IN` at a time, so that few merges see a change."""
    while any(len(group) > 1 for group in groups):
        parts = [
            (number, group[start : start + FAN_IN])
            for number, group in enumerate(groups)
            for start in range(0, len(group), FAN_IN)
        ]
        nodes = each(merge, [part for _, part in parts])
        groups = [[] for _ in groups]
        for (number, _), node in zip(parts, nodes, strict=True):
            groups[number].append(node)
    return [group[0] for group in groups]


def build(samples: Sequence[Sample], chunk_size: int = CHUNK_SIZE) -> Delayed:
    """The whole analysis as one delayed graph; computing it gives the histograms."""

    def each(step: Callable[..., Any], *arguments: list[Any]) -> list[Node]:
        call = dask.delayed(step)
        return [call(*values) for values in zip(*arguments, strict=True)]

    return assemble(each, samples, chunk_size)


def run_with_map(client: Client, samples: Sequence[Sample], chunk_size: int = CHUNK_SIZE) -> Future:
    """The same steps through `client.map`; gives the future of the histograms."""
    return assemble(client.map, samples, chunk_size)
