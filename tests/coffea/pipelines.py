"""Two small pipelines of the shape that AGC's and TopEFT's have: a module's dict of samples, and the processor's."""

from __future__ import annotations

AGC = """
import awkward as ak
import hist
import numpy as np
from coffea.processor import ProcessorABC

CONFIG = {
    "global": {"NUM_BINS": 25, "BIN_LOW": 0, "BIN_HIGH": 200, "FILES_PER_SAMPLE": 10, "OUTPUT": "histograms.root"},
    "preprocessing": {"AF": "local", "CHUNK": 30},
    "ml": {"USE_INFERENCE": False, "MODEL": "reconstruction_bdt"},
    "cuts": {"jet_pt": 30.0, "btag": 0.5},
}
XSEC = {"ttbar__nominal": 729.84, "wjets__nominal": 15487.164, "single_top__nominal": 44.33}

class TtbarAnalysis(ProcessorABC):
    def __init__(self, config):
        self.config = config
        self.use_inference = config["ml"]["USE_INFERENCE"]

    def histogram(self, name):
        low, high = self.config["global"]["BIN_LOW"], self.config["global"]["BIN_HIGH"]
        axes = hist.Hist.new.Reg(self.config["global"]["NUM_BINS"], low, high, name=name)
        return axes.StrCat([], growth=True, name="region").Weight()

    def process(self, events):
        process, variation = events.metadata["process"], events.metadata["variation"]
        x_sec = XSEC[events.metadata["dataset"]]
        if self.use_inference:
            raise ValueError(self.config["ml"]["MODEL"])
        weight = x_sec * 3378 / events.metadata["nevts"]
        jets = events.Jet[events.Jet.pt > self.config["cuts"]["jet_pt"]]
        filled = self.histogram("observable")
        for region, number in {"4j1b": 1, "4j2b": 2}.items():
            selected = jets[ak.num(jets) >= number]
            filled.fill(ak.flatten(selected.pt), region=region, weight=weight)
        return {f"{process}_{variation}": filled, "nevents": {events.metadata["dataset"]: len(events)}}

    def postprocess(self, accumulator):
        return {"output": self.config["global"]["OUTPUT"], **accumulator}

def make():
    return TtbarAnalysis(CONFIG)
"""
TOPEFT = """
import awkward as ak
import hist
from collections import namedtuple
from coffea.processor import ProcessorABC

SAMPLES = {
    "ttbar__nominal": {"xsec": 729.84, "nSumOfWeights": 60.0, "isData": False, "WCnames": ["ctW", "ctZ"], "path": "/a"},
    "wjets__nominal": {"xsec": 15487.164, "nSumOfWeights": 60.0, "isData": False, "WCnames": [], "path": "/b"},
    "single_top__nominal": {"xsec": 44.33, "nSumOfWeights": 60.0, "isData": False, "WCnames": ["ctW"], "path": "/c"},
}
CUTS = {"jet_pt": 30.0, "unused": 1}

class SparseHelper:
    def __init__(self, axes):
        self.tuple = namedtuple(f"HistTuple{id(self)}", axes)

    def key(self, *values):
        return self.tuple(*values)

class AnalysisProcessor(ProcessorABC):
    def __init__(self, samples, cuts):
        self._samples = samples
        self._cuts = cuts
        self._bins = {"pt": 20, "eta": 10}

    def process(self, events):
        dataset = events.metadata["dataset"]
        is_data = self._samples[dataset]["isData"]
        xsec, sow = self._samples[dataset]["xsec"], self._samples[dataset]["nSumOfWeights"]
        names = self._samples[dataset]["WCnames"]
        for primary in ("SingleMuon", "EGamma"):
            if dataset.startswith(primary):
                dataset = dataset.split("_")[0]
        jets = events.Jet[events.Jet.pt > self._cuts["jet_pt"]]
        weight = 1.0 if is_data else xsec / sow
        key = SparseHelper(("process", "channel")).key(dataset, "2l")
        out = {}
        for number, term in enumerate(["sm", *names]):
            filled = hist.Hist.new.Reg(self._bins["pt"], 0, 200, name="pt").Weight()
            out[f"{key.process} {key.channel} {term}"] = filled.fill(ak.flatten(jets.pt), weight=weight * (number + 1))
        return out

    def postprocess(self, accumulator):
        return accumulator

def make():
    return AnalysisProcessor(SAMPLES, CUTS)
"""
EDITS: dict[str, dict[str, tuple[str, str]]] = {
    "AGC": {
        "nothing": ("", ""),
        "an unused key of the configuration": ('"CHUNK": 30', '"CHUNK": 60'),
        "a key that only `postprocess` uses": ('"histograms.root"', '"all.root"'),
        "one sample's cross-section": ("15487.164", "15500.0"),
        "one more sample in the dict": ('"wjets__nominal": 1', '"ww__nominal": 118.7, "wjets__nominal": 1'),
        "one more sample that is run, too": ('"wjets__nominal": 1', '"ww__nominal": 118.7, "wjets__nominal": 1'),
        "one more file of a sample": ("", ""),
        "a key that `process` uses": ('"jet_pt": 30.0', '"jet_pt": 35.0'),
    },
    "TopEFT": {
        "nothing": ("", ""),
        "an unused key of the cuts": ('"unused": 1', '"unused": 2'),
        "a field of all samples that is not read": ('"path": "/', '"path": "/new/'),
        "one sample's cross-section": ("15487.164", "15500.0"),
        "one sample's Wilson coefficients": ('"WCnames": []', '"WCnames": ["ctZ"]'),
        "one more sample in the dict": ('"ttbar__nominal": {', '"ww__nominal": {}, "ttbar__nominal": {'),
        "one more file of a sample": ("", ""),
        "a cut": ('"jet_pt": 30.0', '"jet_pt": 35.0'),
    },
}
SOURCES = {"AGC": AGC, "TopEFT": TOPEFT}
