"""Installed distributions: their versions and what they require, read from their own files.

`importlib.metadata` parses a whole description as an e-mail to find one line of it; a library like coffea
requires eighty others, and all of them are looked up before the first key is there.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import sys
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Distribution:
    """What counts of an installed distribution.

    Attributes
    ----------
    version
        Its version.
    requires
        The requirements that it states, as text.
    direct_url
        Where it was installed from if that was no index, as PEP 610's JSON; else empty.
    """

    version: str
    requires: tuple[str, ...]
    direct_url: str


def normalise(name: str) -> str:
    """Return a distribution's name as PEP 503 compares them.

    Examples
    --------
    >>> normalise("Awkward_CPP")
    'awkward-cpp'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.cache
def find_distribution(name: str) -> Distribution | None:
    """Return the distribution of a normalised name, None if there is none.

    Examples
    --------
    >>> find_distribution("numpy").version.split(".")[0] >= "2"
    True
    >>> find_distribution("no-such-thing") is None
    True
    """
    folder = _folders(tuple(sys.path)).get(name)
    if folder is not None:
        return _read(folder)
    try:
        found = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    return Distribution(found.version, tuple(found.requires or ()), found.read_text("direct_url.json") or "")


@functools.cache
def required_name(requirement: str) -> str | None:
    """Return the name in a requirement that holds here without extras, None if it does not.

    Examples
    --------
    >>> required_name("PyYAML>=6"), required_name('pytest; extra == "test"')
    ('pyyaml', None)
    """
    text, _, marker = requirement.partition(";")
    if "extra" in marker or not (match := _NAME.match(text.strip())):
        return None
    if marker and not _holds(marker):
        return None
    return normalise(match[0])


@functools.cache
def _holds(marker: str) -> bool:
    from packaging.markers import InvalidMarker, Marker

    try:
        return bool(Marker(marker).evaluate({"extra": ""}))
    except InvalidMarker:
        return True


@functools.cache
def _folders(path: tuple[str, ...]) -> dict[str, str]:
    """Return the folders with the distributions' descriptions, the first on the path for each name."""
    found: dict[str, str] = {}
    for folder in path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in names:
            if entry.endswith(".dist-info"):
                found.setdefault(normalise(entry[:-10].rpartition("-")[0]), os.path.join(folder, entry))
    return found


def _read(folder: str) -> Distribution | None:
    """Read the head of a description, which ends at the first empty line."""
    version, requires = "", []
    for line in _text(folder, "METADATA").partition("\n\n")[0].splitlines():
        key, _, value = line.partition(": ")
        if key == "Version":
            version = value.strip()
        elif key == "Requires-Dist":
            requires.append(value.strip())
    return Distribution(version, tuple(requires), _text(folder, "direct_url.json")) if version else None


def _text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace", newline=None) as file:
            return file.read()
    except OSError:
        return ""
