"""The tunnel on loopback: calls from the head to a worker that only dials out, and who is refused."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from distributed import Security

from cachingclient.dirac.workers.launch import client_context, write_certificates
from cachingclient.tunnel.agent import Agent, TunnelRefused
from cachingclient.tunnel.certificates import Certificates
from cachingclient.tunnel.head import Tunnel


@pytest.fixture(scope="module")
def security() -> Security:
    return Security.temporary()


@pytest.fixture(scope="module")
def _tunnel(security: Security) -> Iterator[Tunnel]:
    with Tunnel(security, "127.0.0.1") as tunnel:
        yield tunnel


@pytest.fixture
def tunnel(_tunnel: Tunnel) -> Tunnel:
    """A tunnel that has refused nobody and carried nothing for this test's worker."""
    _tunnel.refused.clear()
    return _tunnel


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> str:
    """A worker's name of this test's own."""
    return str(request.node.name)


@pytest.fixture
def context(security: Security, tmp_path: Path) -> ssl.SSLContext:
    return client_context(write_certificates(tmp_path, Certificates.of(security, "worker").__dict__))


@asynccontextmanager
async def connected(tunnel: Tunnel, context: ssl.SSLContext, worker: str, local_port: int) -> AsyncIterator[Agent]:
    """A worker's agent, connected."""
    agent = Agent(tunnel.address, context, worker, tunnel.token(worker), local_port, 20)
    running = asyncio.create_task(agent.run())
    try:
        await asyncio.wait({running, agent.port}, return_when=asyncio.FIRST_COMPLETED)
        assert not running.done()
        yield agent
    finally:
        running.cancel()
        await asyncio.wait({running})


async def until(true: Callable[[], bool]) -> None:
    """Wait for something to be true."""
    async with asyncio.timeout(300):
        while not true():
            await asyncio.sleep(0.02)


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A worker's port: a server that sends back what it gets."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def called(port: int, message: bytes) -> bytes:
    """What comes back from a port for a message."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message)
    back = await reader.readexactly(len(message))
    writer.close()
    return back


async def test_calls_to_the_heads_port_reach_the_worker(
    tunnel: Tunnel, context: ssl.SSLContext, worker: str, echo: int
) -> None:
    """Several calls at once come through whole, both ways, and are counted."""
    messages = [os.urandom(size) for size in (1, 100_000, 3_000_000)]
    async with connected(tunnel, context, worker, echo) as agent:
        backs = await asyncio.gather(*(called(agent.port.result(), message) for message in messages))
        assert backs == messages
        total = sum(map(len, messages))
        await until(lambda: worker in tunnel.traffic and tunnel.traffic[worker].received == total)
        assert tunnel.traffic[worker].sent == total
        assert tunnel.traffic[worker].connections == 3


async def test_a_stranger_without_a_certificate_is_refused_and_logged(
    tunnel: Tunnel, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither plain text nor TLS with another authority's certificate gets anywhere, and both are in the log."""
    with socket.create_connection(tunnel.address) as stranger:
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"HTTP" not in await asyncio.to_thread(stranger.recv, 100)
    await until(lambda: len(tunnel.refused) == 1)
    other = ssl.create_default_context()
    other.check_hostname, other.verify_mode = False, ssl.CERT_NONE
    reader, _ = await asyncio.open_connection(*tunnel.address, ssl=other)
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        assert await reader.read() == b""
    await until(lambda: len(tunnel.refused) == 2)
    assert "CERTIFICATE" in tunnel.refused[1]["why"]
    assert caplog.text.count("the tunnel refused 127.0.0.1:") == 2


