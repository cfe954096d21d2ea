"""Workers started by a command: `CommandWorker` runs it, and this module as a program is what it starts there.

The command is ``ssh HOST``, or whatever else runs a program somewhere. What the worker needs to know goes through
its standard input, certificates and keys too, so that they are never on a disk or a command line there. When the
connection ends, the input does, and so does the worker.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distributed import Nanny, Security
from distributed.core import Status
from distributed.deploy.spec import ProcessInterface

READY = "ready"


class CommandWorker(ProcessInterface):
    """A worker that a command starts, on another host most likely.

    Parameters
    ----------
    scheduler
        The scheduler's address.
    name
        The worker's name.
    commands
        What runs a program at the site, one list of words for each host, taken in turn: ``[["ssh", "node1"]]``.
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
        commands: Sequence[Sequence[str]],
        security: Security,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(scheduler, name)
        command = commands[int(name.rpartition("-")[2]) % len(commands)]
        self._command = [*command, python or sys.executable, "-m", __name__]
        self._told = {
            "scheduler": scheduler,
            "security": {**_tls_of(security), "require_encryption": bool(security.require_encryption)},
            "environment": dict(environment or {}),
            "options": {**options, "name": name},
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the worker and wait until it has found the scheduler.

        Raises
        ------
        RuntimeError
            If it ends before; the text is what the command said.
        """
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(self._told).encode() + b"\n")
        # A login shell or a batch system may greet first.
        while line := await self._process.stdout.readline():
            if line.strip().decode(errors="replace") == READY:
                return await super().start()
        status = await self._process.wait()
        raise RuntimeError(f"no worker was started by {' '.join(self._command)}: it ended with status {status}")

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
    async with Nanny(told["scheduler"], security=Security(**told["security"]), **told["options"]) as nanny:
        print(READY, flush=True)
        ended = loop.run_in_executor(None, sys.stdin.read)
        finished = asyncio.ensure_future(nanny.finished())
        await asyncio.wait([ended, finished], return_when=asyncio.FIRST_COMPLETED)
        if nanny.status != Status.closed:
            await nanny.close()
    os._exit(0)  # the thread that reads may still wait, and would keep the process


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.stdin.readline())))
