"""Entries for tests."""

from __future__ import annotations

import os

from cachingclient.storage import Entry, encode


def new_key() -> str:
    """A key that nothing else has."""
    return os.urandom(16).hex()


def entry(value: object, *keys: str, name: str = "step", **details: object) -> Entry:
    """An entry of this value under these keys (a new one, if none is given)."""
    return Entry(keys or (new_key(),), "result", name, 1.5, details, encode(value))
