"""What a process does before its first task: it imports what the first graph takes, and a worker tells its version.

A worker loads this module before it connects, by ``--preload cachingclient.worker.startup``: one that lacks the
package does not start, and says why. The client imports the same modules as it starts, before the user sends a graph.
"""

from __future__ import annotations

import importlib
import sys

from distributed import Worker
from distributed.threadpoolexecutor import ThreadPoolExecutor

from cachingclient.hashing.inputs.told import Told, tell_surroundings
from cachingclient.versions import TOLD, own_version
from cachingclient.worker.fills import follow_fills
from cachingclient.worker.held import gather_without_references
from cachingclient.worker.observe import install

_ALWAYS = (
    "cachingclient.hashing.code.functions",
    "cachingclient.hashing.libraries.stdlib",
    "cachingclient.hashing.dispatch",
    "cachingclient.worker.load",
    "cachingclient.storage.codecs.containers",
)
_BESIDE = {
    "boost_histogram": ("cachingclient.hashing.libraries.histograms", "cachingclient.storage.codecs.hist"),
    "numpy": ("cachingclient.hashing.libraries.numpy", "cachingclient.storage.codecs.numpy"),
}
"""Modules that import a library, by that library: only where it is there already."""


def warm_up() -> None:
    """Import what the first graph takes, and have tasks gather results instead of references to unread hits."""
    beside = [name for library, names in _BESIDE.items() if library in sys.modules for name in names]
    for name in (*_ALWAYS, *beside):
        importlib.import_module(name)
    gather_without_references()


def ready_worker(dask_worker: Worker) -> Told | None:
    """Make a worker ready for its first task; return its surroundings, None if its tasks run in other processes."""
    warm_up()
    if not isinstance(dask_worker.executors["default"], ThreadPoolExecutor):
        return None
    install()
    if not dask_worker.address.startswith("inproc://"):  # there a user's program runs, which reads much else
        follow_fills()
    return tell_surroundings()


async def dask_setup(worker: Worker) -> None:
    """Observe what the worker imports from now on, and add the version to what it says when it connects."""
    install()
    follow_fills()
    worker.startup_information[TOLD] = lambda _: {"version": own_version()}
