"""The common part of one cluster's workers on the grid: the server, the tunnel, the jobs and their environment."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import socket
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distributed import Security

from cachingclient.dirac.api.interface import DiracApi
from cachingclient.dirac.api.job import Job
from cachingclient.dirac.api.open_api import open_api
from cachingclient.dirac.workers import launch
from cachingclient.dirac.workers.jobs import Pool
from cachingclient.dirac.workers.request import Limits, Request
from cachingclient.environments.environment import Environment
from cachingclient.tunnel import agent
from cachingclient.tunnel.certificates import Certificates
from cachingclient.tunnel.head import Tunnel
from cachingclient.worker.nanny import KEEP_MEMORY


def launcher() -> bytes:
    """Return the program that each job runs, as an archive that Python runs by itself.

    Examples
    --------
    >>> zipfile.ZipFile(io.BytesIO(launcher())).namelist()
    ['__main__.py', ..., 'job/tunnel/agent.py', 'job/dirac/workers/launch.py']
    """
    packages = ("", "tunnel/", "dirac/", "dirac/workers/")
    main = "import sys\nfrom job.dirac.workers.launch import main\nsys.exit(main(sys.argv[1:]))\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__main__.py", main)
        for name in packages:
            archive.writestr(f"job/{name}__init__.py", "")
        for module in (agent, launch):
            name = module.__name__.removeprefix("cachingclient.").replace(".", "/")
            archive.writestr(f"job/{name}.py", Path(str(module.__file__)).read_bytes())
    return buffer.getvalue()


def address_towards(url: str) -> str:
    """Return the address of this machine that a server would see; nothing is sent to find it.

    Examples
    --------
    >>> address_towards("https://127.0.0.1:8443")
    '127.0.0.1'
    """
    parts = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((parts.hostname, parts.port or 443))
        return str(probe.getsockname()[0])


@dataclass
class Grid:
    """Makes jobs of workers.

    Parameters
    ----------
    api
        The server.
    group
        The job group of all of the jobs.
    security
        The cluster's certificates, which travel with the jobs.
    host
        Where the scheduler listens.
    environment
        The Python environment of the workers.
    tunnel
        The way to workers that can only dial out; None if they can be dialled.
    job
        Other options of `Job`.
    death_timeout
        Seconds without a scheduler or a tunnel after which a worker ends.
    local_directory
        Where workers put what does not fit their memory; None for the job's own folder.
    worker_ports
        Where workers listen, by site or ``"*"`` for all others, as ``"50000:50100"``; without a tunnel only.
    limits
        How patient to be with jobs.
    owns_api
        Whether to close the server's connection with the grid.
    """

    api: DiracApi
    group: str
    security: Security
    host: str
    environment: Environment = field(default_factory=Environment)
    tunnel: Tunnel | None = None
    job: Mapping[str, Any] = field(default_factory=dict)
    death_timeout: float = 300.0
    local_directory: str | None = None
    worker_ports: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    owns_api: bool = False

    def __post_init__(self) -> None:
        self.pool = Pool(self.api, self.group, self.describe, self.limits)
        self._certificates = Certificates.of(self.security, "worker")
        self._files = {"launch.pyz": launcher(), **self.environment.files()}
        self.describe(Request(scheduler=""), [])  # a wrong option is an error now, and not when a worker is wanted

    def describe(self, request: Request, names: list[str]) -> Job:
        """Return the job of some workers that are alike."""
        executable, arguments = self.environment.command()
        return Job(
            **{
                "executable": executable,
                "arguments": [*arguments, "launch.pyz", "settings.json"],
                "name": self.group,
                "group": self.group,
                "files": {**self._files, "settings.json": json.dumps(self._settings(request, names)).encode()},
                "container": self.environment.container,
                "sites": request.sites,
                "tags": request.tags,
                "processors": request.nthreads,
                **self.job,
            }
        )

    def _settings(self, request: Request, names: list[str]) -> dict[str, Any]:
        return {
            "scheduler": request.scheduler,
            "python": list(sys.version_info[:2]),
            "relay": None if self.tunnel is None else self.tunnel.address,
            "tokens": {} if self.tunnel is None else {name: self.tunnel.token(name) for name in names},
            "certificates": self._certificates.__dict__,
            "site": request.label,
            "nthreads": request.nthreads,
            "memory_limit": request.memory_limit,
            "resources": dict(request.resources),
            "death_timeout": self.death_timeout,
            "local_directory": self.local_directory,
            "variables": dict(KEEP_MEMORY),
            "worker_ports": dict(self.worker_ports),
        }

    async def close(self) -> None:
        """Close the tunnel and the server's connection, once the last job is cancelled."""
        await self.pool.finish()
        await asyncio.to_thread(self.give_up)

    def give_up(self) -> None:
        """Close all without waiting."""
        if self.tunnel is not None:
            self.tunnel.close()
        if self.owns_api:
            self.api.close()


def make_grid(
    security: Security,
    *,
    server: str | DiracApi | None = None,
    vo: str | None = None,
    credentials: Any = None,
    group: str | None = None,
    host: str | None = None,
    contact: str | None = None,
    tunnel: bool = True,
    tunnel_port: int = 0,
    tunnel_ports: Iterable[int] = (),
    worker_ports: str | Mapping[str, str] = "",
    environment: Environment | None = None,
    retries: int = 3,
    pending_timeout: float | None = None,
    poll: float = 10.0,
    **options: Any,
) -> Grid:
    """Open a server and a tunnel for the workers of a cluster; the parameters are those of `DiracCluster`.

    Raises
    ------
    DiracError
        If the server can't be reached, or does not take the credentials.
    """
    api = server if isinstance(server, DiracApi) else open_api(server, vo=vo, credentials=credentials)
    own = api is not server
    try:
        api.whoami()  # no credentials, no cluster: said here, and not by every job
        host = host or address_towards(api.url)
        grid = Grid(
            api=api,
            group=group or f"dask-{secrets.token_hex(4)}",
            security=security,
            host=host,
            environment=environment or Environment(),
            worker_ports={"*": worker_ports} if isinstance(worker_ports, str) else worker_ports,
            limits=Limits(retries=retries, pending=pending_timeout, poll=poll),
            owns_api=own,
            **options,
        )
        if tunnel:
            grid.tunnel = Tunnel(security, contact or host, tunnel_port, ports=tunnel_ports, listen=host)
    except BaseException:
        if own:
            api.close()
        raise
    return grid
