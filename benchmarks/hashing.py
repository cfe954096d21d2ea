"""What the identity of a value costs, beside xxh3 over the same bytes.

    python benchmarks/hashing.py --gigabytes 1

Large arrays are compared with the hash function alone, run on as much memory right before; small values
are given in microseconds each. It is CPU time that is measured, so a busy machine does not show;
medians over the repetitions are printed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import awkward as ak
import click
import hist
import numpy as np
import pandas as pd
import pyarrow as pa
import xxhash
from rich.console import Console
from rich.table import Table

from cachingclient.hashing.identify import identify
from cachingclient.hashing.scalars import encode_int, encode_plain_str
from cachingclient.hashing.walk import Walk

WANTED = 0.8


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Return the median CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def large_values(nbytes: int) -> dict[str, tuple[Any, int]]:
    """Return large values by name, with the number of bytes that must be read for them."""
    numbers = np.arange(nbytes // 8, dtype=np.float64)
    square = numbers[: int(len(numbers) ** 0.5) ** 2].reshape(int(len(numbers) ** 0.5), -1)
    counts = np.full(len(numbers) // 4, 4)
    return {
        "array": (numbers, numbers.nbytes),
        "array in Fortran order": (square.T, square.nbytes),
        "every second element": (numbers[::2], numbers.nbytes // 2),
        "masked array": (np.ma.masked_array(numbers), numbers.nbytes),
        "frame of ten columns": (pd.DataFrame(numbers[: len(numbers) // 10 * 10].reshape(10, -1).T), numbers.nbytes),
        "Arrow table": (pa.table({"x": numbers}), numbers.nbytes),
        "awkward numbers": (ak.Array(numbers), numbers.nbytes),
        "awkward lists": (ak.unflatten(numbers[: counts.sum()], counts), int(numbers.nbytes * 1.25)),
    }


def small_values() -> dict[str, Callable[[], Any]]:
    """Return calls that identify small values, by name."""
    record = {"dataset": "ttbar", "xsec": 1.5, "cuts": [30, 2.5], "tags": ("a", "b")}
    histogram = hist.Hist.new.Reg(50, 0, 500, name="x").StrCat(["a", "b"], name="c").Weight()
    array = np.arange(100.0)
    words = [f"Jet_{number}" for number in range(10_000)]
    mixed = [(number, float(number)) for number in range(10_000)]
    return {
        "an int": lambda: encode_int(7),
        "a word": lambda: encode_plain_str("Events"),
        "a small dictionary": lambda: Walk().encode(record),
        "a small array": lambda: Walk().encode(array),
        "a histogram": lambda: Walk().encode(histogram),
        "10,000 words": lambda: Walk().encode(words),
        "10,000 pairs": lambda: Walk().encode(mixed),
        "a file": lambda: identify(__file__),
    }


@click.command()
@click.option("--gigabytes", default=1.0, show_default=True, help="Size of the large values.")
@click.option("--repeats", default=5, show_default=True, help="Repetitions of each measurement.")
def main(gigabytes: float, repeats: int) -> None:
    """Print how fast large values are identified, and what small ones cost."""
    console = Console()
    table = Table("value", "GB/s", "xxh3 GB/s", "share", f"at least {WANTED:.0%}", title=f"{gigabytes:g} GB")
    for name, (value, nbytes) in large_values(int(gigabytes * 1e9)).items():
        raw = np.ones(nbytes, np.uint8).data  # zeros would be one page of memory, read again and again
        alone = seconds(lambda raw=raw: xxhash.xxh3_128_digest(raw), repeats)
        whole = seconds(lambda value=value: identify(value), repeats)
        share = alone / whole
        verdict = "yes" if share >= WANTED else "no"
        table.add_row(name, f"{nbytes / whole / 1e9:.1f}", f"{nbytes / alone / 1e9:.1f}", f"{share:.0%}", verdict)
    console.print(table)
    small = Table("value", "us")
    for name, call in small_values().items():
        call()
        count = 1000 if name in ("an int", "a word") else 1
        cost = seconds(lambda call=call, count=count: [call() for _ in range(count)], max(repeats, 20)) / count
        small.add_row(name, f"{cost * 1e6:.2f}")
    console.print(small)


if __name__ == "__main__":
    main()
