"""Where results are kept: stores of entries, and the codecs that turn values into bytes."""

from __future__ import annotations

from cachingclient.storage.base import (
    Encoded,
    Entry,
    EntryInfo,
    EntryLost,
    Lease,
    Problem,
    Store,
    StoreError,
    StoreUnavailable,
    UncodableError,
)
from cachingclient.storage.codecs import decode, encode
from cachingclient.storage.eviction import PruneReport, pin, prune
from cachingclient.storage.inventory import VerifyReport, stats, verify
from cachingclient.storage.leases import run_or_wait
from cachingclient.storage.opening import open_store

__all__ = [
    "Encoded",
    "Entry",
    "EntryInfo",
    "EntryLost",
    "Lease",
    "Problem",
    "PruneReport",
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
