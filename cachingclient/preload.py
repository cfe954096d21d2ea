"""Loaded by a worker before it connects: it tells the scheduler which version of this package it has.

A worker that lacks the package does not start, and says why: ``--preload cachingclient.preload``.
"""

from __future__ import annotations

from distributed import Worker

from cachingclient.versions import TOLD, own_version


async def dask_setup(worker: Worker) -> None:
    """Add the version to what the worker says when it connects."""
    worker.startup_information[TOLD] = lambda _: {"version": own_version()}