async def test_another_workers_token_is_refused_for_good(
    tunnel: Tunnel, context: ssl.SSLContext, worker: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A certificate alone is not enough: the agent ends, and does not try again."""
    agent = Agent(tunnel.address, context, worker, tunnel.token("another"), 1, 20)
    with pytest.raises(TunnelRefused, match=f"the token is not that of {worker}"):
        await agent.run()
    await until(lambda: f"the token is not that of {worker}" in caplog.text)


async def test_a_worker_that_connects_twice_is_refused_while_the_first_is_there(
    tunnel: Tunnel, context: ssl.SSLContext, worker: str, echo: int
) -> None:
    """The second waits, the first goes on; when the first is gone the second has its turn."""
    second = Agent(tunnel.address, context, worker, tunnel.token(worker), echo, 20)
    async with connected(tunnel, context, worker, echo) as first:
        running = asyncio.create_task(second.run())
        await until(lambda: any(each["why"] == f"{worker} is connected already" for each in tunnel.refused))
        assert await called(first.port.result(), b"first") == b"first"
        assert not second.port.done()
    async with asyncio.timeout(300):
        port = await second.port
    assert await called(port, b"second") == b"second"
    running.cancel()


async def test_calls_wait_while_the_relay_is_started_anew(
    tunnel: Tunnel, context: ssl.SSLContext, worker: str, echo: int
) -> None:
    """When the relay is killed another takes its place, at the same ports, and agents come back to it."""
    async with connected(tunnel, context, worker, echo) as agent:
        before = tunnel._process.pid
        os.kill(before, signal.SIGKILL)
        await until(lambda: tunnel._process.pid != before and worker in tunnel.connected)
        assert await called(agent.port.result(), b"again") == b"again"


async def test_a_call_waits_for_an_agent_that_was_cut_off(
    tunnel: Tunnel, context: ssl.SSLContext, worker: str, echo: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call made while the agent is gone is answered when it is back."""
    async with connected(tunnel, context, worker, echo) as agent:
        hold = asyncio.Event()
        serve = agent._serve

        async def later() -> None:
            await hold.wait()
            await serve()

        monkeypatch.setattr(agent, "_serve", later)
        agent.control.transport.abort()
        await until(lambda: worker not in tunnel.connected)
        call = asyncio.create_task(called(agent.port.result(), b"wait"))
        assert not (await asyncio.wait({call}, timeout=0.3))[0]
        hold.set()
        assert await call == b"wait"


async def test_what_waits_in_the_tunnel_is_bounded(tunnel: Tunnel, context: ssl.SSLContext, worker: str) -> None:
    """A worker that takes nothing stops the sender after some megabytes, not after all that there is."""
    taken = asyncio.Event()

    async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await taken.wait()
        writer.close()

    server = await asyncio.start_server(never_read, "127.0.0.1", 0, limit=1 << 16)
    async with connected(tunnel, context, worker, server.sockets[0].getsockname()[1]) as agent:
        with socket.create_connection(("127.0.0.1", agent.port.result())) as sender:
            sender.settimeout(1)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 500_000_000:
                    sent += await asyncio.to_thread(sender.send, bytes(1 << 20))
        taken.set()
    assert 0 < sent < 60_000_000
    server.close()


async def test_a_worker_that_does_not_listen_is_told_at_once(
    tunnel: Tunnel, context: ssl.SSLContext, worker: str
) -> None:
    """The caller's connection is closed, not left to wait."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        unused = probe.getsockname()[1]
    async with connected(tunnel, context, worker, unused) as agent:
        reader, _ = await asyncio.open_connection("127.0.0.1", agent.port.result())
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


def test_certificates_are_required() -> None:
    """A cluster without TLS has no tunnel."""
    with pytest.raises(ValueError, match="security has no ca, cert, key for the scheduler"):
        Tunnel(Security(), "127.0.0.1")


def test_an_address_that_is_not_here_is_said(security: Security) -> None:
    """The relay's reason for not listening is the error's."""
    with pytest.raises(OSError, match=r"can't listen on 203\.0\.113\.1"):
        Tunnel(security, "203.0.113.1")


FRAMES = {
    "deep": b"[" * 50_000 + b"\n",
    "deep and whole": b'{"worker":' + b"[" * 30_000 + b"]" * 30_000 + b"}\n",
    "no JSON": b"hello\n",
    "a list": b"[]\n",
    "half a character": b'{"worker":"\\ud800","token":"\\ud800","run":"x","port":0}\n',
    "a port that is none": b'{"worker":"w","token":"t","run":"x","port":99999999}\n',
    "a port that is negative": b'{"worker":"w","token":"t","run":"x","port":-1}\n',
    "a port that is true": b'{"worker":"w","token":"t","run":"x","port":true}\n',
    "a number of 5,000 digits": b'{"port":' + b"9" * 5000 + b"}\n",
    "a name without end": b'{"worker":"' + b"w" * 20_000 + b'","token":"t","run":"x","port":0}\n',
    "a beat without a token": b'{"beat":1}\n',
    "a failure without a token": b'{"failed":"x"}\n',
    "many beats": b'{"beat":1}\n' * 1000,
}


@pytest.mark.parametrize("frame", FRAMES)
async def test_a_frame_that_is_none_is_one_refusal(
    tunnel: Tunnel,
    context: ssl.SSLContext,
    worker: str,
    echo: int,
    caplog: pytest.LogCaptureFixture,
    frame: str,
) -> None:
    """Whoever has a certificate and no token holds no connection; the tunnel goes on for the others."""
    reader, writer = await asyncio.open_connection(*tunnel.address, ssl=context)
    writer.write(FRAMES[frame])
    with contextlib.suppress(ConnectionError):
        await reader.read()  # ends when the relay has hung up
    writer.close()
    await until(lambda: len(tunnel.refused) >= 1)
    async with connected(tunnel, context, worker, echo) as agent:
        assert await called(await agent.port, b"hello") == b"hello"
    assert len(tunnel.refused) == 1
    assert "Traceback" not in caplog.text
