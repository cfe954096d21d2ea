"""The scheduler's part of unread hits: it finds the client that computes a result again when the entry is lost.

A worker holds a reference to the entry, and the client that sent the task holds the key. A worker can't reach that
client by itself, so it runs `ask_owners` on the scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cachingclient.graph import Key, Task, is_held

LOST = "cachingclient-lost"
"""The message to a client: the entry of a key that the client holds is lost, and another client needs the result."""


def ask_owners(lost: Mapping[Key, tuple[str, str]], dask_scheduler: Any = None) -> None:
    """Ask clients to compute lost results again; run on the scheduler.

    Parameters
    ----------
    lost
        For each key the client that holds it, and why its entry can't be read.
    dask_scheduler
        Given by dask.
    """
    for key, (owner, why) in lost.items():
        comm = dask_scheduler.client_comms.get(owner)
        if comm is not None:
            comm.send({"op": LOST, "key": key, "why": why})
        else:
            read_after_all(key, dask_scheduler)


def read_after_all(key: Key, dask_scheduler: Any = None) -> None:
    """Have the task of an unread hit read its entry, since no client can compute it again; run on the scheduler.

    The entry is lost, so the task errs, and every client that waits for the key hears why.
    """
    task = dask_scheduler.tasks.get(key)
    if task is not None and task.state == "memory" and is_held(task.run_spec):
        task.run_spec = Task(key, task.run_spec.func.load)
        dask_scheduler.transitions({key: "released"}, LOST)
