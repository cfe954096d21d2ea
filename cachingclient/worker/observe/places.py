"""Which files count: those of the analysis, not those of installed libraries, the system and caches."""

from __future__ import annotations

import functools
import os
import sys
from fnmatch import fnmatchcase
from types import FrameType

from cachingclient.worker.observe.callers import (
    LIBRARY_FOLDERS,
    asked_by_user,
    is_imported_library,
    is_importing,
    is_library,
    is_loading_by_path,
)

_SYSTEM = ("/proc/", "/sys/", "/etc/", "/usr/lib/", "/usr/lib64/", "/usr/share/", "/lib/", "/lib64/", "/var/cache/")
if sys.platform == "darwin":
    _SYSTEM += "/System/", "/Library/", "/private/etc/", "/private/var/db/"
_PREFIXES = tuple(
    os.path.join(prefix, name) + os.sep
    for prefix in {sys.prefix, sys.base_prefix, os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)}
    for name in ("lib", "share", "etc", "bin", "include")
)
_CODE = (".py", ".pyc", ".pyi", ".so", ".pth")
_READERS_OF_CODE = tuple(
    os.path.join(os.path.dirname(os.__file__), name)
    for name in ("inspect.py", "traceback.py", "importlib/metadata/", "py_compile.py")
)
_LINES = ("linecache.py", "tokenize.py")
_READERS_OF_LINES = frozenset(os.path.join(os.path.dirname(os.__file__), name) for name in _LINES)
_SCRATCH = ("/dask-scratch-space/", "/dask-worker-space/")

_ignored_folders: tuple[str, ...] = ()
_ignored_patterns: tuple[str, ...] = ()


def ignore_folder(path: str | os.PathLike[str]) -> None:
    """Let nothing count that lies in a folder, such as a store's.

    Parameters
    ----------
    path
        The folder; a relative one is one of the working folder of now.

    Examples
    --------
    >>> ignore_folder("/scratch/store-of-alice")
    >>> is_ignored("/scratch/store-of-alice/aa/blob")
    True
    """
    global _ignored_folders
    name = os.path.abspath(os.fspath(path)).rstrip(os.sep) + os.sep
    if name not in _ignored_folders:
        _ignored_folders = (*_ignored_folders, name)
        is_ignored.cache_clear()


def ignore_pattern(pattern: str) -> None:
    """Let no file count whose absolute path matches a glob, such as ``"*/logs/*.log"``.

    Examples
    --------
    >>> ignore_pattern("*/logs-of-alice/*.log")
    >>> is_ignored("/home/alice/logs-of-alice/today.log")
    True
    """
    global _ignored_patterns
    if pattern not in _ignored_patterns:
        _ignored_patterns = (*_ignored_patterns, pattern)
        is_ignored.cache_clear()


@functools.lru_cache(maxsize=50_000)
def is_ignored(path: str) -> bool:
    """Whether a path counts for no step, whoever opens it.

    Examples
    --------
    >>> is_ignored("/proc/self/status"), is_ignored("/home/alice/corrections/jec.json")
    (True, False)
    """
    below = path + os.sep
    if below.startswith((*_SYSTEM, *LIBRARY_FOLDERS, *_PREFIXES, *_ignored_folders)):
        return True
    if "/site-packages/" in below or "/__pycache__/" in below or path.endswith(".pyc"):
        return True
    if path.startswith("/dev/") and not path.startswith("/dev/shm/"):
        return path not in ("/dev/stdin", "/dev/tty")
    return any(fnmatchcase(path, pattern) for pattern in _ignored_patterns)


def is_of_library(path: str, frame: FrameType) -> bool:
    """Whether a library opens a path for purposes of its own: code, a cache, dask's scratch folder."""
    if is_importing(frame):
        return (path.endswith(_CODE) and not is_loading_by_path(frame)) or not os.path.isfile(path)
    if frame.f_code.co_filename.startswith(_READERS_OF_CODE):
        return True
    if frame.f_code.co_filename in _READERS_OF_LINES:
        return path.endswith(_CODE) or not asked_by_user(frame, _READERS_OF_LINES)
    if is_imported_library(frame):
        return True
    if is_library(frame) and is_loaded_source(path):
        return True
    in_cache = path.startswith(_cache_folders()) or any(folder in path for folder in _SCRATCH)
    return in_cache and is_library(frame)


def is_loaded_source(path: str) -> bool:
    """Whether a file is the source of a module: who imports, compiles or shows it reads code, no data."""
    if not path.endswith(".py"):
        return False
    return any(getattr(module, "__file__", None) == path for module in list(sys.modules.values()))


@functools.lru_cache(maxsize=8)
def _cache_folders_of(settings: tuple[str | None, ...]) -> tuple[str, ...]:
    home, xdg, *others = settings
    named = [
        xdg or os.path.join(home or "/root", ".cache"),
        os.path.join(home or "/root", ".config", "matplotlib"),
        *others,
    ]
    return tuple(os.path.abspath(name).rstrip(os.sep) + os.sep for name in named if name)


def _cache_folders() -> tuple[str, ...]:
    """Return where libraries keep what they can make again."""
    names = ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "PYTHONPYCACHEPREFIX", "TRITON_CACHE_DIR")
    data = os.environ._data  # type: ignore[attr-defined]  # not a look-up that counts
    return _cache_folders_of(
        tuple(os.fsdecode(data[key]) if (key := os.fsencode(name)) in data else None for name in names)
    )


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path matches one of the globs that a step was given."""
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def resolve(path: object) -> tuple[str, bool] | None:
    """Return a path made absolute as the system does it now, and whether it was relative; None if it is none."""
    if type(path) is not str:
        if isinstance(path, int) or path is None:
            return None
        path = os.fsdecode(path)  # type: ignore[arg-type]
    relative = not path.startswith(os.sep)
    if relative:
        path = os.path.join(_getcwd(), path)
    if "/." in path or "//" in path:
        # What ".." leads to depends on links before it.
        path = os.path.realpath(path) if "/.." in path else os.path.normpath(path)
    return path.rstrip(os.sep) or os.sep, relative


_getcwd = os.getcwd
