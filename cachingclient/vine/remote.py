"""Workers started by ssh: `SSHWorker` dials the host, and this module as a program is what it runs there.

What the worker needs to know goes through its standard input, certificates and keys too: they are never on a disk
or a command line there. When the connection ends, so does the worker.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import dask.config
from distributed import Nanny, Security
from distributed.core import Status
from distributed.deploy.spec import ProcessInterface

from cachingclient.vine.engine import EngineMissing

READY = "ready"


class SSHWorker(ProcessInterface):
    """A worker on another host.

    Parameters
    ----------
    scheduler
        The scheduler's address.
    name
        The worker's name; its number chooses among the hosts.
    hosts
        Where the site's workers run, one after the other.
    connect_options
        What `asyncssh.connect` takes.
    python
        The interpreter there; None for the path of the one that runs here.
    environment
        Environment variables of the worker.
    security
        What it needs to talk to the scheduler.
    **options
        What `distributed.Nanny` takes.
    """

    def __init__(
        self,
        scheduler: str,
        name: str,
        *,
        hosts: Sequence[str],
        security: Security,
        connect_options: Mapping[str, Any] | None = None,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(scheduler, name)
        self.host = hosts[int(name.rpartition("-")[2]) % len(hosts)]
        self._connect_options = dict(connect_options or {})
        self._python = python or sys.executable
        tls = {f"tls_{kind}": value for kind, value in _tls_of(security).items()}
        self._told = {
            "scheduler": scheduler,
            "security": {**tls, "require_encryption": bool(security.require_encryption)},
            "environment": dict(environment or {}),
            "options": {**options, "name": name},
        }
        self._connection: Any = None
        self._process: Any = None

    async def start(self) -> None:
        """Dial the host and start the worker there."""
        try:
            import asyncssh
        except ImportError as error:
            raise EngineMissing("workers are started by ssh: pip install asyncssh") from error
        self._connection = await asyncssh.connect(self.host, **self._connect_options)
        command = shlex.join([self._python, "-m", __name__])
        self._process = await self._connection.create_process(command)
        self._process.stdin.write(json.dumps(self._told) + "\n")
        line = await self._process.stdout.readline()
        if line.strip() != READY:
            why = await self._process.stderr.read()
            raise RuntimeError(f"no worker could be started on {self.host}: {why.strip() or line.strip()}")
        await super().start()

    async def close(self) -> None:
        """End the worker and the connection."""
        if self._process is not None:
            self._process.stdin.write_eof()
            await self._process.wait_closed()
        if self._connection is not None:
            self._connection.close()
            await self._connection.wait_closed()
        await super().close()


def _tls_of(security: Security) -> dict[str, str]:
    """Return certificates and keys as text, from wherever they are."""
    # Its attributes are made from a list of names, which mypy can't see.
    found = {kind: getattr(security, f"tls_{kind}") for kind in ("ca_file", "worker_cert", "worker_key")}
    read = {}
    for kind, value in found.items():
        if value is not None and "\n" not in value:
            with open(value) as file:
                value = file.read()
        if value is not None:
            read[kind] = value
    return read


async def _serve(told: Mapping[str, Any]) -> None:
    """Run a worker until the other side closes our standard input, or the scheduler ends it."""
    loop = asyncio.get_running_loop()
    async with Nanny(
        told["scheduler"], security=Security(**told["security"]), env=told["environment"], **told["options"]
    ) as nanny:
        print(READY, flush=True)
        ended = loop.run_in_executor(None, sys.stdin.read)
        finished = asyncio.ensure_future(nanny.finished())
        await asyncio.wait([ended, finished], return_when=asyncio.FIRST_COMPLETED)
        if nanny.status != Status.closed:
            await nanny.close()
    os._exit(0)  # the thread that reads may still wait, which would keep the process


if __name__ == "__main__":
    # One worker process must not start this program again.
    dask.config.set({"distributed.worker.multiprocessing-method": "spawn"})
    asyncio.run(_serve(json.loads(sys.stdin.readline())))
