"""The environment of workers at a site: the site's own Python, a container, or a packed environment kept there."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ENTER = """\
#!/bin/sh
# Runs Python in the environment that an archive holds, which is unpacked once at each worker node.
# enter.sh DIGEST SOURCE ARGUMENTS...
set -eu
digest=$1 source=$2
shift 2
kept=${CACHINGCLIENT_ENVIRONMENTS:-${TMPDIR:-/tmp}/cachingclient-environments-$(id -u)}
mkdir -p -m 700 "$kept"
if [ ! -O "$kept" ]; then
    echo "$kept belongs to another user: set CACHINGCLIENT_ENVIRONMENTS to a folder of yours" >&2
    exit 3
fi
# Jobs that begin together wait for the one that unpacks.
exec 9> "$kept/.lock"
flock 9
if [ ! -e "$kept/$digest/.ready" ]; then
    rm -rf "$kept/$digest" "$kept/.unpacking"
    mkdir "$kept/.unpacking"
    archive=$source
    case $source in
        *://*)
            archive=$kept/.unpacking/archive
            curl --fail --silent --show-error --location --output "$archive" "$source" || {
                echo "the environment could not be fetched from $source" >&2
                exit 3
            } ;;
    esac
    found=$(sha256sum "$archive" | cut -d ' ' -f 1)
    if [ "$found" != "$digest" ]; then
        echo "the environment from $source has the digest $found; it takes $digest" >&2
        exit 3
    fi
    mkdir "$kept/$digest"
    tar -xf "$archive" -C "$kept/$digest"
    if [ -x "$kept/$digest/bin/conda-unpack" ]; then
        "$kept/$digest/bin/python" "$kept/$digest/bin/conda-unpack"
    fi
    touch "$kept/$digest/.ready"
    rm -rf "$kept/.unpacking"
fi
exec 9>&-
exec "$kept/$digest/bin/python" "$@"
"""


@dataclass(frozen=True)
class Environment:
    """The environment of workers at the sites.

    Parameters
    ----------
    python
        The interpreter at the site or in the container. It needs dask, distributed and the analysis's modules.
    container
        An image to run workers in, by apptainer or singularity: ``docker://...`` or a path on CVMFS.
    packed
        An archive that conda-pack or venv-pack has made: a file here, which travels with the jobs, or a URL that
        worker nodes fetch it from. It is unpacked once at each worker node, under the digest of its contents.
    digest
        The SHA-256 of an archive behind a URL.
    modules
        Modules and packages to send along from here: the user's own, and this package, so that workers have the same.

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

    def __post_init__(self) -> None:
        if isinstance(self.modules, str):
            raise ValueError(f"modules is {self.modules!r}; it takes a list of names")
        if self.packed is None:
            return
        if self.container is not None:
            raise ValueError("container and packed are both given; workers run in one of them")
        if self._remote:
            if not re.fullmatch("[0-9a-f]{64}", self.digest):
                raise ValueError(
                    f"digest is {self.digest!r}; it takes the SHA-256 of {self.packed}, 64 hexadecimal digits"
                )
        elif not Path(self.packed).is_file():
            raise ValueError(f"packed is {self.packed!r}; it takes a URL or a file here")

    @property
    def _remote(self) -> bool:
        return self.packed is not None and "://" in self.packed

    def command(self) -> tuple[str, list[str]]:
        """Return the program that is Python in this environment, and its first arguments."""
        if self.packed is None:
            return self.python, []
        if self._remote:
            return "enter.sh", [self.digest, self.packed]
        with open(self.packed, "rb") as archive:
            return "enter.sh", [hashlib.file_digest(archive, "sha256").hexdigest(), "environment.tar"]

    def files(self) -> dict[str, bytes]:
        """Return the files that jobs take along for it."""
        found = {}
        if self.modules:
            found["modules.zip"] = pack(self.modules)
        if self.packed is not None:
            found["enter.sh"] = ENTER.encode()
            if not self._remote:
                found["environment.tar"] = Path(self.packed).read_bytes()
        return found


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
