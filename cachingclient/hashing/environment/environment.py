"""Where code comes from: the user's own, a library with a version, or the standard library."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cachingclient.hashing.environment.distributions import (
    find_distribution,
    folders_of_wheels,
    normalise,
    required_name,
    stated_names,
)

OWN_PACKAGE = "cachingclient"
STANDARD_LIBRARY = "python"


@dataclass(frozen=True, slots=True)
class Environment:
    """Which part of the installed libraries counts in a key.

    Parameters
    ----------
    ignore
        Distributions that are left out of keys, by normalised name.
    precision
        ``"full"`` for whole versions, ``"major.minor"`` for their first two numbers.
    pin
        ``"reached"`` for the libraries a step reaches and what those require, ``"all"`` for everything installed.

    Examples
    --------
    >>> Environment(precision="major.minor").shorten("2.4.6")
    '2.4'
    """

    ignore: frozenset[str] = frozenset()
    precision: str = "full"
    pin: str = "reached"

    def shorten(self, version: str) -> str:
        """Return the part of a version that counts."""
        return version if self.precision == "full" else ".".join(version.split(".")[:2])

    def versions(self, distributions: Iterable[str]) -> dict[str, str]:
        """Return the versions that count for a step that reaches these distributions, by name."""
        return _versions(self, frozenset(distributions))


@functools.cache
def _versions(environment: Environment, distributions: frozenset[str]) -> dict[str, str]:
    pinned = installed() if environment.pin == "all" else frozenset[str]().union(*map(required_by, distributions))
    found = {}
    for name in sorted(pinned - environment.ignore):
        version = environment.shorten(version_of(name))
        loaded = environment.shorten(_loaded_version(name)) if name in distributions else version
        found[name] = version if loaded in ("", version) else f"{version}, {loaded} loaded"
    return found


def _loaded_version(name: str) -> str:
    """Return the version that a module in memory says it has: an upgrade leaves it as it is until the process ends."""
    loaded = getattr(sys.modules.get(name.replace("-", "_")), "__version__", "")
    return loaded if isinstance(loaded, str) else ""


@functools.cache
def is_user_code(module_name: str) -> bool:
    """Tell whether a module is the user's own: not of the standard library and not installed as a library.

    Editable installs and packages installed from a folder count as the user's own, since their code
    changes without their version.

    Examples
    --------
    >>> is_user_code("json"), is_user_code("numpy.linalg"), is_user_code("__main__")
    (False, False, True)
    """
    top = module_name.partition(".")[0]
    if top == OWN_PACKAGE:
        return False
    if top == "__main__" or not top:
        return True
    file = _file_of(module_name)
    if file is None:
        return top not in sys.builtin_module_names and top not in sys.stdlib_module_names
    if not _is_in_site_packages(file):
        if _is_under(file, _STANDARD_FOLDERS):
            return False
        if not _lies_beside_libraries(file, top):
            return True
    owners = distributions_of(module_name)
    # A file put beside the libraries by hand has no version to go by.
    return not any(_holds(owner, top, file) for owner in owners) or any(map(_is_installed_from_folder, owners))


def _holds(name: str, top: str, file: str) -> bool:
    """Tell whether a file of a top-level module is what a distribution installed.

    It is if it lies in ``site-packages``, or beside the description that installing a wheel leaves, as in a folder of
    ``pip install --target`` or a zip file of one. An ``.egg-info`` beside a source tree says only that it was built.
    """
    found = find_distribution(name)
    if _is_in_site_packages(file) or found is None or not found.is_of_wheel:
        return _is_in_site_packages(file)
    return _is_top_of(found.folder, top, file)


def _is_top_of(folder: str, top: str, file: str) -> bool:
    """Tell whether a file is that of a top-level module of a folder, or in it."""
    return any(
        os.path.relpath(where(file), where(folder)).split(os.sep)[0].partition(".")[0] == top
        for where in (os.path.abspath, os.path.realpath)
    )


def _lies_beside_libraries(file: str, top: str) -> bool:
    """Tell whether a wheel may have installed a file outside of ``site-packages``: most files are the user's own."""
    return any(_is_top_of(folder, top, file) for folder in folders_of_wheels(tuple(sys.path)))


