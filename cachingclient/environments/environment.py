"""The environment of workers at a site: the site's own Python, a container, or a packed environment kept there."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cachingclient.hashing.environment.environment import OWN_PACKAGE
from cachingclient.versions import own_version

ENTER = Path(__file__).with_name("enter.sh").read_text()
"""The program that runs Python in an archived environment, which it unpacks once at each host."""


@dataclass(frozen=True)
class Environment:
    """The Python environment of workers at the sites.

    Parameters
    ----------
    python
        The interpreter at the site or in the container. It needs dask, distributed and the analysis's modules.
    container
        An image to run workers in, by apptainer or singularity: ``docker://...`` or a path on CVMFS.
    packed
        An archive that conda-pack or venv-pack has made: a file here, which is sent to the sites, or a URL that
        hosts fetch it from. It is unpacked once at each host, under the digest of its contents.
    digest
        The SHA-256 of the archive; of a file here it is computed unless given.
    modules
        Modules and packages to send along from here with jobs of DIRAC: the user's own, and this package, so that
        workers have the same.

    Examples
    --------
    >>> Environment(container="docker://python:3.12").command()
    ('python3', [])
    >>> Environment(packed="https://example.org/analysis.tar.gz")
    Traceback (most recent call last):
    ...
    ValueError: digest is ''; it takes the SHA-256 of https://example.org/analysis.tar.gz, 64 hexadecimal digits
    """

    python: str = "python3"
    container: str | None = None
    packed: str | None = None
    digest: str = ""
    modules: Sequence[str] = ("cachingclient",)

    @classmethod
    def auto(
        cls, folder: str | os.PathLike[str] | None = None, report: Callable[[str], None] | None = None
    ) -> Environment:
        """Return the environment that runs this, packed; it is packed again only when something in it has changed.

        Parameters
        ----------
        folder
            Where packed environments are kept, the last three; None for the user's cache folder. Batch systems read
            them from there, so their hosts have to see it.
        report
            Called with what is done, as text; by default that is printed as an error message would be.

        Raises
        ------
        ValueError
            If it is no virtual environment and none of conda's, or something in it can't be packed.
        ImportError
            If venv-pack or conda-pack is not installed.
        """
        from cachingclient.environments.kept import pack, say

        found = pack(None if folder is None else Path(folder), report or say)
        return cls(packed=str(found.archive), digest=found.digest, modules=())

    def __post_init__(self) -> None:
        if isinstance(self.modules, str):
            raise ValueError(f"modules is {self.modules!r}; it takes a list of names")
        if self.packed is None:
            return
        if not isinstance(self.packed, str):
            raise TypeError(f"packed is {self.packed!r}; it takes a URL or the path of a file here, as text")
        if self.container is not None:
            raise ValueError("container and packed are both given; workers run in one of them")
        if (self.is_remote or self.digest) and not re.fullmatch("[0-9a-f]{64}", self.digest):
            raise ValueError(f"digest is {self.digest!r}; it takes the SHA-256 of {self.packed}, 64 hexadecimal digits")
        if not self.is_remote and not Path(self.packed).is_file():
            raise ValueError(f"packed is {self.packed!r}; it takes a URL or a file here")

    @property
    def is_remote(self) -> bool:
        """Whether the archive is behind a URL."""
        return self.packed is not None and "://" in self.packed

    @property
    def archive_digest(self) -> str:
        """The SHA-256 of the archive."""
        return self.digest or _digest_of(self.place, os.stat(self.place).st_mtime_ns)

    @property
    def place(self) -> str:
        """The archive's URL, or its whole path."""
        if self.packed is None:
            raise ValueError("packed is None; it takes an archive, as Environment.auto() makes one")
        return self.packed if self.is_remote else os.path.abspath(self.packed)

    @property
    def stdin_source(self) -> str:
        """Where `ENTER` gets the archive when it comes through standard input: its URL, or its size."""
        return self.place if self.is_remote else f"stdin:{os.stat(self.place).st_size}"

    def hold(self) -> IO[bytes] | None:
        """Return an open file which keeps the archive here from being removed until it is closed; None without one."""
        if self.packed is None or self.is_remote:
            return None
        file = open(self.place, "rb")  # noqa: SIM115 (whoever asked closes it)
        with contextlib.suppress(OSError):  # not every file system has locks
            fcntl.flock(file, fcntl.LOCK_SH)
        return file

    def entered_from(self, source: str, beside: Iterable[str] = ()) -> list[str]:
        """Return what `ENTER` is told, before Python's own arguments.

        Parameters
        ----------
        source
            Where it finds the archive.
        beside
            Modules that come in another way, which the archive may lack.
        """
        return [self.archive_digest, source, expected(beside)]

    def command(self) -> tuple[str, list[str]]:
        """Return the program that is Python in this environment for jobs of DIRAC, and its first arguments."""
        if self.packed is None:
            return self.python, []
        return "enter.sh", self.entered_from(self.place if self.is_remote else "environment.tar", self.modules)

    def files(self) -> dict[str, bytes]:
        """Return the files that jobs of DIRAC take along for it."""
        found = {}
        if self.modules:
            found["modules.zip"] = pack(self.modules)
        if self.packed is not None:
            found["enter.sh"] = ENTER.encode()
            if not self.is_remote:
                found["environment.tar"] = Path(self.packed).read_bytes()
        return found


@functools.lru_cache(maxsize=8)
def _digest_of(path: str, changed: int) -> str:
    with open(path, "rb") as archive:
        return hashlib.file_digest(archive, "sha256").hexdigest()


def checked(given: Environment | None) -> Environment | None:
    """Return what was given as `environment`.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if given is not None and not isinstance(given, Environment):
        raise TypeError(
            f"environment is {given!r}; it takes an Environment, such as Environment.auto(); variables are an option "
            "of each site"
        )
    return given


def expected(beside: Iterable[str] = ()) -> str:
    """Return the versions that an archive has to have to run this process's tasks, but for modules that come beside it.

    Examples
    --------
    >>> expected().split(",")[0] == "python=" + ".".join(map(str, sys.version_info[:2]))
    True
    """
    versions = {"python": "{}.{}".format(*sys.version_info[:2])}
    versions |= {name: importlib.metadata.version(name) for name in ("dask", "distributed")}
    versions[OWN_PACKAGE] = own_version()
    return ",".join(f"{name}={version}" for name, version in versions.items() if name not in beside)


def pack(modules: Sequence[str]) -> bytes:
    """Return an archive of modules and packages that can be imported here; equal ones for equal files.

    Raises
    ------
    ValueError
        If there is no such module, or it is not made of files.

    Examples
    --------
    >>> zipfile.ZipFile(io.BytesIO(pack(["calendar"]))).namelist()
    ['calendar.py']
    >>> pack(["no_such_module"])
    Traceback (most recent call last):
    ...
    ValueError: modules has 'no_such_module'; it takes top-level modules and packages that can be imported here
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in modules:
            for file, name in _files(module):
                archive.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _files(module: str) -> list[tuple[Path, str]]:
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise ValueError(f"modules has {module!r}; it takes top-level modules and packages that can be imported here")
    if spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations)))
        files = sorted(file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
        return [(file, f"{module}/{file.relative_to(folder).as_posix()}") for file in files]
    file = Path(str(spec.origin))
    if not file.is_file():
        raise ValueError(f"modules has {module!r}, which is built into Python")
    return [(file, file.name)]
