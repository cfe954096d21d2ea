"""Files that every task finds beside it, by their names: corrections, libraries of C++, configurations.

They are copied when the cluster is made, and stay as they were then.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from distributed import Worker, WorkerPlugin

Given = Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]] | None
_TAKEN = ("task", "value", "status", "done")
"""The names of the files that a pool's task has anyway."""
_OURS = ("input-", "credential-")
"""What the names of others of them begin with."""


def parse_extra_files(given: Given) -> dict[str, Path]:
    """Return the files under the names that tasks find them by.

    Parameters
    ----------
    given
        Paths, or paths by the names that tasks shall see.

    Raises
    ------
    ValueError
        If a name makes no sense, or two files have the same.
    FileNotFoundError
        If there is no such file.
    """
    if isinstance(given, (str, os.PathLike)):
        raise ValueError(f"extra_files is {given!r}; it takes a list of paths, or a dict of names and paths")
    named = list(given.items()) if isinstance(given, Mapping) else [(Path(path).name, path) for path in given or ()]
    found: dict[str, Path] = {}
    for name, where in named:
        path = Path(where).absolute()
        if not name or name in (".", "..") or os.sep in name or name in _TAKEN or name.startswith(_OURS):
            raise ValueError(f"extra_files names {name!r}; it takes names without '/', and none that a task's own have")
        if name in found:
            raise ValueError(f"extra_files has two files of the name {name!r}; give a dict with names for them")
        if not path.is_file():
            raise FileNotFoundError(f"extra_files names {name!r} for {path}, where there is no file")
        found[name] = path
    return found


def copy_into(folder: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    """Copy files into a folder, where they stay as they are now; return the copies by their names."""
    if files:
        folder.mkdir(exist_ok=True)
    return {name: Path(shutil.copy(path, folder / name)) for name, path in files.items()}


class ExtraFiles(WorkerPlugin):
    """Puts files into a worker's own folder and has its tasks run there.

    Parameters
    ----------
    files
        Paths of files by their names.
    """

    name = "vine-extra-files"

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._contents = {name: (path.read_bytes(), path.stat().st_mode & 0o777) for name, path in files.items()}
        self._made_in = os.getpid()

    def setup(self, worker: Worker) -> None:
        """Write the files, and go there.

        Raises
        ------
        RuntimeError
            If the worker has no process of its own, whose working folder this could be.
        """
        folder = Path(worker.local_directory)
        if os.getpid() == self._made_in:
            raise RuntimeError("extra_files needs workers with processes of their own; this one is in the client's")
        for name, (data, mode) in self._contents.items():
            path = folder / name
            path.write_bytes(data)
            path.chmod(mode)
        os.chdir(folder)
