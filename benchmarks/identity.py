"""What identifying code costs: a processor like the one of the Analysis Grand Challenge, first and again.

    python benchmarks/identity.py

Workers look at the code of a step before each run of it, so the repeated walk is what counts there.
The processor is a class of its own here, since the example's steps are functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import awkward as ak
import hist
import numpy as np
from coffea.analysis_tools import PackedSelection
from coffea.processor import ProcessorABC

from cachingclient.hashing.identify import identify
from cachingclient.hashing.step_keys import Merkle

B_TAG = 0.5
MOST_ETA = 2.4
LUMINOSITY = 3378.0
CROSS_SECTIONS = {"ttbar": 729.84, "single_top_s_chan": 6.839, "single_top_t_chan": 42.97, "wjets": 61457.0}
REGIONS = ("4j1b", "4j2b")


@dataclass(frozen=True)
class Config:
    """What the analysis can be asked for."""

    pt: float = 30.0
    variations: tuple[str, ...] = ("nominal", "pt_scale_up", "pt_res_up")
    binning: tuple[int, float, float] = (25, 50.0, 550.0)
    labels: dict[str, str] = field(default_factory=lambda: {"4j1b": "H_T [GeV]", "4j2b": "m_bjj [GeV]"})


def scaled(pt: Any, variation: str) -> Any:
    """Return jets' momenta under a variation of the scale."""
    if variation == "pt_scale_up":
        return pt * 1.03
    if variation == "pt_res_up":
        return pt * np.random.default_rng(7).normal(1.0, 0.05, len(pt))
    return pt


def select_leptons(leptons: Any, pt: float, isolation: float) -> Any:
    """Return leptons that count."""
    good = (leptons.pt > pt) & (abs(leptons.eta) < 2.1) & (leptons.pfRelIso04_all < isolation)
    return leptons[good]


def select_jets(jets: Any, config: Config, variation: str) -> Any:
    """Return jets that count."""
    jets = ak.with_field(jets, scaled(jets.pt, variation), "pt")
    return jets[(jets.pt > config.pt) & (abs(jets.eta) < MOST_ETA) & (jets.jetId >= 2)]


def trijet_mass(jets: Any) -> Any:
    """Return the mass of the three jets with the highest total momentum, one of them tagged."""
    trijets = ak.combinations(jets, 3, fields=["j1", "j2", "j3"])
    trijets["p4"] = trijets.j1 + trijets.j2 + trijets.j3
    tags = np.maximum(trijets.j1.btag, np.maximum(trijets.j2.btag, trijets.j3.btag))
    trijets = trijets[tags > B_TAG]
    return ak.flatten(trijets["p4"][ak.argmax(trijets.p4.pt, axis=1, keepdims=True)].mass)


def observable(region: str, jets: Any) -> Any:
    """Return what is filled in a region."""
    return OBSERVABLES[region](jets)


OBSERVABLES: dict[str, Callable[[Any], Any]] = {
    "4j1b": lambda jets: ak.sum(jets.pt, axis=-1),
    "4j2b": trijet_mass,
}


class Processor(ProcessorABC):
    """Selects events with one lepton and four jets, and fills a histogram for each region and variation."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.weights = np.linspace(0.9, 1.1, 50)

    def empty(self) -> Any:
        """Return a histogram to fill."""
        bins, low, high = self.config.binning
        return (
            hist.Hist.new.Reg(bins, low, high, name="observable")
            .StrCat(REGIONS, name="region")
            .StrCat([], name="process", growth=True)
            .StrCat([], name="variation", growth=True)
            .Weight()
        )

    def process(self, events: Any) -> Any:
        """Fill one chunk."""
        process = events.metadata["process"]
        weight = CROSS_SECTIONS[process] * LUMINOSITY / events.metadata["nevts"]
        histogram = self.empty()
        for variation in self.config.variations:
            electrons = select_leptons(events.Electron, self.config.pt, 0.15)
            muons = select_leptons(events.Muon, self.config.pt, 0.12)
            jets = select_jets(events.Jet, self.config, variation)
            selection = PackedSelection()
            selection.add("lepton", ak.num(electrons) + ak.num(muons) == 1)
            selection.add("jets", ak.num(jets) >= 4)
            tags = ak.sum(jets.btag > B_TAG, axis=1)
            for region, count in zip(REGIONS, (1, 2), strict=True):
                selection.add(region, tags == count if count == 1 else tags >= count)
                chosen = jets[selection.all("lepton", "jets", region)]
                values = observable(region, chosen)
                histogram.fill(observable=values, region=region, process=process, variation=variation, weight=weight)
        return {"events": len(events), "histogram": histogram}

    def postprocess(self, accumulator: Any) -> Any:
        """Normalise."""
        accumulator["histogram"] *= self.weights.mean()
        return accumulator


def measured(run: Callable[[], object], times: int = 1) -> float:
    """Return the milliseconds of CPU that a call takes, the median of some."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return median(taken) * 1000


def main() -> None:
    """Print the table."""
    processor = Processor(Config())
    first = measured(lambda: identify(processor))
    again = measured(lambda: identify(processor), 200)
    step = measured(lambda: Merkle({}).code(processor.process), 200)
    identity = identify(processor)
    print(f"processor, first time in a process   {first:8.2f} ms")
    print(f"processor, again                     {again:8.2f} ms")
    print(f"its method as the code of a step     {step:8.2f} ms")
    print(f"parts of it that are named           {len(identity.ingredients):8d}")


if __name__ == "__main__":
    main()
