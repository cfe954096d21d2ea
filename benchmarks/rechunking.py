"""What other chunk sizes find of row-wise steps: kept with chunks of 100,000 events, asked for with other ones.

    python benchmarks/rechunking.py

The processor time of the run with what is kept, and of the same run with an empty store, one after another and again;
all in one process, so that a busy machine says the same.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import awkward as ak
import click
import hist
import numpy as np
import uproot
from rich.console import Console
from rich.table import Table

from cachingclient import DiracClient, step
from cachingclient.coffea import Chunk, run_steps
from cachingclient.coffea.rows import BLOCK

FIRST = 100_000


@step(rows=True)
def load(chunk: Chunk) -> Any:
    """Return the jets of a range of events."""
    arrays = chunk.arrays(["Jet_pt", "Jet_eta"])
    return ak.zip({"pt": arrays.Jet_pt, "eta": arrays.Jet_eta})


@step(rows=True)
def select(jets: Any) -> Any:
    """Return the jets that count, of events with two of them; each jet takes some work."""
    pt = jets.pt
    for _ in range(40):
        pt = pt * (1 + 1e-3 * np.tanh(jets.eta))
    good = jets[pt > 30]
    return good[ak.num(good) > 1]


def fill(jets: Any) -> Any:
    """Return the histogram."""
    return hist.Hist.new.Reg(50, 0, 500, name="pt").Double().fill(ak.flatten(jets.pt))


def write_file(path: Path, entries: int) -> Path:
    """Write a file of events."""
    random = np.random.default_rng(1)
    counts = random.poisson(4, entries)
    columns = {"pt": random.exponential(40, counts.sum()), "eta": random.normal(0, 1.5, counts.sum())}
    jets = ak.unflatten(ak.zip(columns), counts)
    with uproot.recreate(path) as file:
        file.mktree("Events", {"Jet": ak.type(jets).content}).extend({"Jet": jets})
    return path


def run(file: Path, store: Path, chunksize: int) -> tuple[Any, Counter[str], float]:
    """Run the steps; return the histogram, how many tasks ran by name, and the processor time."""
    with DiracClient(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None, cache=store) as client:
        start = time.process_time()
        graph = run_steps({"ttbar": [str(file)]}, load=load, select=select, fill=fill, chunksize=chunksize)
        filled = client.compute(graph, sync=True)["ttbar"]
        client.flush()
        seconds = time.process_time() - start
        report = client.report
        assert report is not None
        return filled, Counter(record.name for record in report.records if record.action == "ran"), seconds


@click.command()
@click.option("--entries", default=400_000, help="Events in the file.")
@click.option("--repeat", default=5, help="Pairs of runs.")
def main(entries: int, repeat: int) -> None:
    """Print what is reused and what runs, by chunk size."""
    table = Table("chunks", "events reused", "tasks run", "of a cold run", "equal", "processor time, cold = 1")
    with tempfile.TemporaryDirectory() as folder:
        file = write_file(Path(folder, "events.root"), entries)
        kept = Path(folder, "kept")
        run(file, kept, FIRST)
        for chunksize in (FIRST, 50_000, 70_000):
            ratios = []
            for number in range(repeat):
                cold, expected_ran, seconds = run(file, Path(folder, f"cold-{chunksize}-{number}"), chunksize)
                copy = Path(folder, f"warm-{chunksize}-{number}")
                shutil.copytree(kept, copy)
                found, ran, less = run(file, copy, chunksize)
                ratios.append(less / seconds)
            reused = 1 - ran["select"] * BLOCK / entries
            table.add_row(
                f"{FIRST:,} to {chunksize:,}", f"{max(0.0, reused):.0%}", f"{ran.total()}", f"{expected_ran.total()}",
                "yes" if found == cold else "no", f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            )  # fmt: skip
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
