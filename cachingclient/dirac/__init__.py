"""DIRAC 8, 9 and DiracX: jobs at grid sites, the files' catalogue, and credentials for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachingclient.lazy_names import lazy_names

if TYPE_CHECKING:
    from cachingclient.dirac.api.credentials import Proxy, find_proxy
    from cachingclient.dirac.api.errors import (
        CredentialsError,
        DiracError,
        MalformedReply,
        NotOffered,
        Refused,
        ServerUnavailable,
    )
    from cachingclient.dirac.api.interface import DiracApi
    from cachingclient.dirac.api.job import Job
    from cachingclient.dirac.api.models import Identity, JobStatus, Transition
    from cachingclient.dirac.api.open_api import open_api
    from cachingclient.dirac.api.tokens import TokenFile, Tokens
    from cachingclient.dirac.workers.cluster import DiracCluster
    from cachingclient.dirac.workers.grid import Environment

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

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "Proxy": "api.credentials",
            "find_proxy": "api.credentials",
            "CredentialsError": "api.errors",
            "DiracError": "api.errors",
            "MalformedReply": "api.errors",
            "NotOffered": "api.errors",
            "Refused": "api.errors",
            "ServerUnavailable": "api.errors",
            "DiracApi": "api.interface",
            "Job": "api.job",
            "Identity": "api.models",
            "JobStatus": "api.models",
            "Transition": "api.models",
            "open_api": "api.open_api",
            "TokenFile": "api.tokens",
            "Tokens": "api.tokens",
            "DiracCluster": "workers.cluster",
            "Environment": "workers.grid",
        },
    )
