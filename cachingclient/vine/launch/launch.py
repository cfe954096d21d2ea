"""How a site's workers are started: as processes here, by ssh, by a batch system, by a class, or by a registered way.

A package registers a way of starting workers as an entry point of the group ``cachingclient.workers``. Users give the
entry point's name as ``how``; the object that it names is a :data:`Way`, a function of the site and the cluster.
"""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any, Protocol

from distributed import Security

from cachingclient.environments import Environment
from cachingclient.vine.engine import EngineMissing, Spec
from cachingclient.vine.launch.command_worker import CommandWorker
from cachingclient.vine.launch.entering import in_job_script
from cachingclient.vine.sites import Site
from cachingclient.worker.nanny import KEEP_MEMORY, Nanny

REGISTERED = "cachingclient.workers"
"""The group of entry points by which packages register ways of starting workers."""
PRELOAD = "cachingclient.worker.startup"
"""The module by which a worker tells the scheduler its versions."""
_JOBS = {
    "htcondor": "HTCondorCluster",
    "lsf": "LSFCluster",
    "moab": "MoabCluster",
    "oar": "OARCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "slurm": "SLURMCluster",
}
"""The systems that dask-jobqueue knows, and its clusters, which know the class of one job."""


class Head(Protocol):
    """The part of a cluster that a way of starting its workers may use.

    Attributes
    ----------
    security, protocol
        The certificates that workers need, and ``"tls://"`` or ``"tcp://"``.
    host
        Where the scheduler listens; None for everywhere.
    tunnel
        The tunnel to workers that can't be dialled; None without one.
    silence_logs
        The level below which workers on this machine log nothing.
    environment
        The environment that workers run in; None for the Python that is at the site.
    launchers
        Servers, or other objects, that a way of starting workers opens once for all of its sites, by a key of its own.
        The cluster awaits the ``close()`` of each when it closes.
    """

    security: Security
    protocol: str
    host: str | None
    tunnel: Any
    silence_logs: int | bool
    environment: Environment | None
    launchers: dict[str, Any]

    def security_in_files(self) -> Security:
        """Return the certificates as files, for workers that are told of them by paths."""


Way = Callable[[Site, Head], Spec]


def worker_spec(site: Site, cluster: Head) -> Spec:
    """Return how one worker of a site is started.

    Raises
    ------
    ValueError
        If no way of starting workers has the name that the site's `how` gives.
    EngineMissing
        If a package that the way needs is not installed.
    """
    if cluster.environment is not None:
        _check_environment(site, cluster.environment)
    if isinstance(site.how, type):
        return {"cls": site.how, "options": _common(site, cluster) | dict(site.options)}
    if site.how in _JOBS:
        return _job(site, cluster)
    return _way(site)(site, cluster)


def _check_environment(site: Site, environment: Environment) -> None:
    """Refuse an environment that a site's workers can't run in, or a second one."""
    if isinstance(site.how, type):
        raise ValueError(f"environment: site {site.name} starts workers by a class, which takes none")
    if environment.packed is None and site.how in {*_WAYS, *_JOBS}:
        raise ValueError(f"environment: site {site.name} takes a packed one, such as Environment.auto() makes")
    if "python" in site.options:
        raise ValueError(
            f"site {site.name} has the option python, and the cluster an environment; it takes one of them"
        )


def _way(site: Site) -> Way:
    """Return the way of starting workers that the site names: one of this module, or a registered one."""
    if (way := _WAYS.get(str(site.how))) is not None:
        return way
    registered = {each.name: each for each in entry_points(group=REGISTERED)}
    if site.how not in registered:
        ways = ", ".join(map(repr, sorted({*_WAYS, *_JOBS, *registered})))
        raise ValueError(f"how of site {site.name} is {site.how!r}; it takes {ways} or a class of workers")
    try:
        loaded: Way = registered[str(site.how)].load()
    except ImportError as error:
        raise EngineMissing(f"site {site.name} is started by {site.how}, which can't be imported: {error}") from error
    return loaded


def _common(site: Site, cluster: Head) -> dict[str, Any]:
    """Return the options that every class of workers takes."""
    return {
        "nthreads": site.nthreads,
        "memory_limit": site.memory_limit,
        "resources": site.advertised,
        "security": cluster.security,
        "protocol": cluster.protocol,
        "preload": [PRELOAD],
    }


def _local(site: Site, cluster: Head) -> Spec:
    if cluster.environment is not None:
        # What a worker logs would else be printed here.
        quiet = ["env", "DASK_LOGGING__DISTRIBUTED=warning"]
        options = {"commands": [quiet], "host": cluster.host, "dashboard": False, "tunnel": None}
        return _command(replace(site, options=options | dict(site.options)), cluster)
    options = _common(site, cluster) | {
        "host": cluster.host,
        "env": dict(site.environment),
        "dashboard": False,
        "silence_logs": cluster.silence_logs,
    }
    return {"cls": Nanny, "options": options | dict(site.options)}


def _command(site: Site, cluster: Head) -> Spec:
    options = _common(site, cluster) | {"environment": dict(site.environment), "tunnel": cluster.tunnel}
    if cluster.environment is not None:
        options["packed"] = cluster.environment
    return {"cls": CommandWorker, "options": options | dict(site.options)}


def _ssh(site: Site, cluster: Head) -> Spec:
    options = dict(site.options)
    hosts = options.pop("hosts", [site.name])
    words = ["ssh", "-o", "BatchMode=yes", *options.pop("ssh_options", [])]
    return _command(replace(site, options={"commands": [[*words, host] for host in hosts]} | options), cluster)


def _job(site: Site, cluster: Head) -> Spec:
    try:
        module = importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise EngineMissing(f"site {site.name} is started by {site.how}: pip install 'cachingclient[batch]'") from error
    return _jobs(getattr(module, _JOBS[str(site.how)]).job_cls, site, cluster)


def _jobs(cls: type, site: Site, cluster: Head) -> Spec:
    """Return the specification of a job of dask-jobqueue that is one worker."""
    told = [f"{name}={amount}" for name, amount in site.advertised.items()]
    arguments = ["--resources", "'" + ",".join(told) + "'", "--preload", PRELOAD]
    options = {
        "cores": site.nthreads,
        "processes": 1,
        "security": cluster.security_in_files(),
        "protocol": cluster.protocol,
        "worker_extra_args": arguments,
    }
    variables = {**KEEP_MEMORY, **site.environment}
    prologue = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    own = dict(site.options)
    if cluster.environment is not None:
        lines, options["python"] = in_job_script(cluster.environment)
        own["job_script_prologue"] = [*prologue, *lines, *own.get("job_script_prologue", ())]
    options["job_script_prologue"] = prologue
    if site.memory_limit != "auto":
        options["memory"] = site.memory_limit
    return {"cls": cls, "options": options | own}


_WAYS: dict[str, Way] = {
    "command": _command,
    "local": _local,
    "ssh": _ssh,
}
