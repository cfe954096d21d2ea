"""Which version of this package a process has, and how to compare two sets of versions."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

try:
    __version__ = importlib.metadata.version("cachingclient")
except importlib.metadata.PackageNotFoundError:  # it was sent to a worker, where it is not installed
    __version__ = "unknown"
TOLD = "cachingclient"
"""Under what workers tell their version when they connect."""


@functools.cache
def own_version() -> str:
    """Return what tells this package from one with other code: a digest of its files."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the packages that both know of and have in different versions, with the two.

    Of Python only the first two numbers count: with others, functions can't be sent.

    Examples
    --------
    >>> differences({"python": "3.11.7", "dask": "2026.8.0"}, {"python": "3.11.9", "dask": "2026.7.0"})
    {'dask': ('2026.8.0', '2026.7.0')}
    >>> differences({"numpy": "2.4.6"}, {"numpy": None})
    {'numpy': ('2.4.6', 'none')}
    """

    def shown(versions: Mapping[str, Any], package: str) -> str:
        version = str(versions[package] or "none")
        return ".".join(version.split(".")[:2]) if package == "python" else version

    pairs = {package: (shown(ours, package), shown(theirs, package)) for package in ours if package in theirs}
    return {package: pair for package, pair in pairs.items() if pair[0] != pair[1]}
