"""What believing less costs: loads of one value from a private, a data and a signed store, side by side.

Run it on a machine that does nothing else: ``python -m benchmarks.trust``. Each load is of a store that was opened
anew, in turns, so that what the machine does meanwhile falls on all of them alike.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pandas as pd
from dask.utils import format_bytes

from cachingclient.storage import Entry, Store, encode
from cachingclient.storage.files.local import LocalFolder
from cachingclient.storage.files.store import FileSystemStore
from cachingclient.storage.wrappers.keys import make_secret
from cachingclient.storage.wrappers.signed import SignedStore

KEY = "0f" * 16
TURNS = 50
COUNT = 1_250_000  # numbers of 8 bytes: 10 MB


def values() -> dict[str, Any]:
    """Return values of ten megabytes."""
    random = np.random.default_rng(1)
    numbers = random.normal(size=COUNT)
    return {
        "array": numbers,
        "truth values": numbers > 0,
        "table": pd.DataFrame({"a": numbers[: COUNT // 2], "b": numbers[COUNT // 2 :]}),
        "awkward": ak.unflatten(numbers, np.full(COUNT // 5, 5)),
    }


def opened(folder: Path, level: str) -> Store:
    """Return a store that is opened anew."""
    trust = {"private": None, "copied": "signed"}.get(level, level)
    store = FileSystemStore(LocalFolder(str(folder)), trust=trust)
    return SignedStore(store, [KEYS[0]], {}) if level == "signed" else store


def seconds_of_load(folder: Path, level: str) -> float:
    """Return what it takes to open a store, find the value and read it."""
    begun = time.perf_counter()
    store = opened(folder, level)
    store.read(store.find([KEY])[KEY])
    return time.perf_counter() - begun


KEYS: list[Any] = []
LEVELS = ("private", "copied", "data", "signed")
"""``copied`` checks nothing but the digest, and maps nothing: what the others add to it is the price of trust."""


def main() -> None:
    """Print the milliseconds of a load at each level, as a median."""
    with tempfile.TemporaryDirectory() as place:
        KEYS.append(make_secret(Path(place) / "secret"))
        print(f"{'value':14}{'bytes':>12}" + "".join(f"{level:>12}" for level in LEVELS))
        for name, value in values().items():
            encoded = encode(value)
            folder = Path(place) / name.replace(" ", "-")
            opened(folder, "signed").write(Entry((KEY,), "result", name, 1.0, {}, encoded))
            times: dict[str, list[float]] = {level: [] for level in LEVELS}
            for _ in range(TURNS):
                for level in LEVELS:
                    times[level].append(seconds_of_load(folder, level))
            row = "".join(f"{1000 * statistics.median(times[level]):>9.2f} ms" for level in LEVELS)
            print(f"{name:14}{format_bytes(encoded.nbytes):>12}{row}")


if __name__ == "__main__":
    main()
