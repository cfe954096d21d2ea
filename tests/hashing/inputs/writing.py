"""Files of a given age and size."""

from __future__ import annotations

import os
from pathlib import Path

from cachingclient.hashing.inputs.fingerprint import SMALL_FILE

OLD = 1_600_000_000_000_000_001
"""A time of change, in nanoseconds, long enough ago that no clock's tick is in doubt."""


def write(path: Path, content: bytes, mtime_ns: int = OLD) -> Path:
    """Write a file as if it had been changed at a given time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def large(letter: bytes) -> bytes:
    """Return content too large to be read for an identity."""
    return letter * (SMALL_FILE + 1)
