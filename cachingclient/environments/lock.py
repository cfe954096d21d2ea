"""What an environment holds: its Python, its distributions, and the sources of its editable packages.

Two environments with the same lock are packed into the same archive, so whatever a task can tell apart counts.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cachingclient.environments.sources import Source, read_source
from cachingclient.hashing.environment.distributions import normalise

REQUIRED = ("cachingclient", "dask", "distributed")
"""The distributions that workers can't do without."""
_FORMAT = 1
"""Counts how environments are packed: another way gives other archives of the same lock."""


@dataclass(frozen=True)
class Lock:
    """What an environment holds.

    Attributes
    ----------
    prefix
        Its folder.
    kind
        ``"conda"`` or ``"venv"``.
    python
        The version of its Python, and the one it was made of.
    distributions
        The versions of its distributions by their names, each with a digest of what was installed.
    editable
        The sources of its editable packages, by their names.
    others
        Digests of modules that lie beside the distributions and belong to none, and the names of conda's packages.
    """

    prefix: Path
    kind: str
    python: str
    distributions: Mapping[str, str]
    editable: Mapping[str, Source]
    others: Mapping[str, str]

    @functools.cached_property
    def digest(self) -> str:
        """What tells it from an environment with other contents."""
        told = {
            "format": _FORMAT,
            "kind": self.kind,
            "python": self.python,
            "distributions": dict(self.distributions),
            "editable": {name: source.digest for name, source in self.editable.items()},
            "others": dict(self.others),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def read_lock() -> Lock:
    """Look at the environment that runs this.

    Raises
    ------
    ValueError
        If it is none that can be packed, lacks what workers need, or takes something from elsewhere.
    """
    prefix = Path(sys.prefix)
    kind = _kind_of(prefix)
    found = _distributions(prefix)
    if missing := [name for name in REQUIRED if name not in found]:
        raise ValueError(f"the environment {prefix} has no {' and no '.join(missing)}: install what is missing there")
    editable = {name: read_source(folder) for name, each in found.items() if (folder := _editable_folder(each))}
    _check_paths(prefix, [source.folder for source in editable.values()])
    return Lock(
        prefix,
        kind,
        f"{platform.python_implementation()} {sys.version} of {os.path.realpath(sys.executable)}",
        {name: f"{each.version} {_record_digest(each)}" for name, each in found.items() if name not in editable},
        editable,
        dict(_others(prefix, found.values())),
    )


def _kind_of(prefix: Path) -> str:
    if (prefix / "pyvenv.cfg").exists():
        return "venv"
    if (prefix / "conda-meta").is_dir():
        return "conda"
    raise ValueError(
        f"the Python in {prefix} is no environment of its own: Environment.auto() takes a virtual environment "
        "(python -m venv) or one of conda's, that this package is installed in"
    )


def _distributions(prefix: Path) -> dict[str, Distribution]:
    """Return the distributions of an environment by their names.

    Raises
    ------
    ValueError
        If some are elsewhere, where they are not packed.
    """
    found: dict[str, Distribution] = {}
    elsewhere: dict[str, Path] = {}
    for each in importlib.metadata.distributions():
        name, place = normalise(each.name), Path(str(each.locate_file(""))).resolve()
        if place.is_relative_to(prefix.resolve()):
            found.setdefault(name, each)
        elif each.read_text("WHEEL") is not None:  # an .egg-info beside sources says that these were built
            elsewhere.setdefault(name, place)
    if elsewhere:
        name, place = next(iter(elsewhere.items()))
        more = f" and {len(elsewhere) - 1} more" if len(elsewhere) > 1 else ""
        raise ValueError(
            f"the environment {prefix} takes {name}{more} from {place}, which is not packed: install that in the "
            "environment, or leave it off the path (PYTHONPATH, PYTHONNOUSERSITE=1, no system site-packages)"
        )
    return dict(sorted(found.items()))


def _editable_folder(distribution: Distribution) -> Path | None:
    """Return the folder of an editable package's source, None if it is installed as others are."""
    direct = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not direct.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(direct["url"]).path))


def _check_paths(prefix: Path, known: Iterable[Path]) -> None:
    """Refuse modules of folders that a ``.pth`` file names and nothing tells the versions of.

    Raises
    ------
    ValueError
        If there is such a folder.
    """
    for place in site_folders():
        if links := [path.name for path in place.glob("*.egg-link")]:
            raise ValueError(f"{links[0]} of {place} was made by setup.py develop: take pip install -e instead")
        for file in place.glob("*.pth"):
            for line in file.read_text(errors="replace").splitlines():
                if not line.strip() or line.startswith(("#", "import ", "import\t")):
                    continue
                folder = place / line.strip()
                if folder.exists() and not any(folder.resolve().is_relative_to(each) for each in _real(prefix, *known)):
                    raise ValueError(f"{file} takes modules from {folder}, which is not packed: take pip install -e")


def _real(*folders: Path) -> list[Path]:
    return [folder.resolve() for folder in folders]


def site_folders() -> list[Path]:
    """Return the folders that distributions are installed into.

    Examples
    --------
    >>> [folder.name for folder in site_folders()]
    ['site-packages']
    """
    return sorted({Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")})


def _record_digest(distribution: Distribution) -> str:
    """Return a digest of what was installed: a version may have been built twice."""
    # What lies outside, such as programs, and what Python compiles, differs by the environment's place.
    lines = (distribution.read_text("RECORD") or "").splitlines()
    kept = sorted(line for line in lines if not line.startswith(("../", "/")) and not line.endswith(",,"))
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]


def _others(prefix: Path, distributions: Iterable[Distribution]) -> Iterator[tuple[str, str]]:
    """Yield what lies beside the distributions: modules that were put there by hand, and what is conda's."""
    for file in sorted((prefix / "conda-meta").glob("*.json")):
        yield file.name, ""
    owned = {name for each in distributions for name in _top_names(each)}
    for folder in site_folders():
        for path in sorted(folder.iterdir()):
            is_description = path.suffix in (".dist-info", ".egg-info")
            if path.name not in owned and not is_description and path.name != "__pycache__":
                yield path.name, _content_digest(path)


def _top_names(distribution: Distribution) -> Iterator[str]:
    """Yield the files and folders that a distribution has beside its description."""
    for line in (distribution.read_text("RECORD") or "").splitlines():
        yield line.partition(",")[0].partition("/")[0]
    for name in (distribution.read_text("top_level.txt") or "").split():
        yield from (name, f"{name}.py")


def _content_digest(path: Path) -> str:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    found = hashlib.sha256()
    for file in files:
        if file.suffix != ".pyc":
            found.update(f"{file.relative_to(path.parent)}\0".encode(errors="surrogateescape"))
            found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()[:16]
