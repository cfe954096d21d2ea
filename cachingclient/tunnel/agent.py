"""The worker's end of the tunnel: a worker that can only dial out is reached through a port of the head.

Nothing but the standard library is used here: jobs take this file along, so that both ends are always of one version.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

LONGEST_LINE = 4096
BUFFER = 1 << 20
BEAT, SILENCE = 10.0, 35.0
"""Seconds between signs of life on a control connection, and after how many without one it counts as lost."""


class TunnelRefused(ConnectionError):
    """The head refuses this worker, and always will."""


class Lines(asyncio.Protocol):
    """A connection that speaks in lines of JSON until it is joined to another.

    Parameters
    ----------
    heard
        Called with this object and each line's contents.
    lost
        Called with this object when the connection ends.
    """

    transport: asyncio.Transport

    def __init__(self, heard: Callable[[Lines, dict[str, Any]], None], lost: Callable[[Lines], None]) -> None:
        self._heard, self._lost = heard, lost
        self.rest = b""
        self.joined = False
        self.last_heard = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.last_heard = asyncio.get_running_loop().time()
        self.rest += data
        while not self.joined and not self.transport.is_closing():
            line, newline, rest = self.rest.partition(b"\n")
            if not newline:
                break
            self.rest = rest
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict):
                self.transport.abort()
                return
            self._heard(self, message)
        if not self.joined and len(self.rest) > LONGEST_LINE:
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(self)

    def say(self, **message: Any) -> None:
        """Send a line."""
        self.transport.write(json.dumps(message).encode() + b"\n")


class End(asyncio.Protocol):
    """One of two joined connections: bytes that arrive here are sent there, no faster than the other end takes them."""

    other: End

    def __init__(self, transport: asyncio.Transport, count: Callable[[int], None]) -> None:
        self.transport, self.count = transport, count
        transport.set_write_buffer_limits(high=BUFFER)

    def data_received(self, data: bytes) -> None:
        self.count(len(data))
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.other.transport.close()  # after the bytes that it still has to send


def join(
    lines: Lines,
    plain: asyncio.Transport,
    inwards: Callable[[int], None] = lambda _: None,
    outwards: Callable[[int], None] = lambda _: None,
) -> None:
    """Join a connection that has named its call to a plain one, whose reading is paused.

    Parameters
    ----------
    lines, plain
        The two connections.
    inwards, outwards
        Called with the numbers of bytes that arrive from `plain` and from `lines`.
    """
    lines.joined = True
    far, near = End(lines.transport, outwards), End(plain, inwards)
    far.other, near.other = near, far
    lines.transport.set_protocol(far)
    plain.set_protocol(near)
    if lines.rest:
        far.data_received(lines.rest)
        lines.rest = b""
    if plain.is_closing():
        lines.transport.close()
    else:
        plain.resume_reading()


class Paused(asyncio.Protocol):
    """A connection whose data waits in the kernel until it is joined."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()


