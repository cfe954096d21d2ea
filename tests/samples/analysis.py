"""A small analysis that takes each kind of thing into its keys, and the store it leaves.

    python analysis.py STORE

prints as JSON what came out, and how many steps ran. No library's version counts in a key, so that a stored sample
stays good when a library is released; Python's does, as the keys of code come from its bytecode.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import dask
import hist
import numpy as np
import pandas as pd
from dask import delayed

from cachingclient import DiracClient, File, step

EVENTS = Path(__file__).with_name("events.csv")
SETTINGS = {
    "cachingclient.environment.ignore": sorted({each.name for each in importlib.metadata.distributions()}),
    "cachingclient.policy": "all",
}
CUT = 30.0


@dataclass(frozen=True)
class Region:
    """A region of the analysis."""

    name: str
    jets: int


class Selection:
    """Takes what is above a threshold that it holds."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return values[values > self.threshold]


def read(file: Any) -> pd.DataFrame:
    return pd.read_csv(str(file))


def momenta(table: pd.DataFrame) -> np.ndarray:
    return table["pt"].to_numpy()


def jets(table: pd.DataFrame, region: Region) -> ak.Array:
    counts = table.groupby("event").size().to_numpy()
    each = ak.unflatten(ak.Array({"pt": table["pt"].to_numpy(), "eta": table["eta"].to_numpy()}), counts)
    return each[ak.num(each) >= region.jets]


def filled(values: np.ndarray) -> hist.Hist:
    histogram = hist.Hist(hist.axis.Regular(5, 0.0, 100.0, name="pt"), storage=hist.storage.Weight())
    histogram.fill(values, weight=np.full(len(values), 0.5))
    return histogram


@step
def above(values: np.ndarray, cut: float) -> np.ndarray:
    return values[values > cut]


@step(version="two", ignore=("remark",))
def leading(events: ak.Array, remark: str = "") -> ak.Array:
    return events.pt[:, 0]


def named(file: Any) -> File:
    return File(Path(file).name)


def shifted(values: np.ndarray, by: float) -> float:
    return float((values + by).sum())


def plain(value: Any) -> Any:
    """As JSON has it, for a comparison that needs no library."""
    if isinstance(value, hist.Hist):
        return [value.view(flow=True)["value"].tolist(), value.view(flow=True)["variance"].tolist()]
    return value.tolist() if hasattr(value, "tolist") else value


def analyse(client: DiracClient) -> dict[str, Any]:
    """Delayed, submitted and mapped steps, with results of each kind that has a codec."""
    table = delayed(read)(File(EVENTS))
    pt = delayed(momenta)(table)
    chosen = delayed(jets)(table, Region("two jets", 2))
    graph = {
        "chosen": chosen,
        "histogram": delayed(filled)(delayed(above)(pt, CUT)),
        "leading": delayed(leading)(chosen),
        "named": delayed(named)(File(EVENTS)),
        "selected": delayed(Selection(50.0))(pt),
    }
    found = dict(zip(graph, client.gather(client.compute(list(graph.values()))), strict=True))
    values = client.submit(read, File(EVENTS))
    numbers = client.submit(momenta, values)
    found["table"] = values.result().to_dict("list")
    found["shifted"] = client.gather(client.map(shifted, [numbers] * 3, [0.0, 1.0, 2.0]))
    return {name: plain(value) for name, value in found.items()}


def run(store: str) -> dict[str, Any]:
    """What comes out with this store, and the totals of all graphs."""
    with (
        dask.config.set(SETTINGS | {"cachingclient.store": store}),
        DiracClient(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client,
    ):
        values = analyse(client)
        values["called"] = plain(above(np.array([10.0, 40.0, 70.0]), CUT))  # in plain Python: known by content
        client.flush()
        totals = [report.to_dict()["total"] for report in client.reports]
    return {
        "values": values,
        "ran": sum(total["ran"] for total in totals),
        "loaded": sum(total["loaded"] for total in totals),
        "kept": sum(total["kept"] for total in totals),
    }


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1])))
