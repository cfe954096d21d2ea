"""The reverse tunnel: workers that can only dial out, as at most sites of the grid, are reached through the head.

The head runs one relay, a process of its own. Each worker has an agent, which dials the relay and stays connected; the
relay gives it a port on the head, and that is the address by which the scheduler, clients and other workers know it.
All connections between agents and the relay are TLS with certificates on both sides, and each agent proves by a token
which worker it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from distributed import Security

from cachingclient.tunnel.certificates import Certificates, server_context
from cachingclient.tunnel.relay import Relay, token_of, write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The bytes and connections that went through the tunnel to and from one worker.

    Attributes
    ----------
    sent, received
        Bytes, of all time.
    connections
        How many were made, of all time.
    rate
        Bytes a second, both ways, between the last two reports.
    """

    sent: int = 0
    received: int = 0
    connections: int = 0
    rate: float = 0.0


class Tunnel:
    """The head's end of the tunnel; a context manager.

    Parameters
    ----------
    security
        The cluster's certificates: connections without a certificate of the same authority are refused.
    host
        The address that workers, the scheduler and clients dial.
    port
        Where agents connect; 0 for any.
    ports
        Which ports workers may be given; empty for any.
    listen
        Where to listen; `host` unless it is not an address of this machine.
    patience
        How many seconds calls wait for a worker that is gone, and its port for it to come back.

    Examples
    --------
    >>> from distributed import Security
    >>> with Tunnel(Security.temporary(), "127.0.0.1") as tunnel:
    ...     tunnel.address[0], tunnel.traffic
    ('127.0.0.1', {})
    """

    def __init__(
        self,
        security: Security,
        host: str,
        port: int = 0,
        *,
        ports: Iterable[int] = (),
        listen: str | None = None,
        patience: float = 60.0,
    ) -> None:
        self._secret = secrets.token_hex(32)
        self._settings = {
            "secret": self._secret,
            "certificates": Certificates.of(security, "scheduler").__dict__,
            "host": host if listen is None else listen,
            "port": port,
            "ports": list(ports),
            "patience": patience,
        }
        self.address = (host, port)
        self.traffic: dict[str, Traffic] = {}
        """The traffic to and from each worker."""
        self.connected: dict[str, int] = {}
        """The workers whose agents are connected, and their ports."""
        self.refused: deque[dict[str, str]] = deque(maxlen=100)
        """The connections that were refused last, and the reasons."""
        self._reported: dict[str, float] = {}
        self._closing = False
        self._process = self._start()
        self._reader = threading.Thread(target=self._follow, name="tunnel", daemon=True)
        self._reader.start()

    def token(self, worker: str) -> str:
        """The token that the agent of a worker shows."""
        return token_of(self._secret, worker)

    def close(self) -> None:
        """End the relay, and with it every connection."""
        self._closing = True
        process = self._process
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # which it takes as the sign to end
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
        self._reader.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cachingclient.tunnel.head"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        # By its input, not its arguments: those are for all on this machine to read.
        process.stdin.write(json.dumps(self._settings) + "\n")
        process.stdin.flush()
        first = json.loads(process.stdout.readline() or '{"why": "it ended"}')
        if "why" in first:
            process.kill()
            process.wait()
            raise OSError(f"the tunnel can't listen on {self._settings['host']}: {first['why']}")
        self.address = (self.address[0], first["port"])
        return process

    def _follow(self) -> None:
        """Take the relay's reports; if the relay dies, start another at the same port."""
        while True:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                self._take(json.loads(line))
            status = self._process.wait()
            self.connected.clear()
            if self._closing:
                return
            logger.warning("the tunnel's relay ended with status %s; starting another", status)
            self._settings["port"] = self.address[1]
            try:
                self._process = self._start()
            except OSError as error:
                logger.error("%s; trying again", error)
                time.sleep(1)

    def _take(self, event: dict[str, Any]) -> None:
        match event:
            case {"event": "connected", "worker": worker, "port": port, "peer": peer}:
                self.connected[worker] = port
                logger.info("worker %s is connected from %s and reached at port %s", worker, peer, port)
            case {"event": "lost", "worker": worker}:
                self.connected.pop(worker, None)
                logger.info("worker %s has lost its connection", worker)
            case {"event": "refused", "peer": peer, "why": why}:
                self.refused.append({"peer": peer, "why": why})
                logger.warning("the tunnel refused %s: %s", peer, why)
            case {"event": "traffic", "worker": worker, "to": sent, "from": received, "connections": connections}:
                now, before = time.monotonic(), self.traffic.get(worker, Traffic())
                elapsed = now - self._reported.get(worker, now)
                moved = sent + received - before.sent - before.received
                self._reported[worker] = now
                self.traffic[worker] = Traffic(sent, received, connections, moved / elapsed if elapsed else 0.0)


def serve() -> None:
    """Run a relay with the settings on standard input, until that is closed."""
    settings = json.loads(sys.stdin.readline())
    context = server_context(Certificates(**settings["certificates"]))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        relay = Relay(
            settings["secret"], context, settings["host"], settings["ports"], write_json, settings["patience"]
        )
        try:
            listener = socket.create_server((settings["host"], settings["port"]))
        except OSError as error:
            write_json({"why": str(error)})
            return
        write_json({"event": "ready", "port": listener.getsockname()[1]})
        serving = loop.create_task(relay.serve(listener))
        # A thread, since a pipe's end can't be awaited everywhere; it ends with the process.
        orphaned = asyncio.Event()
        watch = threading.Thread(
            target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(orphaned.set)), daemon=True
        )
        watch.start()
        await asyncio.wait({serving, loop.create_task(orphaned.wait())}, return_when=asyncio.FIRST_COMPLETED)

    asyncio.run(run())


if __name__ == "__main__":
    serve()
