"""HDF5: the files that a file leads to, by links into others, as parts of a virtual dataset, or as raw data.

HDF5 opens them by itself; each group and dataset that h5py makes is asked where it lies.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from types import FrameType
from typing import Any

from cachingclient.hashing.inputs.listing import MOST_NAMES
from cachingclient.worker.observe.audit import note_path, tell
from cachingclient.worker.observe.callers import who_calls
from cachingclient.worker.observe.current import Observers, observers
from cachingclient.worker.observe.imports import when_imported
from cachingclient.worker.observe.record import Observed
from cachingclient.worker.observe.wrap import replace

_COUNTED = "%b"
"""Stands in the name of a virtual dataset's part for its number, where there may be more parts than now."""
_IN_PIECES = ("family", "split", "multi")
"""Drivers of HDF5 that keep one file as several, of names that they make."""


def install() -> None:
    """Look at groups and datasets from now on."""
    when_imported("h5py._hl.group", lambda module: replace(module, "Group.__init__", _look_after))
    when_imported("h5py._hl.dataset", lambda module: replace(module, "Dataset.__init__", _look_after))


def _look_after(original: Any) -> Any:
    def made(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if observers():
            tell(_opened, (self,), who_calls())

    return made


def _opened(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note the file that a group or dataset lies in, and those that HDF5 reads for it."""
    (made,) = args
    file = made.file
    name = str(file.filename)
    refuse = functools.partial(_refuse, found)
    note = functools.partial(_note, found, frame, file.mode != "r")
    if file.driver in _IN_PIECES:
        refuse(f"{name} lies in pieces, by HDF5's driver {file.driver}")
    elif os.path.exists(name):  # what lies in memory has another
        note(name)
    if hasattr(made, "is_virtual"):
        _look_behind(made, note, refuse)


def _look_behind(dataset: Any, note: Callable[[str], None], refuse: Callable[[str], None]) -> None:
    """Note the files with a dataset's raw data, and with its parts, which may have parts in turn."""
    from h5py import File

    for raw, *_ in dataset.external or ():
        note(raw)
    parts = dataset.virtual_sources() if dataset.is_virtual else []
    name, folder = dataset.file.filename, os.path.dirname(os.path.abspath(dataset.file.filename))
    if len(parts) > MOST_NAMES or any(_COUNTED in part.file_name for part in parts):
        refuse(f"a dataset of {name} has parts in more files than can be told")
        return
    for part in parts:
        if part.file_name == ".":
            continue
        path = os.path.join(folder, part.file_name)
        note(path)
        if not os.path.exists(path):  # then it is looked for where the program runs
            path = part.file_name
            note(path)
        with contextlib.suppress(OSError, KeyError), File(path) as file:  # not there, or open to be written
            _look_behind(file[part.dset_name], note, refuse)


def _note(found: Observers, frame: FrameType, writes: bool, path: str) -> None:
    note_path(found, path, frame, Observed.read)
    if writes:
        note_path(found, path, frame, lambda seen, full: seen.wrote(full, "changed"))


def _refuse(found: Observers, reason: str) -> None:
    for seen in found:
        seen.give_reason(reason)
