"""A nanny whose worker keeps the memory that it frees, for the next array.

glibc maps each array of more than 128 KiB by itself and gives it back when it is freed; dask's own nanny has it trim
the rest at 64 KiB. An analysis makes and drops such arrays all the time: each is mapped, faulted in page by page, and
unmapped. Workers that this package starts keep up to 128 MiB at the top of the heap, and map only what is larger than
32 MiB. See mallopt(3).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import dask
import distributed

KEEP_MEMORY: Mapping[str, str] = {"MALLOC_TRIM_THRESHOLD_": str(128 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
"""The environment variables of glibc's allocator, which reads them as a process starts."""
_DASKS_OWN = {"MALLOC_TRIM_THRESHOLD_": "65536"}


class Nanny(distributed.Nanny):
    """A `distributed.Nanny` with `KEEP_MEMORY`, where the user's environment and configuration say nothing else.

    As dask's own, it leaves the variables in the environment of the process that it runs in.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        configured = dask.config.get("distributed.nanny.pre-spawn-environ", {})
        for name, value in KEEP_MEMORY.items():
            nobodys = {"", value, _DASKS_OWN.get(name)}  # an earlier nanny has left its value
            given = (str(where.get(name) or "") for where in (os.environ, configured))
            self.pre_spawn_env[name] = next((each for each in given if each not in nobodys), value)


def choose(options: dict[str, Any]) -> None:
    """Let a `LocalCluster` with these options start our nannies, if it starts nannies.

    Examples
    --------
    >>> options = {"n_workers": 2}
    >>> choose(options)
    >>> options["worker_class"] is Nanny
    True
    """
    if options.get("processes") is None or options["processes"]:
        options.setdefault("worker_class", Nanny)
