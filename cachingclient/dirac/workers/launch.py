"""The program of a job: it looks at its environment, opens the tunnel if there is one, and starts a dask worker.

Nothing but the standard library is used here, and the module of the tunnel: jobs take both along, so that a worker node
that lacks something says what it lacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import signal
import socket
import sys
import zipfile
from pathlib import Path
from typing import Any

from ...tunnel.agent import Agent, TunnelRefused, client_context, write_certificates

logger = logging.getLogger("cachingclient.launch")

UNFIT, UNREACHED = 3, 4
"""The exit codes of a job whose worker node lacks something, and of one whose tunnel can't be opened."""
MERCY = 5.0
"""Seconds that a worker has to end: dask's waits for ever if its scheduler goes away just as it is told to."""


def main(arguments: list[str]) -> int:
    """Run one worker with the settings in a file, under a name; the status to end with."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    settings = json.loads(Path(arguments[0]).read_text())
    folder = Path.cwd()
    modules = unpack_modules(folder)
    lacking = lacks(settings["python"], modules)
    if lacking:
        print(f"{socket.gethostname()} can't run a worker of this cluster: {lacking}", file=sys.stderr, flush=True)
        return UNFIT
    for name, value in settings["variables"].items():
        os.environ.setdefault(name, value)
    return asyncio.run(_run(settings, arguments[1], write_certificates(folder, settings["certificates"]), modules))


def unpack_modules(folder: Path) -> list[Path]:
    """Unpack the modules that came with the job, if any; the folder to import them from."""
    archive = folder / "modules.zip"
    if not archive.exists():
        return []
    target = folder / "modules"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(target)
    return [target]


def lacks(python: list[int], modules: list[Path]) -> str:
    """Say what this Python lacks to run a worker; empty if nothing."""
    ours = list(sys.version_info[:2])
    if ours != python:
        return "Python {}.{} is here, and the cluster's is {}.{}".format(*ours, *python)
    sys.path[:0] = map(str, modules)
    missing = [name for name in ("distributed", "cachingclient") if importlib.util.find_spec(name) is None]
    if missing:
        return (
            f"{sys.executable} has no {' and no '.join(missing)}; "
            "give the cluster an environment that has: a container, a packed environment, or upload"
        )
    return ""


def command_of(settings: dict[str, Any], name: str, files: dict[str, Path], ports: tuple[int, int] | None) -> list[str]:
    """Return what starts the worker; with a tunnel, `ports` are its own and the one on the head."""
    # A job that may run at several sites learns here at which it is.
    site = settings["site"] or os.environ.get("DIRACSITE") or "unknown"
    resources = {f"site:{site}": settings["nthreads"], **settings["resources"]}
    command = [sys.executable, "-m", "distributed.cli.dask_worker", settings["scheduler"], "--name", name]
    # Without a nanny: the head could not reach it, and the batch system watches over the job anyway.
    command += ["--no-nanny", "--no-dashboard", "--nthreads", str(settings["nthreads"])]
    command += ["--death-timeout", str(settings["death_timeout"])]
    command += ["--resources", " ".join(f"{key}={value}" for key, value in resources.items())]
    command += ["--local-directory", settings["local_directory"] or str(Path.cwd())]
    for option, file in (("ca-file", "ca"), ("cert", "cert"), ("key", "key")):
        command += [f"--tls-{option}", str(files[file])]
    if settings["memory_limit"] is not None:
        command += ["--memory-limit", str(settings["memory_limit"])]
    if ports is not None:
        command += ["--listen-address", f"tls://127.0.0.1:{ports[0]}"]
        command += ["--contact-address", f"tls://{settings['relay'][0]}:{ports[1]}"]
    elif listen := settings["worker_ports"].get(site) or settings["worker_ports"].get("*"):
        command += ["--worker-port", listen]
    return command + ["--preload", "cachingclient.worker.startup"]


async def _run(settings: dict[str, Any], name: str, files: dict[str, Path], modules: list[Path]) -> int:
    if settings["relay"] is None:
        return await _work(command_of(settings, name, files, None), modules)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local_port: int = probe.getsockname()[1]
    relay = (settings["relay"][0], settings["relay"][1])
    token = settings["tokens"][name]
    agent = Agent(relay, client_context(files), name, token, local_port, settings["death_timeout"])
    tunnel = asyncio.create_task(agent.run())
    port = asyncio.create_task(agent.wait_for_port())
    await asyncio.wait({tunnel, port}, return_when=asyncio.FIRST_COMPLETED)
    if not tunnel.done():
        worker = asyncio.create_task(_work(command_of(settings, name, files, (local_port, port.result())), modules))
        await asyncio.wait({tunnel, worker}, return_when=asyncio.FIRST_COMPLETED)
        if worker.done():
            return worker.result()
        worker.cancel()
        await asyncio.wait({worker})
    port.cancel()
    try:
        await tunnel
    except (TunnelRefused, TimeoutError) as error:
        print(f"the tunnel is closed: {error}", file=sys.stderr, flush=True)
    return UNREACHED


async def _work(command: list[str], modules: list[Path]) -> int:
    """Run a worker to its end, or until this process is told to end."""
    path = os.pathsep.join([*map(str, modules), *filter(None, [os.environ.get("PYTHONPATH")])])
    worker = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PYTHONPATH": path})
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    ended, stop = asyncio.create_task(worker.wait()), asyncio.create_task(told.wait())
    try:
        await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        with contextlib.suppress(ProcessLookupError):
            worker.terminate()
            await asyncio.wait({ended}, timeout=MERCY)
            worker.kill()
    return await ended
