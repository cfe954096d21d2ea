"""DIRAC 8, 9 and DiracX: jobs at grid sites, the files' catalogue, and credentials for them."""

from __future__ import annotations

from cachingclient.dirac.api import DiracApi, Identity, JobStatus, Transition
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
from cachingclient.dirac.tokens import TokenFile, Tokens

__all__ = [
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
