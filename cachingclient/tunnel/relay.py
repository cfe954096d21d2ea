"""The head's end of the tunnel: a port for each worker that can't be dialled, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import hmac
import json
import secrets
import socket
import ssl
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cachingclient.tunnel.agent import BEAT, SILENCE, Lines, Paused, join

MOST_HANDSHAKES, MOST_CALLS = 256, 1024
"""How many connections may be in their TLS handshake at once, and how many calls may wait for one worker."""
REPORT_EVERY = 2.0
LAST_PORT = 65535
LONGEST_WORD = 1000  # of a name or a token
Report = Callable[[dict[str, Any]], None]


def _are_texts(*words: str) -> bool:
    """Whether these can be sent and logged: JSON may hold half a character, and any length."""
    try:
        return all(len(word.encode()) <= LONGEST_WORD for word in words)
    except UnicodeEncodeError:
        return False


def token_of(secret: str, worker: str) -> str:
    """The token by which a worker proves to the relay that it is the worker of this name.

    Examples
    --------
    >>> token_of("secret", "w-1") == token_of("secret", "w-1")
    True
    >>> token_of("secret", "w-1") == token_of("secret", "w-2")
    False
    """
    return hmac.new(secret.encode(), worker.encode(), hashlib.sha256).hexdigest()


class Caller(Paused):
    """A connection to a worker's port; it is held until the worker's agent takes the call."""

    def __init__(self, worker: Reached) -> None:
        self.worker, self.number = worker, secrets.token_hex(16)
        self.told = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self.worker.calls) >= MOST_CALLS:
            self.transport.abort()
            return
        self.worker.calls[self.number] = self
        self.worker.tell()
        loop = asyncio.get_running_loop()
        self.deadline = loop.call_later(self.worker.patience, self.hang_up)

    def hang_up(self) -> None:
        """End a call that no agent takes."""
        if self.worker.calls.pop(self.number, None):
            self.deadline.cancel()
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.hang_up()


@dataclass
class Reached:
    """A worker that is reached through a port here."""

    name: str
    run: str
    port: int
    patience: float
    server: asyncio.Server | None = None
    control: Lines | None = None
    calls: dict[str, Caller] = field(default_factory=dict)
    traffic: dict[str, int] = field(default_factory=lambda: {"to": 0, "from": 0, "connections": 0})
    forget: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        """Tell the agent of the calls that it does not know of."""
        for call in self.calls.values():
            if self.control is not None and not call.told:
                self.control.say(open=call.number)
                call.told = True

    def take(self, lines: Lines, number: str) -> None:
        """Join a call to the connection that the agent made for it."""
        call = self.calls.pop(number)
        call.deadline.cancel()
        self.traffic["connections"] += 1

        def count(way: str) -> Callable[[int], None]:
            return lambda size: self.traffic.update({way: self.traffic[way] + size})

        join(lines, call.transport, inwards=count("to"), outwards=count("from"))


class Relay:
    """Listens for agents, and at a port for each of their workers.

    Parameters
    ----------
    secret
        The secret from which workers' tokens are made.
    context
        The certificates to show and to accept.
    host
        Where to listen.
    ports
        The ports that workers may be given, in order; empty for any.
    report
        Called with each event: ``connected``, ``lost``, ``refused`` and ``traffic``.
    patience
        How many seconds a call waits for a worker, and a port for a worker that is gone.
    """

    def __init__(
        self,
        secret: str,
        context: ssl.SSLContext,
        host: str,
        ports: Iterable[int],
        report: Report,
        patience: float = 60.0,
    ) -> None:
        self.secret, self.context, self.host, self.report, self.patience = secret, context, host, report, patience
        self._ports = list(ports)
        self.workers: dict[str, Reached] = {}
        self._proven: weakref.WeakSet[Lines] = weakref.WeakSet()  # those that have shown the token of a worker
        self._tasks: set[asyncio.Task[None]] = set()
        self._handshakes = asyncio.Semaphore(MOST_HANDSHAKES)
        self._admitting = asyncio.Lock()

    async def serve(self, listener: socket.socket) -> None:
        """Take connections of agents for ever."""
        loop = asyncio.get_running_loop()
        self._spawn(self._watch())
        listener.setblocking(False)
        while True:
            await self._handshakes.acquire()
            connection, peer = await loop.sock_accept(listener)
            self._spawn(self._shake_hands(connection, f"{peer[0]}:{peer[1]}"))

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _shake_hands(self, connection: socket.socket, peer: str) -> None:
        """Check the certificate of a new connection, and hear the first message over it."""
        loop = asyncio.get_running_loop()
        named: asyncio.Future[None] = loop.create_future()

        def heard(lines: Lines, message: dict[str, Any]) -> None:
            if not named.done():
                named.set_result(None)
            self._heard(lines, message, peer)

        def lost(lines: Lines) -> None:
            if not named.done():
                named.set_exception(ConnectionError("it did not say what it is"))
            self._lost(lines)

        try:
            async with asyncio.timeout(20):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                transport, _ = await loop.connect_accepted_socket(
                    lambda: Lines(heard, lost), connection, ssl=self.context
                )
                try:
                    await named
                except BaseException:
                    transport.abort()
                    raise
        except (OSError, TimeoutError) as error:
            connection.close()
            self.report({"event": "refused", "peer": peer, "why": str(error) or type(error).__name__})
        finally:
            self._handshakes.release()

    def _heard(self, lines: Lines, message: dict[str, Any], peer: str) -> None:
        match message:
            case {"worker": str(name), "token": str(token), "run": str(run), "port": int(port)} if (
                _are_texts(name, token, run) and type(port) is int and 0 <= port <= LAST_PORT
            ):
                if not hmac.compare_digest(token.encode(), token_of(self.secret, name).encode()):
                    self._refuse(lines, peer, f"the token is not that of {name}", for_good=True)
                else:
                    self._proven.add(lines)
                    self._spawn(self._admit(lines, name, run, port, peer))
            case {"take": str(number)}:
                worker = next((each for each in self.workers.values() if number in each.calls), None)
                if worker is None:
                    lines.transport.abort()  # the caller has hung up
                else:
                    worker.take(lines, number)
            case {"failed": str(number)} if lines in self._proven:
                for worker in self.workers.values():
                    if worker.control is lines and number in worker.calls:
                        worker.calls[number].hang_up()
            case {"beat": _} if lines in self._proven:
                lines.say(beat=1)
            case _:
                self._refuse(lines, peer, "it speaks another language", for_good=True)

    def _refuse(self, lines: Lines, peer: str, why: str, *, for_good: bool = False) -> None:
        self.report({"event": "refused", "peer": peer, "why": why})
        lines.say(refused=why, for_good=for_good)
        lines.transport.close()

    async def _admit(self, lines: Lines, name: str, run: str, port: int, peer: str) -> None:
        async with self._admitting:
            worker = self.workers.get(name)
            if worker is not None and worker.run != run:
                if worker.control is not None:
                    self._refuse(lines, peer, f"{name} is connected already")
                    return
                self._forget(worker)
                worker = None
            if worker is None:
                try:
                    worker = self.workers[name] = await self._open_port(name, run, port)
                except OSError as error:
                    self._refuse(lines, peer, f"no port for {name}: {error}")
                    return
        if worker.control is not None:
            # The same program dials again: it has lost the connection that we still think is alive.
            worker.control.transport.abort()
        if worker.forget is not None:
            worker.forget.cancel()
        worker.control = lines
        lines.say(port=worker.port)
        self.report({"event": "connected", "worker": name, "peer": peer, "port": worker.port})
        worker.tell()

    async def _open_port(self, name: str, run: str, last: int) -> Reached:
        """Listen for a worker; at its last port if it had one, from a relay before this one."""
        loop = asyncio.get_running_loop()
        taken = {worker.port for worker in self.workers.values()}
        free = [port for port in self._ports if port not in taken] if self._ports else [last, 0]
        for port in sorted(free, key=lambda port: port != last):
            with contextlib.suppress(OSError):
                listener = socket.create_server((self.host, port), backlog=MOST_CALLS)
                worker = Reached(name, run, listener.getsockname()[1], self.patience)
                worker.server = await loop.create_server(functools.partial(Caller, worker), sock=listener)
                return worker
        raise OSError("none is free")

    def _lost(self, lines: Lines) -> None:
        for worker in self.workers.values():
            if worker.control is lines:
                worker.control = None
                for call in worker.calls.values():
                    call.told = False
                worker.forget = asyncio.get_running_loop().call_later(self.patience, self._forget, worker)
                self.report({"event": "lost", "worker": worker.name})

    def _forget(self, worker: Reached) -> None:
        if worker.server is not None:
            worker.server.close()
        for call in list(worker.calls.values()):
            call.hang_up()
        if self.workers.get(worker.name) is worker:
            del self.workers[worker.name]

    async def _watch(self) -> None:
        """Report traffic, and drop agents that give no sign of life."""
        loop = asyncio.get_running_loop()
        reported: dict[str, dict[str, int]] = {}
        while True:
            await asyncio.sleep(REPORT_EVERY)
            for worker in list(self.workers.values()):
                if worker.control is not None and loop.time() - worker.control.last_heard > SILENCE + BEAT:
                    worker.control.transport.abort()
                if reported.get(worker.name) != worker.traffic:
                    reported[worker.name] = dict(worker.traffic)
                    self.report({"event": "traffic", "worker": worker.name, **worker.traffic})


def write_json(event: dict[str, Any]) -> None:
    """Report an event as a line of JSON."""
    print(json.dumps(event), flush=True)
