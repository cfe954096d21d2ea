"""Where results are kept: stores of entries, and the codecs that turn values into bytes."""

from __future__ import annotations

from cachingclient.storage.base import Store
from cachingclient.storage.classes import ClassChangedError, Classes, Reference
from cachingclient.storage.codecs import decode, encode
from cachingclient.storage.files.leases import run_or_wait
from cachingclient.storage.maintenance.prune import PruneReport, pin, prune
from cachingclient.storage.maintenance.verify import VerifyReport, stats, verify
from cachingclient.storage.model import (
    Encoded,
    Entry,
    EntryInfo,
    EntryLost,
    Lease,
    Problem,
    StoreError,
    StoreUnavailable,
    UncodableError,
)
from cachingclient.storage.open_store import open_store

__all__ = [
    "ClassChangedError",
    "Classes",
    "Encoded",
    "Entry",
    "EntryInfo",
    "EntryLost",
    "Lease",
    "Problem",
    "PruneReport",
    "Reference",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "UncodableError",
    "VerifyReport",
    "decode",
    "encode",
    "open_store",
    "pin",
    "prune",
    "run_or_wait",
    "stats",
    "verify",
]
