"""A client and a worker on a store made to harm them: ``python -m tests.trust.client LEVEL FOLDER``.

A graph has two steps for each craft: under the step key of one, by which the client looks it up, and under the content
key of the other, by which a worker does, lies the bad thing. It prints what came of each, as JSON.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import dask
import numpy as np
from distributed import LocalCluster

from cachingclient import DiracClient
from cachingclient.storage import open_store
from cachingclient.storage.limits import Limits, set_by
from tests.trust import descriptions, payloads, places
from tests.trust.crafting import CRAFTS, Scene

MOST_BYTES = 512 << 20
LEVELS = ("private", "shared", "all", "data", "signed")
LISTED = (descriptions, places)
FOLDERS = ("folder is a link", "folders_", "inventory", "uses_", "pins_", "lease_")
"""Crafts that are no entry: each spoils the whole store, and has one of its own in `test_crafted_stores`."""


def answer(number: int) -> Any:
    """Return what nothing but the step itself gives."""
    return np.full(20_000, number)


def options(scene: Scene, level: str) -> dict[str, Any]:
    """Return what a store is opened with at a level; the folder is made as open as the level says."""
    scene.store.chmod(0o777 if level == "shared" else 0o700)
    if level in ("private", "shared"):
        return {}
    if level != "signed":
        return {"trust": level}
    key = scene.home.parent / "secret"
    key.write_bytes(b"k" * 40)
    key.chmod(0o600)
    return {"trust": level, "signing_key": str(key)}


def runs_code(craft: str, level: str) -> bool:
    """Whether code of the store is run by design: where all is believed, or the folder is our own."""
    return "pickle" in craft and level in ("private", "all")


def crafts_of(level: str) -> dict[str, Any]:
    """Return the crafts that are entries; payloads are tried where others can have written them."""
    found = {name: make for name, make in CRAFTS.items() if not runs_code(name, level)}
    if level in ("shared", "data", "signed"):
        found |= {name: functools.partial(_files, make()) for name, make in payloads.PAYLOADS.items()}
    else:
        del found["trace-all that matches"]  # which takes as long as it takes, where nobody else can have named it
    return {name: make for name, make in found.items() if not name.startswith(FOLDERS)}


def _files(data: bytes, scene: Scene) -> None:
    scene.entry(data, inline=len(data) <= 64 << 10)


def main(level: str, folder: Path) -> dict[str, Any]:
    """Compute the graph on a store of ours, craft, and compute it again."""
    crafts = crafts_of(level)
    (folder / "ours").mkdir(mode=0o700)
    (folder / "store").mkdir(mode=0o700)
    scene = Scene(folder / "store", folder / "home", folder / "CANARY")
    graph = [dask.delayed(answer)(number) for number in range(2 * len(crafts) + 1)]
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
        with DiracClient(cluster, cache=str(folder / "ours"), policy="all") as client:
            client.gather(client.compute(graph))
            client.flush()
            steps = client.report.plan.steps
            step_keys = [steps[each.key].step_key for each in graph]
            facts = {info.keys[-1]: info.keys[0] for info in client.cache.scan() if len(info.keys) > 1}
        chosen = options(scene, level)
        store = open_store(scene.store, **chosen)
        for number, make in enumerate(crafts.values()):
            for key in (step_keys[number], facts[step_keys[number + len(crafts)]]):
                make(Scene(scene.store, scene.home, scene.canary, key))
        start = time.monotonic()
        with DiracClient(cluster, cache=store, policy="all", set_as_default=False) as client:
            client.run(_peak)
            futures = client.compute(graph)
            values = [_outcome(future, number) for number, future in enumerate(futures)]
            repr(client.report), client.report._repr_html_(), client.plan(*graph), client.explain(graph[0].key)
            (worker,) = client.run(_peak).values()
        seconds = time.monotonic() - start
    outcomes = {name: [values[number], values[number + len(crafts)]] for number, name in enumerate(crafts)}
    return {"outcomes": outcomes, "other": values[-1], "seconds": seconds, "client": _high_water(), "worker": worker}


def _outcome(future: Any, number: int) -> str:
    try:
        value = future.result(60)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "right" if isinstance(value, np.ndarray) and np.array_equal(value, answer(number)) else "data"


def _peak() -> int:
    from cachingclient.storage.limits import Limits, set_by

    set_by(lambda: Limits(nbytes=MOST_BYTES))
    return _high_water()


def _high_water() -> int:
    """Return the most memory that this program has had; `ru_maxrss` has that of the program that started it too."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    set_by(lambda: Limits(nbytes=MOST_BYTES))
    logging.disable()
    warnings.simplefilter("ignore")
    level, folder = sys.argv[1], Path(sys.argv[2])
    os.environ["HOME"] = str(folder / "home")
    os.chdir(folder / "home")
    print(json.dumps(main(level, folder)))
