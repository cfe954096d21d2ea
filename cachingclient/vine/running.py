"""A cluster of the user's that another program has running, as dask's client takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from distributed import Security
from distributed.comm import CommClosedError
from distributed.core import Status, rpc

from cachingclient.vine.discovery import clusters, security_of


class RunningCluster:
    """A cluster that runs elsewhere: what ``Client`` and `DiracClient` need of one.

    Parameters
    ----------
    name, scheduler_address
        Its name, and where its scheduler is.
    security
        The certificates with which one connects.

    Examples
    --------
    >>> RunningCluster("ttbar", "tcp://127.0.0.1:8786", Security())
    RunningCluster('ttbar', 'tcp://127.0.0.1:8786')
    """

    def __init__(self, name: str, scheduler_address: str, security: Security) -> None:
        self.name = name
        self.scheduler_address = scheduler_address
        self.security = security
        self.status = Status.running

    def __repr__(self) -> str:
        return f"RunningCluster({self.name!r}, {self.scheduler_address!r})"

    def __await__(self) -> Generator[Any, Any, RunningCluster]:
        return asyncio.sleep(0, self).__await__()

    async def close(self) -> None:
        """End it: what ``client.shutdown()`` asks for. Closing a client leaves it."""
        async with rpc(
            self.scheduler_address, connection_args=self.security.get_connection_args("client")
        ) as scheduler:
            with suppress(CommClosedError):  # it may be gone before it answers
                await scheduler.terminate()
        self.status = Status.closed


def find_cluster(name: str | None = None) -> RunningCluster:
    """Return the cluster of a name; without one, the only one that runs.

    Raises
    ------
    ValueError
        If there is none, or several and no name.
    """
    running = [each for each in clusters() if name in (None, each["name"])]
    if len(running) == 1:
        told = running[0]
        return RunningCluster(told["name"], told["address"], security_of(told))
    names = ", ".join(f"{each['name']!r}" for each in clusters())
    there = f"those that run are {names}" if names else "none of yours runs"
    raise ValueError(f"name is {name!r}; it takes the name of a cluster, and {there}")
