"""The source of an editable package: what is in it, by its git commit and what was changed since."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_NOT_SOURCE = frozenset({"__pycache__", "build", "dist", "node_modules"})


@dataclass(frozen=True, slots=True)
class Source:
    """The files of a package's folder.

    Attributes
    ----------
    folder
        The folder, where its ``pyproject.toml`` or ``setup.py`` is.
    commit
        The commit of its repository; empty without one.
    changed
        Files that differ from the commit, by their paths in the folder; all files without a repository.
    digest
        Of the commit and the contents of the changed files.
    files
        All files but those that git is told to ignore, by their paths in the folder.
    """

    folder: Path
    commit: str
    changed: tuple[str, ...]
    digest: str
    files: tuple[str, ...]

    def copy(self, target: Path) -> None:
        """Copy the files, since building writes into their folder."""
        for name in self.files:
            if (self.folder / name).is_dir():  # a submodule
                shutil.copytree(self.folder / name, target / name, symlinks=True, ignore=_ignored)
                continue
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.folder / name, target / name, follow_symlinks=False)


def read_source(folder: Path) -> Source:
    """Look at the source of a package.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "cuts.py").write_text("PT = 25")
    ...     before = read_source(Path(folder))
    ...     _ = Path(folder, "cuts.py").write_text("PT = 30")
    ...     before.changed, before.digest == read_source(Path(folder)).digest
    (('cuts.py',), False)
    """
    head = _git(folder, "rev-parse", "HEAD")
    tracked = _git(folder, "ls-files", "-z", "--cached")
    more = _git(folder, "ls-files", "-z", "--others", "--exclude-standard")
    differ = _git(folder, "diff", "--name-only", "-z", "--relative", "--ignore-submodules=none", "HEAD", "--", ".")
    if head is None or tracked is None or more is None or differ is None or not tracked:
        # No repository, or one that does not hold the folder.
        commit, files = "", sorted(_walk(folder))
        changed = files
    else:
        commit = head.strip()
        files = sorted(name for name in {*_split(tracked), *_split(more)} if os.path.lexists(folder / name))
        changed = sorted({*_split(differ), *_split(more)})
    return Source(folder, commit, tuple(changed), _digest(folder, commit, changed), tuple(files))


def _git(folder: Path, *words: str) -> str | None:
    """Return what git says; None if it has no answer."""
    # Variables of a hook would have it look at another repository.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, env=variables)
    except OSError:
        return None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None


def _split(text: str) -> list[str]:
    return [name for name in text.split("\0") if name]


def _walk(folder: Path) -> Iterator[str]:
    """Return the files of a folder that may be source: neither hidden nor built, and of no environment in there."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _ignored(place, [name]) and not _is_environment(place, name)]
        for name in files:
            if not name.startswith(".") and not name.endswith(".pyc"):
                yield os.path.relpath(os.path.join(place, name), folder)


def _ignored(folder: str, names: Iterable[str]) -> set[str]:
    return {name for name in names if name.startswith(".") or name in _NOT_SOURCE or name.endswith(".egg-info")}


def _is_environment(place: str, name: str) -> bool:
    return any(os.path.exists(os.path.join(place, name, mark)) for mark in ("pyvenv.cfg", "conda-meta"))


def _digest(folder: Path, commit: str, changed: Iterable[str]) -> str:
    found = hashlib.sha256(commit.encode())
    for name in changed:
        path = folder / name
        found.update(f"\0{name}\0".encode(errors="surrogateescape"))
        if path.is_symlink():
            found.update(b"link " + os.fsencode(os.readlink(path)))
        elif path.is_dir():  # a submodule with changes
            inside = sorted(_walk(path))
            found.update(b"folder " + _digest(path, "", inside).encode())
        elif path.exists():
            with path.open("rb") as file:
                mode = path.stat().st_mode & 0o111
                found.update(f"file {mode:o} ".encode() + hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()