def distributions_of(module_name: str) -> tuple[str, ...]:
    """Return the normalised names of the distributions that a library module belongs to.

    Examples
    --------
    >>> distributions_of("numpy.linalg")
    ('numpy',)
    >>> distributions_of("json")
    ('python',)
    """
    return _distributions_of_top(module_name.partition(".")[0], tuple(sys.path))


@functools.cache
def _distributions_of_top(top: str, path: tuple[str, ...]) -> tuple[str, ...]:
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return (STANDARD_LIBRARY,)
    # Most libraries are imported by their own name, and the full table takes a second.
    if find_distribution(normalise(top)) is not None:
        return (normalise(top),)
    names = stated_names(path).get(top) or _names_by_top(path).get(top) or ()
    return tuple(sorted({normalise(name) for name in names}))


@functools.cache
def _names_by_top(path: tuple[str, ...]) -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@functools.cache
def version_of(name: str) -> str:
    """Return the version of a distribution; of one installed from a repository or a file, its commit or hash too.

    Examples
    --------
    >>> version_of("python").count(".")
    1
    """
    if name == STANDARD_LIBRARY:
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    found = find_distribution(name)
    if found is None:
        return "not installed"
    direct = _direct_url(name)
    origin = direct.get("vcs_info", {}).get("commit_id") or direct.get("archive_info", {}).get("hash") or ""
    return f"{found.version}+{origin}" if origin else found.version


@functools.cache
def required_by(name: str) -> frozenset[str]:
    """Return a distribution and all that it requires, without extras: a result of pandas depends on numpy's version.

    Examples
    --------
    >>> "numpy" in required_by("pandas")
    True
    """
    found = {name}
    waiting = [name]
    while waiting:
        distribution = find_distribution(waiting.pop())
        for requirement in distribution.requires if distribution is not None else ():
            required = required_name(requirement)
            if required is not None and required not in found and find_distribution(required) is not None:
                found.add(required)
                waiting.append(required)
    return frozenset(found)


@functools.cache
def installed() -> frozenset[str]:
    """Return the names of all distributions installed."""
    return frozenset(normalise(found.name) for found in importlib.metadata.distributions())


def _direct_url(name: str) -> dict[str, dict[str, str]]:
    """Return how a distribution was installed, as PEP 610 records it."""
    found = find_distribution(name)
    return json.loads(found.direct_url) if found is not None and found.direct_url else {}


def _is_installed_from_folder(name: str) -> bool:
    return "dir_info" in _direct_url(name)


def _file_of(module_name: str) -> str | None:
    module = sys.modules.get(module_name)
    file = getattr(module, "__file__", None)
    if file is None and module is None:
        try:
            spec = importlib.util.find_spec(module_name)
        except (ImportError, ValueError, AttributeError):
            return None
        file = spec.origin if spec is not None and spec.has_location else None
    if file is None and module is not None:
        # A namespace package has folders instead of a file.
        file = next(iter(getattr(module, "__path__", ())), None)
    return file


def _is_in_site_packages(file: str) -> bool:
    return any(part in ("site-packages", "dist-packages") for part in Path(file).parts)


def _is_under(file: str, folders: tuple[Path, ...]) -> bool:
    path = Path(file)
    return any(path.is_relative_to(folder) for folder in folders)


# An interpreter that was moved, as in a view on CVMFS, finds its library elsewhere than it was built for.
_STANDARD_FOLDERS = tuple(
    way(Path(folder))
    for folder in {*map(sysconfig.get_path, ("stdlib", "platstdlib")), os.path.dirname(os.__file__)}
    for way in (Path, Path.resolve)
)