class Agent:
    """Keeps a control connection to the relay, and answers its calls by dialling both it and the worker.

    Parameters
    ----------
    relay
        The relay's host and port.
    context
        The certificates to show and to accept.
    name, token
        The worker's name, and the token that proves it.
    local_port
        Where the worker listens.
    patience
        Seconds without a relay after which to give up.
    local_host
        The address at which the worker listens.
    """

    def __init__(
        self,
        relay: tuple[str, int],
        context: ssl.SSLContext,
        name: str,
        token: str,
        local_port: int,
        patience: float,
        local_host: str = "127.0.0.1",
    ) -> None:
        self.relay, self.context, self.name = relay, context, name
        self._hello: dict[str, Any] = {"worker": name, "token": token, "run": secrets.token_hex(8), "port": 0}
        self._local, self._patience = (local_host, local_port), patience
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The port of the head by which this worker is reached."""
        self._calls: set[asyncio.Task[None]] = set()
        self.control: Lines | None = None

    async def wait_for_port(self) -> int:
        """Return the port of the head by which this worker is reached, as soon as it has one."""
        return await asyncio.shield(self.port)

    async def run(self) -> None:
        """Stay connected.

        Raises
        ------
        TunnelRefused
            If the relay refuses this worker for good.
        TimeoutError
            If there was no relay for as long as `patience`.
        """
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._patience, 0.2
        while True:
            try:
                await self._serve()
                deadline, pause = loop.time() + self._patience, 0.2
                why = "the connection was lost"
            except TunnelRefused:
                raise
            except OSError as error:
                why = str(error) or type(error).__name__
            if loop.time() > deadline:
                raise TimeoutError(f"no tunnel to {self.relay[0]}:{self.relay[1]} for {self._patience} s: {why}")
            logger.warning("no tunnel to %s:%s: %s; trying again", *self.relay, why)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 10.0)

    async def _serve(self) -> None:
        """Hold one control connection until it is lost; an OSError if it was never of use."""
        ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

        def end(why: str | None) -> None:
            if not ended.done():
                ended.set_result(why)

        def heard(control: Lines, message: dict[str, Any]) -> None:
            if "port" in message:
                if not self.port.done():
                    self._hello["port"] = message["port"]
                    self.port.set_result(message["port"])
                elif self.port.result() != message["port"]:
                    ended.set_exception(TunnelRefused(f"the port of {self.name} was given up meanwhile"))
            elif "open" in message:
                call = asyncio.create_task(self._answer(control, message["open"]))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            elif "refused" in message:
                if message.get("for_good"):
                    ended.set_exception(TunnelRefused(message["refused"]))
                end(message["refused"])

        control = self.control = await self._dial(lambda: Lines(heard, lambda _: end(None)))
        try:
            control.say(**self._hello)
            why = await self._until(ended, control)
        finally:
            control.transport.abort()
        if why is not None:
            raise ConnectionRefusedError(why)

    async def _until(self, ended: asyncio.Future[str | None], control: Lines) -> str | None:
        loop = asyncio.get_running_loop()
        while not (await asyncio.wait({ended}, timeout=BEAT))[0]:
            if loop.time() - control.last_heard > SILENCE:
                return None
            control.say(beat=1)
        return await ended

    async def _dial(self, make: Callable[[], Lines]) -> Lines:
        loop = asyncio.get_running_loop()
        timeout = min(self._patience, 20.0)
        dialling = loop.create_connection(make, *self.relay, ssl=self.context, server_hostname="")
        _, lines = await asyncio.wait_for(dialling, timeout)
        return lines

    async def _answer(self, control: Lines, call: str) -> None:
        """Join a new connection to the worker and one to the relay, which knows it by the call's number."""
        loop = asyncio.get_running_loop()
        try:
            plain, _ = await loop.create_connection(Paused, *self._local)
        except OSError as error:
            logger.warning("the worker does not listen on %s:%s: %s", *self._local, error)
            control.say(failed=call)
            return
        try:
            lines = await self._dial(lambda: Lines(lambda *_: None, lambda _: None))
        except OSError as error:
            logger.warning("a call could not be answered: %s", error)
            plain.close()
            control.say(failed=call)
            return
        lines.say(take=call)
        join(lines, plain)


def write_certificates(folder: Path, certificates: dict[str, str]) -> dict[str, Path]:
    """Write the certificates into files that only we can read."""
    found = {}
    for name, text in certificates.items():
        found[name] = folder / f"{name}.pem"
        found[name].touch(0o600)
        found[name].write_text(text)
    return found


def client_context(files: dict[str, Path]) -> ssl.SSLContext:
    """Return a context for dialling the relay; its certificate counts, not its name."""
    context = ssl.create_default_context(cafile=str(files["ca"]))
    context.check_hostname = False
    context.load_cert_chain(files["cert"], files["key"])
    return context
