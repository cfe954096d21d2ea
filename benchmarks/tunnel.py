"""What the tunnel moves, beside what the same link moves without it.

::

    python -m benchmarks.tunnel                # on loopback, and to a site by a link of 100 Mbit/s
    python -m benchmarks.tunnel --megabytes 2000

The site is a network namespace behind a firewall, which takes root; without, only loopback is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from distributed import Security

from cachingclient.tunnel.certificates import Certificates
from cachingclient.tunnel.head import Tunnel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the tests' sites are used
REPEATS = 3
MB = 1e6

SINK = """
import socket, sys
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
buffer = bytearray(1 << 20)
while True:
    connection, _ = server.accept()
    left = int.from_bytes(connection.recv(8), "big")
    while left:
        left -= connection.recv_into(buffer)
    connection.sendall(b"k")
    connection.close()
"""
AGENT = """
import asyncio, json, sys
from pathlib import Path
from cachingclient.tunnel.agent import Agent
from cachingclient.dirac.workers.launch import client_context, write_certificates

async def run(order):
    context = client_context(write_certificates(Path(order["folder"]), order["certificates"]))
    agent = Agent(tuple(order["relay"]), context, "worker", order["token"], order["port"], 30)
    running = asyncio.create_task(agent.run())
    print(await agent.wait_for_port(), flush=True)
    await running

asyncio.run(run(json.loads(sys.stdin.readline())))
"""


@contextmanager
def program(text: str, *arguments: str, order: str = "") -> Iterator[int]:
    """A Python program in a process of its own; the port that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", text, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(order + "\n")
        process.stdin.flush()
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def rate(host: str, port: int, nbytes: int) -> float:
    """MB/s of one transfer, until its receiver has all of it."""
    block = memoryview(os.urandom(1 << 20))
    with socket.create_connection((host, port)) as connection:
        start = time.perf_counter()
        connection.sendall(nbytes.to_bytes(8, "big"))
        for begin in range(0, nbytes, len(block)):
            connection.sendall(block[: nbytes - begin])
        connection.recv(1)
        return nbytes / MB / (time.perf_counter() - start)


def measured(what: str, host: str, port: int, nbytes: int, beside: float | None = None) -> float:
    """Show the median of some transfers."""
    figure = statistics.median(rate(host, port, nbytes) for _ in range(REPEATS))
    share = "" if beside is None else f"{figure / beside:8.0%} of direct"
    print(f"{what:<42}{figure:10.1f} MB/s{share}", flush=True)
    return figure


@contextmanager
def tunnel_to(tunnel: Tunnel, sink: int, folder: str) -> Iterator[int]:
    """An agent where this is; the port by which its sink is reached."""
    order = {
        "folder": folder,
        "certificates": Certificates.of(SECURITY, "worker").__dict__,
        "relay": tunnel.address,
        "token": tunnel.token("worker"),
        "port": sink,
    }
    with program(AGENT, order=json.dumps(order)) as port:
        yield port


SECURITY = Security.temporary()


def on_loopback(nbytes: int) -> None:
    """Everything on 127.0.0.1."""
    here = "127.0.0.1"
    with (
        tempfile.TemporaryDirectory() as folder,
        program(SINK, here) as sink,
        Tunnel(SECURITY, here) as tunnel,
        tunnel_to(tunnel, sink, folder) as port,
    ):
        direct = measured("loopback, direct", here, sink, nbytes)
        measured("loopback, through the tunnel", here, port, nbytes, direct)


def to_a_site(nbytes: int, delay: float) -> None:
    """From the head to a site behind a link of 100 Mbit/s; directly only while its firewall is open."""
    from tests.services.sites import Sites

    with tempfile.TemporaryDirectory() as folder, Sites(Path(folder), {"site": delay}) as sites:
        head, site = sites["head"], sites["site"]
        sites.rate("site", "100mbit")
        label = f"100 Mbit/s, {delay:g} ms away,"
        with ExitStack() as stack:
            # What is started while this thread is at the site stays there.
            with site.entered():
                sink = stack.enter_context(program(SINK, "0.0.0.0"))
            stack.enter_context(head.entered())
            direct = measured(f"{label} direct", site.address, sink, nbytes)
            sites.firewall()
            tunnel = stack.enter_context(Tunnel(SECURITY, head.address))
            with site.entered():
                port = stack.enter_context(tunnel_to(tunnel, sink, folder))
            measured(f"{label} through the tunnel", head.address, port, nbytes, direct)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, default=1000, help="how much to move on loopback; a tenth by the link")
    arguments = parser.parse_args()
    on_loopback(arguments.megabytes * 1_000_000)
    if os.getuid() != 0:
        print("the link to a site takes network namespaces, and those take root")
        return
    for delay in (0.0, 10.0):
        to_a_site(arguments.megabytes * 100_000, delay)


if __name__ == "__main__":
    main()
