"""DIRAC 8, 9 and DiracX: jobs at grid sites, the files' catalogue, and credentials for them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from cachingclient.dirac.api import DiracApi
from cachingclient.dirac.credentials import Proxy, find_proxy
from cachingclient.dirac.errors import (
    CredentialsError,
    DiracError,
    MalformedReply,
    NotOffered,
    Refused,
    ServerUnavailable,
)
from cachingclient.dirac.job import Job
from cachingclient.dirac.opening import open_api
from cachingclient.dirac.records import Identity, JobStatus, Transition
from cachingclient.dirac.tokens import TokenFile, Tokens

if TYPE_CHECKING:
    from cachingclient.dirac.cluster import DiracCluster
    from cachingclient.dirac.environment import Environment

__all__ = [
    "DiracCluster",
    "Environment",
    "open_api",
    "DiracApi",
    "Job",
    "JobStatus",
    "Identity",
    "Transition",
    "Proxy",
    "find_proxy",
    "TokenFile",
    "Tokens",
    "DiracError",
    "CredentialsError",
    "Refused",
    "NotOffered",
    "ServerUnavailable",
    "MalformedReply",
]

_CLUSTER = {"DiracCluster": "cluster", "Environment": "environment"}


def __getattr__(name: str) -> Any:
    # Whoever only asks a server needs neither a scheduler nor dask-jobqueue.
    if name in _CLUSTER:
        return getattr(importlib.import_module(f"{__name__}.{_CLUSTER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
