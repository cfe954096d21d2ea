"""A ttbar-like analysis with distributed RDataFrames; run by an interpreter that has ROOT, once for each row.

The order on the command line is JSON: the folder, the cluster's kind and what is edited; the answer is its last line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ROOT
from distributed import Client, LocalCluster

SAMPLES = ("ttbar", "wjets", "single_top")
MAKE = """
ROOT::RVecD draw(ULong64_t event, double salt, std::size_t n, double low, double high) {
    ROOT::RVecD drawn(n);
    for (std::size_t i = 0; i < n; i++) {
        double x = std::sin(event * 12.9898 + i * 78.233 + salt) * 43758.5453;
        drawn[i] = low + (high - low) * (x - std::floor(x));
    }
    return drawn;
}
"""
CODE = """
#include <Math/Vector4D.h>
// The mass of the three jets with the largest transverse momentum together, of those with a b jet among them.
double trijet(const ROOT::RVecD &pt, const ROOT::RVecD &eta, const ROOT::RVecD &phi, const ROOT::RVecD &tag) {
    using Vector = ROOT::Math::PtEtaPhiMVector;
    double most = -1, mass = 0;
    for (std::size_t i = 0; i < pt.size(); i++)
        for (std::size_t j = i + 1; j < pt.size(); j++)
            for (std::size_t k = j + 1; k < pt.size(); k++) {
                if (tag[i] < 0.7 && tag[j] < 0.7 && tag[k] < 0.7) continue;
                auto sum = Vector(pt[i], eta[i], phi[i], 5) + Vector(pt[j], eta[j], phi[j], 5)
                         + Vector(pt[k], eta[k], phi[k], 5);
                if (sum.Pt() > most) { most = sum.Pt(); mass = sum.M(); }
            }
    return mass;
}
"""


def make(folder: Path, events: int) -> None:
    """Write two files a sample, the same events each time."""
    ROOT.gInterpreter.Declare(MAKE)
    for number, name in enumerate(f"{sample}-{part}" for sample in SAMPLES for part in (0, 1)):
        frame = ROOT.RDataFrame(events).Define("event", f"rdfentry_ + {number * events}ull")
        frame = frame.Define("n", "4 + event % 7")
        for column, salt, low, high in (
            ("pt", 1, 20, 200),
            ("eta", 2, -2.4, 2.4),
            ("phi", 3, -3.1, 3.1),
            ("tag", 4, 0, 1),
        ):
            frame = frame.Define(column, f"draw(event, {salt}, n, {low}, {high})")
        frame.Snapshot("Events", str(folder / f"{name}.root"), ["pt", "eta", "phi", "tag"])


def book(frame: Any, distributed: bool, edit: str) -> list[Any]:
    """The histograms of one sample, each with its variations."""
    varied = frame.Vary("pt", "ROOT::RVec<ROOT::RVecD>{0.97 * pt, 1.03 * pt}", ["down", "up"], "scale")
    if edit == "variation added":
        varied = varied.Vary("tag", "ROOT::RVec<ROOT::RVecD>{0.9 * tag, 1.1 * tag}", ["down", "up"], "tagging")
    least = 35 if edit == "filter edited" else 30
    chosen = varied.Filter(f"Sum(pt > {least}) >= 4 && Sum(tag > 0.7) >= 1", "selection")
    solved = chosen.Define("ht", "Sum(pt)").Define("mass", "trijet(pt, eta, phi, tag)")
    booked = [solved.Histo1D((name, name, 25, 0.0, 1000.0), name) for name in ("ht", "mass")]
    if edit == "histogram added":
        booked.append(chosen.Define("leading", "Max(pt)").Histo1D(("leading", "", 25, 0.0, 250.0), "leading"))
    vary = ROOT.RDF.Distributed.VariationsFor if distributed else ROOT.RDF.Experimental.VariationsFor
    return [vary(each) for each in booked]


def contents(found: Any) -> dict[str, list[float]]:
    """The bins of a histogram and of its variations."""
    names = sorted(str(name) for name in found.GetKeys())
    return {name: [found[name].GetBinContent(i) for i in range(27)] for name in names}


@contextmanager
def client_of(order: dict[str, Any]) -> Iterator[Any]:
    """Dask's client, or ours with its store, on a cluster of its own."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        if order["cache"] is None:
            made: Any = Client(cluster)
        else:
            from cachingclient import DiracClient

            made = DiracClient(cluster, cache=order["cache"], policy="all")
        with made as client:
            # As after a first run: the interpreters are there.
            client.run(lambda: __import__("ROOT").gInterpreter.ProcessLine("1;"))
            yield client


def processor_time(client: Any) -> float:
    """What the client, its scheduler and the workers took of the processors so far."""
    return time.process_time() + sum(client.run(time.process_time).values())


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Run the analysis; gives its histograms, seconds and tasks."""
    files = {sample: [f"{order['folder']}/{sample}-{part}.root" for part in (0, 1)] for sample in SAMPLES}
    ROOT.RDF.Distributed.DistributeCppCode(CODE)
    if order["kind"] == "plain":
        booked = [
            each for sample in SAMPLES for each in book(ROOT.RDataFrame("Events", files[sample]), False, order["edit"])
        ]
        started = time.perf_counter()
        return {"histograms": [contents(each) for each in booked], "seconds": time.perf_counter() - started}
    with client_of(order) as client:
        before, started = processor_time(client), time.perf_counter()
        frames = [ROOT.RDataFrame("Events", files[sample], executor=client, npartitions=4) for sample in SAMPLES]
        booked = [each for frame in frames for each in book(frame, True, order["edit"])]
        ROOT.RDF.Distributed.RunGraphs(booked[:: len(booked) // len(SAMPLES)])
        histograms = [contents(each) for each in booked]
        seconds, cpu = time.perf_counter() - started, processor_time(client) - before
        totals = [report.to_dict()["total"] for report in getattr(client, "reports", ())]
        ran = sum(total["ran"] for total in totals) if order["cache"] is not None else None
    return {"histograms": histograms, "seconds": seconds, "cpu": cpu, "ran": ran}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    if asked["kind"] == "make":
        make(Path(asked["folder"]), asked["events"])
    else:
        print("\n" + json.dumps(run(asked)))
