"""Files that are asked about without being opened: whether one is there, its size and time, where a link leads.

``os.path.exists`` and its like come down to ``os.stat``, of which the interpreter tells nobody.
"""

from __future__ import annotations

import functools
import os
import pathlib
import sys
from collections.abc import Callable
from itertools import islice
from types import FrameType
from typing import Any

from cachingclient.worker.observe.audit import Handler, note_path, tell
from cachingclient.worker.observe.callers import asked_by_user, callers, file_of, files_of, is_standard, who_calls
from cachingclient.worker.observe.current import Observers
from cachingclient.worker.observe.imports import when_imported
from cachingclient.worker.observe.open_folders import from_folder, path_of
from cachingclient.worker.observe.record import Observed
from cachingclient.worker.observe.wrap import set_in_class

_ASK_WHETHER_THERE = frozenset(
    {"exists", "lexists", "isfile", "isdir", "islink", "ismount", "is_file", "is_dir", "is_symlink", "is_mount"}
    | {"realpath", "_joinrealpath", "resolve", "makedirs", "mkdir", "walk", "_walk", "glob", "iglob"}
    | {"_samefile", "_stat"}  # of shutil, before it reads the one file and writes the other
)
"""Functions of the standard library that take nothing from a look but whether a file is there, and of what kind."""
_REMOVERS = file_of("shutil")
_FOR_OTHERS = {file_of("genericpath"), file_of("os"), *files_of(pathlib.__name__)}
"""Modules whose functions ask for whoever calls them."""


def install() -> None:
    """See what is asked about files from now on."""
    for name in ("stat", "lstat", "fstat"):
        _replace(name, _look)
    _replace("access", _try)
    _replace("readlink", _follow)
    stat = os.DirEntry.stat

    @functools.wraps(stat)
    def entry_stat(self: os.DirEntry[Any], *args: Any, **kwargs: Any) -> os.stat_result:
        tell(_look_at_entry, (self.path,), who_calls())
        return stat(self, *args, **kwargs)

    set_in_class(os.DirEntry, "stat", entry_stat)
    when_imported("fsspec.implementations.local", lambda module: _FOR_OTHERS.add(file_of(module.__name__)))


def _replace(name: str, note: Handler) -> None:
    original: Callable[..., Any] = getattr(os, name)

    @functools.wraps(original)
    def looked(path: Any, *args: Any, **kwargs: Any) -> Any:
        folder = kwargs.get("dir_fd")
        if type(path) is int:
            tell(_look_at_open_file, (path,), who_calls())
        else:
            tell(note, (path, -1 if folder is None else folder), who_calls())
        return original(path, *args, **kwargs)

    for module in (os, sys.modules["posix"]):  # it is pickled and identified under the second
        setattr(module, name, looked)
    for abilities in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks, os.supports_effective_ids):
        if original in abilities:
            abilities.add(looked)


def _look(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if any(_asks_whether_there(one) for one in islice(callers(frame), 2)):
        note_path(found, from_folder(*args), frame, Observed.asked_for)
        return
    note_path(found, from_folder(*args), frame, _note_size)
    code = frame.f_code
    takes_no_time = code.co_name in ("getsize", "samefile") and is_standard(code.co_filename)
    if not takes_no_time and asked_by_user(frame, _FOR_OTHERS):
        note_path(found, from_folder(*args), frame, Observed.asked_for_time)


def _look_at_open_file(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note that the time of a file is asked for that is open: what else it tells is noted where it is opened."""
    if asked_by_user(frame, _FOR_OTHERS) and os.path.isabs(path := path_of(args[0])):
        note_path(found, path, frame, Observed.asked_for_time)


def _try(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    path = from_folder(*args)
    note_path(found, path, frame, _note_size)
    if asked_by_user(frame):
        note_path(found, path, frame, Observed.asked_for_mode)


def _note_size(seen: Observed, path: str) -> None:
    """Note a look that takes more than whether something is there: of a folder no more counts."""
    if os.path.isdir(path):
        seen.asked_for(path)
    else:
        seen.read(path)


def _asks_whether_there(frame: FrameType) -> bool:
    """Whether a frame is of such a function; one of the user's of the same name may take the size as well."""
    code = frame.f_code
    return code.co_name in _ASK_WHETHER_THERE and is_standard(code.co_filename)


def _look_at_entry(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if frame.f_code.co_filename != _REMOVERS:
        note_path(found, args[0], frame, _note_size)
        if asked_by_user(frame, _FOR_OTHERS):
            note_path(found, args[0], frame, Observed.asked_for_time)


def _follow(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_path(found, from_folder(*args), frame, Observed.followed)
