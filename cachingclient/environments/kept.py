"""Packed environments in the user's cache folder, by the digests of what they hold: the last three are kept."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from cachingclient import units
from cachingclient.environments.archive import PACKERS
from cachingclient.environments.building import build, files_of
from cachingclient.environments.lock import Lock, read_lock

KEPT = 3
"""How many are kept, those that were used last."""
_UNFINISHED = ".unfinished-"
_SAY_EVERY = 5.0
"""Seconds between two words of how far it is."""


@dataclass(frozen=True)
class Packed:
    """An environment that is packed.

    Attributes
    ----------
    archive
        The file.
    digest
        The SHA-256 of the file.
    nbytes
        Its size.
    prefix
        The environment that it was made of.
    python
        The version of its Python.
    distributions
        The versions of what is in it.
    editable
        The commits of its editable packages, with a ``+`` where files had changed since.
    """

    archive: Path
    digest: str
    nbytes: int
    prefix: str
    python: str
    distributions: dict[str, str]
    editable: dict[str, str]

    @property
    def used(self) -> float:
        """When it was last asked for; 0 once it is gone."""
        try:
            return _description(self.archive).stat().st_mtime
        except FileNotFoundError:
            return 0.0


def default_folder() -> Path:
    """Return the folder in the user's cache folder where packed environments are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "cachingclient" / "environments"


def say(text: str) -> None:
    """Say what is done to whoever waits."""
    print(text, file=sys.stderr, flush=True)


def pack(folder: Path | None = None, report: Callable[[str], None] = say) -> Packed:
    """Return the packed environment of the Python that runs this, which is packed unless it was before.

    Raises
    ------
    ValueError
        If it is none that can be packed.
    ImportError
        If the library that packs it is missing.
    OSError
        If the folder has no room.
    """
    folder = folder or default_folder()
    lock = read_lock()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = _find(folder, lock)
    if found is None:
        with _locked(folder, report):
            found = _find(folder, lock) or _pack(folder, lock, report)
            _make_room(folder, found)
    with contextlib.suppress(OSError):
        os.utime(_description(found.archive))  # those that were used last are kept
    return found


def packed(folder: Path | None = None) -> list[Packed]:
    """Return those that are kept, the last used first."""
    found = [each for file in (folder or default_folder()).glob("*.json") if (each := _read(file)) is not None]
    return sorted(found, key=lambda each: each.used, reverse=True)


def _description(archive: Path) -> Path:
    return archive.with_name(archive.name.removesuffix(".tar.gz") + ".json")


def _find(folder: Path, lock: Lock) -> Packed | None:
    """Return the archive of a lock if it is there and whole."""
    found = _read(folder / f"{lock.digest[:32]}.json")
    if found is None or not found.archive.is_file() or found.archive.stat().st_size != found.nbytes:
        return None
    return found if digest_of(found.archive) == found.digest else None


def _read(file: Path) -> Packed | None:
    try:
        told = json.loads(file.read_text())
        return Packed(**{**told, "archive": file.with_name(told["archive"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def digest_of(archive: Path) -> str:
    """Return the SHA-256 of a file."""
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _locked(folder: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Wait for whoever packs here; on file systems without locks both pack, and one archive takes the other's place."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        except BlockingIOError:
            report("another process packs an environment: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
            locked = True
        except OSError:
            locked = False
        for left in folder.glob(f"{_UNFINISHED}*") if locked else ():
            shutil.rmtree(left, ignore_errors=True)  # a process that packed was killed
        yield


def _pack(folder: Path, lock: Lock, report: Callable[[str], None]) -> Packed:
    library = PACKERS[lock.kind]
    if importlib.util.find_spec(library) is None:
        name = library.replace("_", "-")
        raise ImportError(
            f"packing {lock.prefix} takes {name}: pip install 'cachingclient[environments]'", name=library
        )
    archive = folder / f"{lock.digest[:32]}.tar.gz"
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder) as place:
        try:
            unfinished = Path(place, "environment.tar.gz")
            added = list(build(lock.editable, Path(place), report))
            _archive(lock, list(files_of(lock.editable)), added, unfinished, report)
            if read_lock().digest != lock.digest:
                raise ValueError(f"the environment {lock.prefix} was changed while it was packed: pack it again")
            found = Packed(
                archive,
                digest_of(unfinished),
                unfinished.stat().st_size,
                str(lock.prefix),
                lock.python.partition(" (")[0],
                {name: version.partition(" ")[0] for name, version in lock.distributions.items()},
                {name: each.commit + ("+" if each.changed else "") for name, each in lock.editable.items()},
            )
            description = Path(place, "environment.json")
            description.write_text(json.dumps({**asdict(found), "archive": archive.name}, indent=1))
            unfinished.replace(archive)
            description.replace(_description(archive))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_room(folder) from error
            raise
    report(f"packed {lock.prefix} in {units.duration(time.monotonic() - start)}: {units.size(found.nbytes)}")
    return found


def _no_room(folder: Path) -> OSError:
    return OSError(
        errno.ENOSPC, f"{folder} has no room for the packed environment; another folder may have", str(folder)
    )


def _archive(
    lock: Lock, leave: list[str], add: list[tuple[str, str]], output: Path, report: Callable[[str], None]
) -> None:
    """Have the program of `archive` write an archive."""
    told = {"kind": lock.kind, "prefix": str(lock.prefix), "leave": leave, "add": add, "output": str(output)}
    with (output.parent / "errors").open("w+") as errors:
        program = subprocess.Popen(
            [sys.executable, "-m", "cachingclient.environments.archive"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "TMPDIR": str(output.parent)},
        )
        with program:
            assert program.stdin is not None
            assert program.stdout is not None
            try:
                program.stdin.write(json.dumps(told))
                program.stdin.close()
                _tell(program.stdout, lock, report)
            except BaseException:
                program.kill()
                raise
        if program.returncode:
            errors.seek(0)
            words = errors.read().strip()
            if os.strerror(errno.ENOSPC) in words or os.strerror(errno.EDQUOT) in words:
                raise OSError(errno.ENOSPC, words)
            raise ValueError(f"{PACKERS[lock.kind].replace('_', '-')} can't pack {lock.prefix}: {words[-2000:]}")


def _tell(lines: IO[str], lock: Lock, report: Callable[[str], None]) -> None:
    """Say how far it is, at the beginning and every few seconds."""
    said = -_SAY_EVERY
    for line in lines:
        done, _, total = line.strip().partition(" ")
        if done.isdigit() and total.isdigit() and time.monotonic() - said >= _SAY_EVERY:
            said = time.monotonic()
            report(f"packing {lock.prefix}: {int(done):,} of {int(total):,} files")


def _make_room(folder: Path, new: Packed) -> None:
    """Remove all but the last used and the new one; what somebody holds stays."""
    for old in [each for each in packed(folder) if each.archive != new.archive][KEPT - 1 :]:
        with contextlib.suppress(OSError), old.archive.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            old.archive.unlink()
            _description(old.archive).unlink(missing_ok=True)
