"""The five steps of a small analysis: what each takes is a table, and so is what it returns.

Each says that it runs by an audit event, which nobody hears unless the worker was told to count.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from kinematics import response

CORRECTION = Path(__file__).with_name("correction.json")
REPLICAS = 120
"""How often what is random is drawn."""


def load(path: str) -> pd.DataFrame:
    """Read a data set."""
    with np.load(path) as file:
        return prepare({name: file[name] for name in file.files})


def prepare(columns: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Make a table of columns, with an isolation that takes long."""
    sys.audit("analysis.ran", "load")
    table = pd.DataFrame(dict(columns))
    random = np.random.default_rng(1)
    total, squares = np.zeros(len(table)), np.zeros(len(table))
    for _ in range(REPLICAS):
        smeared = random.normal(1, 0.1, len(table))
        total += smeared
        squares += smeared**2
    table["isolation"] = np.sqrt(squares / REPLICAS - (total / REPLICAS) ** 2)
    return table


def select(table: pd.DataFrame) -> pd.DataFrame:
    """Keep central events of high momentum, in the order of their momentum."""
    sys.audit("analysis.ran", "select")
    for column in ("eta", "isolation"):
        table = table.sort_values(column)
    return table[(table["pt"] > 25.0) & (np.abs(table["eta"]) < 2.4)].sort_values("pt").reset_index(drop=True)


def correct(table: pd.DataFrame) -> pd.DataFrame:
    """Correct the momentum by the response of the detector and the scale in a file."""
    sys.audit("analysis.ran", "correct")
    scale = json.loads(CORRECTION.read_text())["scale"]
    random = np.random.default_rng(2)
    eta = table["eta"].to_numpy()
    total = sum(response(eta + random.normal(0, 0.01, len(table))) for _ in range(REPLICAS))
    return table.assign(pt=table["pt"] * scale * REPLICAS / total)


def fill(table: pd.DataFrame, variable: str) -> pd.DataFrame:
    """Fill a histogram of a variable, with the spread of replicas."""
    sys.audit("analysis.ran", "fill")
    random = np.random.default_rng(3)
    edges = np.linspace(0.0, 100.0, 51)
    replicas = [
        np.histogram(table[variable], edges, weights=random.poisson(1, len(table)))[0] for _ in range(REPLICAS // 4)
    ]
    return pd.DataFrame({"count": np.histogram(table[variable], edges)[0], "spread": np.std(replicas, axis=0)})


def merge(histograms: list[pd.DataFrame]) -> pd.DataFrame:
    """Add the histograms of all data sets."""
    sys.audit("analysis.ran", "merge")
    return pd.DataFrame({"count": sum(each["count"] for each in histograms)})
