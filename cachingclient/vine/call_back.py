"""Clients that can't dial a cluster's scheduler, as when it is a job at a node that nobody may dial: it calls them.

The client listens, and says where in a private file beside that of the cluster. The cluster's program looks for such
files, and its end of a tunnel dials the client for as long as the file is there. Through the tunnel the client reaches
the scheduler at a port of its own machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distributed import Security

from cachingclient.tunnel.agent import Agent, client_context, write_certificates
from cachingclient.tunnel.certificates import Certificates
from cachingclient.tunnel.head import Tunnel
from cachingclient.vine.discovery import folder
from cachingclient.worker.credentials import write_private

logger = logging.getLogger("cachingclient")

LOOK_EVERY = 1.0
"""Seconds between two looks for clients."""
PATIENCE = 60.0
"""Seconds that a client waits to be called, and after which it counts as gone when it can't be reached."""


def _folder(name: str) -> Path:
    return folder() / "waiting" / name


class Waiting:
    """A client's end: it is called by the program of a cluster.

    Parameters
    ----------
    name
        The cluster's name.
    security
        The certificates with which a client talks to it.
    host
        The address by which the cluster's program reaches this machine.

    Attributes
    ----------
    address
        Where the scheduler is reached from here.

    Raises
    ------
    ConnectionError
        If it is not called.
    """

    def __init__(self, name: str, security: Security, host: str) -> None:
        config = security.get_tls_config_for_role("client")
        listening = Security(
            require_encryption=True,
            tls_ca_file=config["ca_file"],
            tls_scheduler_cert=config["cert"],
            tls_scheduler_key=config["key"],
        )
        self._tunnel = Tunnel(listening, host)
        caller = secrets.token_hex(8)
        self._path = _folder(name) / f"{caller}.json"
        told = {"relay": self._tunnel.address, "caller": caller, "token": self._tunnel.token(caller)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self._path, json.dumps(told).encode())
            deadline = time.monotonic() + PATIENCE
            while caller not in self._tunnel.connected:
                if time.monotonic() > deadline:
                    raise ConnectionError(
                        f"cluster {name!r} did not call {host}:{self._tunnel.address[1]} within {PATIENCE:.0f} s: its "
                        f"program has ended, can't dial that address, or has not the same {folder()}"
                    )
                time.sleep(0.05)
        except BaseException:
            self.close()
            raise
        self.address = f"tls://{host}:{self._tunnel.connected[caller]}"

    def close(self) -> None:
        """Hang up."""
        self._path.unlink(missing_ok=True)
        self._tunnel.close()


class Answering:
    """The cluster's end: it calls the clients that wait.

    Parameters
    ----------
    name
        The cluster's name.
    security
        Its certificates.
    address
        Its scheduler's address.
    """

    def __init__(self, name: str, security: Security, address: str) -> None:
        self._folder = _folder(name)
        parts = urlsplit(address)
        self._scheduler = (parts.port or 0, parts.hostname or "")
        with tempfile.TemporaryDirectory() as private:
            texts = Certificates.of(security, "scheduler").__dict__
            self._context = client_context(write_certificates(Path(private), texts))
        self._calls: dict[Path, asyncio.Task[None]] = {}
        self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while True:
            waiting = await asyncio.to_thread(self._waiting)  # the folder's host may be away for long
            for path in waiting - set(self._calls):
                self._calls[path] = asyncio.create_task(self._call(path))
            for path in set(self._calls) - waiting:
                self._calls.pop(path).cancel()
            await asyncio.sleep(LOOK_EVERY)

    def _waiting(self) -> set[Path]:
        try:
            return set(self._folder.glob("*.json"))
        except OSError:
            return set(self._calls)

    async def _call(self, path: Path) -> None:
        """Call a client until it is gone."""
        try:
            told: dict[str, Any] = json.loads(path.read_text())
            host, port = told["relay"]
            port_here, host_here = self._scheduler
            agent = Agent((host, port), self._context, told["caller"], told["token"], port_here, PATIENCE, host_here)
            await agent.run()
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.info("a client that waited can't be called any more: %s", error)
            with suppress(OSError):
                path.unlink()

    async def close(self) -> None:
        """Call nobody any more."""
        tasks = [self._looking, *self._calls.values()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
