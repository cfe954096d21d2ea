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
    folder
        Where its modules lie: a folder, or a zip file.
    is_of_wheel
        Whether it was installed as wheels are, with a ``.dist-info`` that lists the files. What builds a source tree
        may leave one without the list beside code that goes on changing.
    """

    version: str
    requires: tuple[str, ...]
    direct_url: str
    folder: str
    is_of_wheel: bool


def normalise(name: str) -> str:
    """Return a distribution's name as PEP 503 compares them.

    Examples
    --------
    >>> normalise("Awkward_CPP")
    'awkward-cpp'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def find_distribution(name: str) -> Distribution | None:
    """Return the distribution of a normalised name, None if there is none.

    Examples
    --------
    >>> find_distribution("numpy").version.split(".")[0] >= "2"
    True
    >>> find_distribution("no-such-thing") is None
    True
    """
    return _find(name, tuple(sys.path))


@functools.cache
def _find(name: str, path: tuple[str, ...]) -> Distribution | None:
    folder = _folders(path).get(name)
    if folder is not None:
        return _read(folder)
    try:
        found = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    direct_url = found.read_text("direct_url.json") or ""
    is_of_wheel = found.read_text("RECORD") is not None
    return Distribution(found.version, tuple(found.requires or ()), direct_url, str(found.locate_file("")), is_of_wheel)


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


@functools.cache
def folders_of_wheels(path: tuple[str, ...]) -> frozenset[str]:
    """Return where on the path wheels have installed modules, or may have: what is no folder is not looked into.

    Examples
    --------
    >>> any("site-packages" in folder for folder in folders_of_wheels(tuple(sys.path)))
    True
    """
    installed = {os.path.dirname(folder) or "." for folder in _folders(path).values()}
    return frozenset(installed | {folder for folder in path if os.path.isfile(folder)})


@functools.cache
def stated_names(path: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the distributions of top-level modules, by the lists of files that wheels have.

    `importlib.metadata.packages_distributions` looks whether each of the files is there, some ten thousand.

    Examples
    --------
    >>> stated_names(tuple(sys.path))["yaml"]
    ('pyyaml',)
    """
    found: dict[str, set[str]] = {}
    for name, folder in _folders(path).items():
        stated = _text(folder, "top_level.txt").split() or map(_top_of, _text(folder, "RECORD").splitlines())
        for top in {*stated} - {""}:
            found.setdefault(top, set()).add(name)
    return {top: tuple(sorted(names)) for top, names in found.items()}


def _top_of(line: str) -> str:
    """Return the top-level module of a file by its line in a list of files; empty if it is no module's."""
    file = line.partition(",")[0]
    return file.partition("/")[0].partition(".")[0] if file.endswith((".py", ".so", ".pyd")) else ""


def _read(folder: str) -> Distribution | None:
    """Read the head of a description, which ends at the first empty line."""
    version, requires = "", []
    for line in _text(folder, "METADATA").partition("\n\n")[0].splitlines():
        key, _, value = line.partition(": ")
        if key == "Version":
            version = value.strip()
        elif key == "Requires-Dist":
            requires.append(value.strip())
    if not version:
        return None
    where, is_of_wheel = os.path.dirname(folder) or ".", os.path.exists(os.path.join(folder, "RECORD"))
    return Distribution(version, tuple(requires), _text(folder, "direct_url.json"), where, is_of_wheel)


def _text(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace", newline=None) as file:
            return file.read()
    except OSError:
        return ""
