"""How workers that commands and jobs start come into a packed environment: through their own standard input, or a file.

Through standard input comes first the program that unpacks, then the archive, and only where it is not kept yet, then
what the worker is told. Each is sent once the one before was asked for or answered, as a shell may read ahead.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shlex
from collections.abc import Mapping
from pathlib import Path

from cachingclient.environments import Environment
from cachingclient.environments.environment import ENTER

WANTED, ENTERED, REFUSED = "environment wanted", "environment entered", "environment refused: "
"""What the program says: that the archive is not here, that Python is started, and why it is not."""
PIECE = 1 << 20


class Entering:
    """Has a command's Python run in a packed environment.

    Parameters
    ----------
    packed
        The environment.
    variables
        Variables of the environment of the program, such as ``CACHINGCLIENT_ENVIRONMENTS``.

    Attributes
    ----------
    command
        What the command runs in the place of Python.
    refusal
        Why there is no Python, as the other side said.
    """

    def __init__(self, packed: Environment, variables: Mapping[str, str]) -> None:
        self._packed = packed
        self._program = "".join(f"export {line}\n" for line in _assignments(variables)) + ENTER
        self.command = ["sh", "-s", *packed.entered_from(packed.stdin_source)]
        self.refusal = ""

    async def enter(self, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader) -> None:
        """Send the program, and the archive if it is wanted; return when Python is started, or nothing more comes."""
        with contextlib.suppress(ConnectionError):  # it has ended, and says why
            await self._send(stdin, self._program.encode())
        # A login shell may greet first.
        while line := await stdout.readline():
            said = line.strip().decode(errors="replace")
            if said == ENTERED:
                return
            if said == WANTED:
                with contextlib.suppress(ConnectionError):
                    await self._send_archive(stdin)
            elif said.startswith(REFUSED):
                self.refusal = said.removeprefix(REFUSED)

    async def _send_archive(self, stdin: asyncio.StreamWriter) -> None:
        with Path(self._packed.place).open("rb") as archive:
            while piece := await asyncio.to_thread(archive.read, PIECE):
                await self._send(stdin, piece)

    async def _send(self, stdin: asyncio.StreamWriter, data: bytes) -> None:
        stdin.write(data)
        await stdin.drain()


def _assignments(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={shlex.quote(value)}" for name, value in variables.items()]


def in_job_script(packed: Environment) -> tuple[list[str], str]:
    """Return lines of a job's script that write the program of `ENTER`, and the command that is Python after them.

    The lines stand on their own also where a batch system joins them by semicolons.
    """
    encoded = base64.b64encode(ENTER.encode()).decode()
    lines = ["enter=`mktemp`", "trap 'rm -f \"$enter\"' EXIT", f'echo {encoded} | base64 -d > "$enter"']
    return lines, f'sh "$enter" {shlex.join(packed.entered_from(packed.place))}'
