"""How a site's workers are started: as processes here, by ssh, by a batch system, by DIRAC, or by a class."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from distributed import Nanny

from cachingclient.vine.engine import EngineMissing, Spec
from cachingclient.vine.remote import CommandWorker
from cachingclient.vine.sites import Site

PRELOAD = "cachingclient.preload"
"""What a worker loads to tell the scheduler its versions."""
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


def worker_spec(site: Site, cluster: Any) -> Spec:
    """Return how one worker of a site is started.

    Raises
    ------
    ValueError
        If the site's `how` is not known.
    EngineMissing
        If what it takes is not installed.
    """
    if isinstance(site.how, type):
        return {"cls": site.how, "options": _common(site, cluster) | dict(site.options)}
    if site.how in _JOBS:
        return _job(site, cluster)
    make = _WAYS.get(site.how)
    if make is None:
        ways = ", ".join(map(repr, sorted([*_WAYS, *_JOBS])))
        raise ValueError(f"how of site {site.name} is {site.how!r}; it takes {ways} or a class of workers")
    return make(site, cluster)


def _common(site: Site, cluster: Any) -> dict[str, Any]:
    """Return the options that every class of workers takes."""
    return {
        "nthreads": site.nthreads,
        "memory_limit": site.memory_limit,
        "resources": site.advertised,
        "security": cluster.security,
        "protocol": cluster.protocol,
        "preload": [PRELOAD],
    }


def _local(site: Site, cluster: Any) -> Spec:
    options = _common(site, cluster) | {
        "host": cluster.host,
        "env": dict(site.environment),
        "dashboard": False,
        "silence_logs": cluster.silence_logs,
    }
    return {"cls": Nanny, "options": options | dict(site.options)}


def _command(site: Site, cluster: Any) -> Spec:
    options = _common(site, cluster) | {"environment": dict(site.environment), "tunnel": cluster.tunnel}
    return {"cls": CommandWorker, "options": options | dict(site.options)}


def _ssh(site: Site, cluster: Any) -> Spec:
    options = dict(site.options)
    hosts = options.pop("hosts", [site.name])
    words = ["ssh", "-o", "BatchMode=yes", *options.pop("ssh_options", [])]
    return _command(replace(site, options={"commands": [[*words, host] for host in hosts]} | options), cluster)


def _dirac(site: Site, cluster: Any) -> Spec:
    spec: Spec = importlib.import_module("cachingclient.dirac.cluster").site_spec(site, cluster)
    return spec


def _job(site: Site, cluster: Any) -> Spec:
    try:
        module = importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise EngineMissing(f"site {site.name} is started by {site.how}: pip install dask-jobqueue") from error
    return _jobs(getattr(module, _JOBS[str(site.how)]).job_cls, site, cluster)


def _jobs(cls: type, site: Site, cluster: Any) -> Spec:
    """Return what a class of dask-jobqueue takes for a job that is one worker."""
    told = [f"{name}={amount}" for name, amount in site.advertised.items()]
    arguments = ["--resources", "'" + ",".join(told) + "'", "--preload", PRELOAD]
    options = {
        "cores": site.nthreads,
        "processes": 1,
        "security": cluster.security_in_files(),
        "protocol": cluster.protocol,
        "worker_extra_args": arguments,
        "job_script_prologue": [f"export {name}={shlex.quote(value)}" for name, value in site.environment.items()],
    }
    if site.memory_limit != "auto":
        options["memory"] = site.memory_limit
    return {"cls": cls, "options": options | dict(site.options)}


_WAYS: dict[str, Callable[[Site, Any], Spec]] = {
    "command": _command,
    "dirac": _dirac,
    "local": _local,
    "ssh": _ssh,
}
