"""What a process tells of its surroundings: its environment variables, by digests, and its working folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
from collections.abc import Iterable, Mapping
from typing import NamedTuple

EVERYTHING = "*"
"""Stands for all environment variables, where a step went through them."""
_DASKS_OWN = ("DASK_INTERNAL_", "__DASK_")
_SECRET = re.compile("SECRET|TOKEN|PASS|CREDENTIAL|KEY|PRIVATE|AUTH|COOKIE", re.IGNORECASE)


class Told(NamedTuple):
    """What a process tells of its surroundings.

    Attributes
    ----------
    process
        The files that it sees, as `view_of_files` names them, and its process id.
    folder
        Its working folder; empty if that was removed.
    variables
        The digest of each of its environment variables, and of all together under ``"*"``.
    """

    process: tuple[str, int]
    folder: str
    variables: Mapping[str, str]


def this_process() -> tuple[str, int]:
    """Return what tells this process from others.

    Examples
    --------
    >>> this_process() == tell_surroundings().process
    True
    """
    return view_of_files(), os.getpid()


def view_of_files() -> str:
    """Return what tells the files that this process sees from those of others: its host, its mounts and its root.

    A container may have its host's name, and other files under the same paths.

    Examples
    --------
    >>> view_of_files() == view_of_files()
    True
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/mnt"))
    with contextlib.suppress(OSError):
        root = os.stat("/")
        parts.append(f"{root.st_dev}:{root.st_ino}")
    return " ".join(parts)


def tell_surroundings() -> Told:
    """Return the surroundings of this process.

    Examples
    --------
    >>> told = tell_surroundings()
    >>> told.folder == os.getcwd() and "PATH" in told.variables
    True
    """
    try:
        folder = os.getcwd()
    except OSError:
        folder = ""
    variables = {name: digest_of_value(value, name) for name, value in os.environ.items()}
    variables[EVERYTHING] = digest_of_all(os.environ.items())
    return Told(this_process(), folder, variables)


def digest_of_all(variables: Iterable[tuple[str, str]]) -> str:
    """Return what stands for all variables together, but for dask's private ones: its settings, and a process id.

    Examples
    --------
    >>> digest_of_all([("A", "1"), ("__DASK_PARENT_PID", "71")]) == digest_of_all([("A", "1")])
    True
    """
    return digest_of_value(repr(sorted(each for each in variables if not each[0].startswith(_DASKS_OWN))))


def digest_of_value(value: str, name: str = "") -> str:
    """Return what stands for the value of a variable: the value itself is kept nowhere.

    Of a variable that is named like a secret only so much is kept as shows a change, and nobody can guess it from that.

    Examples
    --------
    >>> digest_of_value("2017") == digest_of_value("2018")
    False
    >>> len(digest_of_value("hunter2", "DB_PASSWORD"))
    4
    """
    size = 2 if _SECRET.search(name) else 16
    return hashlib.blake2b(os.fsencode(value), digest_size=size, person=b"cachingclient-va").hexdigest()
