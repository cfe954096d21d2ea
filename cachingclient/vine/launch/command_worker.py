"""Workers started by a command: `CommandWorker` runs the command, which starts this module as a program at the site.

The command is ``ssh HOST``, or whatever else runs a program somewhere. What the worker needs to know goes through
its standard input, certificates and keys too, so that they are never on a disk or a command line there. When the
connection ends, the input does, and so does the worker.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distributed import Security, Worker
from distributed.core import Status
from distributed.deploy.spec import ProcessInterface

from cachingclient.environments import Environment
from cachingclient.tunnel.agent import Agent, client_context, write_certificates
from cachingclient.vine.launch.entering import Entering
from cachingclient.worker.nanny import Nanny

READY = "ready"
PATIENCE = 120.0
"""Seconds without the head after which a worker that is reached through the tunnel gives up."""


class CommandWorker(ProcessInterface):
    """A worker that a command starts, on another host most likely.

    Parameters
    ----------
    scheduler
        The scheduler's address.
    name
        The worker's name.
    commands
        The command that runs a program at the site, as one list of words for each host: ``[["ssh", "node1"]]``.
    python
        The interpreter there; None for the path of the one that runs here.
    environment
        Environment variables of the worker.
    packed
        The packed environment that it runs in, in the place of `python`; it is sent where it is not yet.
    security
        The certificates with which it talks to the scheduler.
    tunnel
        The `Tunnel` through which others reach the worker; None if they can dial it.
    **options
        Options of `distributed.Nanny`, or with a tunnel of `distributed.Worker`.
    """

    def __init__(
        self,
        scheduler: str,
        name: str,
        *,
        commands: Sequence[Sequence[str]],
        security: Security,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        packed: Environment | None = None,
        tunnel: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(scheduler, name)
        command = commands[int(name.rpartition("-")[2]) % len(commands)]
        self._entering = None if packed is None else Entering(packed, environment or {})
        interpreter = [python or sys.executable] if self._entering is None else self._entering.command
        self._command = [*command, *interpreter, "-m", __name__]
        self._told = {
            "scheduler": scheduler,
            "security": {**_tls_of(security), "require_encryption": bool(security.require_encryption)},
            "environment": dict(environment or {}),
            "options": {**options, "name": name},
            "tunnel": {"relay": tunnel.address, "token": tunnel.token(name)} if tunnel is not None else None,
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the worker and wait until it has found the scheduler.

        Raises
        ------
        RuntimeError
            If the command ends before; the text is the command's output.
        """
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._entering is not None:
            await self._entering.enter(self._process.stdin, self._process.stdout)
        self._process.stdin.write(json.dumps(self._told).encode() + b"\n")
        # A login shell or a batch system may greet first.
        while line := await self._process.stdout.readline():
            if line.strip().decode(errors="replace") == READY:
                return await super().start()
        status = await self._process.wait()
        why = self._entering.refusal if self._entering is not None else ""
        raise RuntimeError(
            f"no worker was started by {' '.join(self._command)}: {why or f'it ended with status {status}'}"
        )

    def kill(self) -> None:
        """End the command at once, as when its connection breaks."""
        if self._process is not None:
            self._process.kill()

    async def close(self) -> None:
        """Let the worker end."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()
        await super().close()


def _tls_of(security: Security) -> dict[str, str]:
    """Return certificates and keys as text, from wherever they are."""
    # Its attributes are made from a list of names, which mypy can't see.
    found = {kind: getattr(security, kind) for kind in ("tls_ca_file", "tls_worker_cert", "tls_worker_key")}
    return {
        kind: value if "\n" in value else Path(value).read_text() for kind, value in found.items() if value is not None
    }


async def _serve(told: Mapping[str, Any]) -> None:
    """Run a worker until the other side closes our standard input, or the scheduler ends it."""
    loop = asyncio.get_running_loop()
    os.environ.update(told["environment"])
    options = {"security": Security(**told["security"]), **told["options"]}
    if told["tunnel"] is None:
        server: Any = Nanny(told["scheduler"], **options)
    else:
        # No nanny: the head could not reach it.
        server = Worker(told["scheduler"], **options, **await _reached_through(told))
    async with server:
        print(READY, flush=True)
        ended = loop.run_in_executor(None, sys.stdin.read)
        finished = asyncio.ensure_future(server.finished())
        await asyncio.wait([ended, finished], return_when=asyncio.FIRST_COMPLETED)
        if server.status != Status.closed:
            await server.close()
    os._exit(0)  # the thread that reads may still wait, and would keep the process


async def _reached_through(told: Mapping[str, Any]) -> dict[str, Any]:
    """Open the tunnel; return the addresses at which the worker listens, and at which others reach it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    host, *_ = relay = tuple(told["tunnel"]["relay"])
    security = told["security"]
    texts = {"ca": security["tls_ca_file"], "cert": security["tls_worker_cert"], "key": security["tls_worker_key"]}
    with tempfile.TemporaryDirectory() as folder:
        context = client_context(write_certificates(Path(folder), texts))
    agent = Agent(relay, context, told["options"]["name"], told["tunnel"]["token"], port, PATIENCE)
    run = asyncio.ensure_future(agent.run())
    reached = asyncio.ensure_future(agent.wait_for_port())
    await asyncio.wait([run, reached], return_when=asyncio.FIRST_COMPLETED)
    if run.done():
        await run  # raises what went wrong
    return {"host": "127.0.0.1", "port": port, "contact_address": f"tls://{host}:{reached.result()}"}


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.stdin.readline())))
