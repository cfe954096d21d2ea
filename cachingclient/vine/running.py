"""A cluster of the user's that another program has running, as dask's client takes it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from distributed import Security
from distributed.comm import CommClosedError
from distributed.core import Status, rpc
from distributed.utils import get_ip

from cachingclient.vine.call_back import Waiting
from cachingclient.vine.discovery import clusters, security_of


class RunningCluster:
    """A cluster that runs elsewhere: what ``Client`` and `DiracClient` need of one.

    Parameters
    ----------
    name, scheduler_address
        Its name, and where its scheduler is.
    security
        The certificates with which one connects.
    waiting
        The client's end of the tunnel through which the scheduler is reached, if it is not dialled.

    Examples
    --------
    >>> RunningCluster("ttbar", "tcp://127.0.0.1:8786", Security())
    RunningCluster('ttbar', 'tcp://127.0.0.1:8786')
    """

    def __init__(self, name: str, scheduler_address: str, security: Security, waiting: Waiting | None = None) -> None:
        self.name = name
        self.scheduler_address = scheduler_address
        self.security = security
        self.status = Status.running
        # At the end of the program at the latest.
        self._hang_up = weakref.finalize(self, waiting.close) if waiting is not None else None

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
        if self._hang_up is not None:
            await asyncio.to_thread(self._hang_up)
        self.status = Status.closed


def find_cluster(name: str | None = None, *, tunnel: bool | str = False) -> RunningCluster:
    """Return the cluster of a name; without one, the only one that runs.

    Parameters
    ----------
    name
        The cluster's name.
    tunnel
        Whether its scheduler dials us instead of we dialling it: True, or the address of this machine that it can dial.

    Raises
    ------
    ValueError
        If there is none, or several and no name; or if a tunnel is asked for to one without TLS.
    ConnectionError
        If it does not dial us within a minute.
    """
    running = [each for each in clusters() if name in (None, each["name"])]
    if len(running) == 1:
        told = running[0]
        security = security_of(told)
        if not tunnel:
            return RunningCluster(told["name"], told["address"], security)
        if not told["encrypted"]:
            raise ValueError(f"tunnel is {tunnel!r}, and cluster {told['name']!r} has no TLS, which a tunnel needs")
        waiting = Waiting(told["name"], security, get_ip() if tunnel is True else tunnel)
        return RunningCluster(told["name"], waiting.address, security, waiting)
    names = ", ".join(f"{each['name']!r}" for each in clusters())
    there = f"those that run are {names}" if names else "none of yours runs"
    raise ValueError(f"name is {name!r}; it takes the name of a cluster, and {there}")
