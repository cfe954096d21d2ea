"""SQLite: the databases that it opens, and the random numbers that it draws, by itself.

Python tells of a connection, of its database and of the object. What a statement does beside that, SQLite tells itself:
before it runs one it asks leave for each function and each further database in it.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from types import FrameType
from typing import Any
from urllib.parse import unquote

from cachingclient.worker.observe.audit import HANDLERS, note_path, tell
from cachingclient.worker.observe.current import Observers, observers
from cachingclient.worker.observe.imports import when_imported
from cachingclient.worker.observe.open_folders import stands_in
from cachingclient.worker.observe.record import Observed

_ATTACHES, _CALLS_A_FUNCTION = 24, 31  # SQLITE_ATTACH and SQLITE_FUNCTION, among what SQLite asks leave for
_AHEAD, _AHEAD_AT = 2, 18  # in the header of a database whose last changes may stand in a file beside it
_asked = threading.local()
"""Whether a connection is being made that will ask leave, by thread."""


def install() -> None:
    """Look at connections from now on."""
    HANDLERS["sqlite3.connect"] = _opens
    when_imported("sqlite3.dbapi2", _observe)


def _observe(module: Any) -> None:
    original = module.connect

    def connect(*args: Any, **kwargs: Any) -> Any:
        if not observers():
            return original(*args, **kwargs)
        _asked.leave = True
        try:
            made = original(*args, **kwargs)
        finally:
            _asked.leave = False
        made.set_authorizer(_allow)
        return made

    stands_in(connect.__code__)
    functools.update_wrapper(connect, original)
    for each in (module, sys.modules["sqlite3"], sys.modules["_sqlite3"]):
        vars(each)["connect"] = connect


def _opens(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    _note_database(found, os.fsdecode(args[0]) if not isinstance(args[0], int) else "", frame)
    if not getattr(_asked, "leave", False):
        for seen in found:
            seen.give_reason("it connects to SQLite by a class of its own, whose statements can't be seen")


def _note_database(found: Observers, name: str, frame: FrameType) -> None:
    """A database may be read and written: what was written shows at the end."""
    if name.startswith("file:"):
        name = unquote(name[5:].partition("?")[0])
    if name and name != ":memory:":
        note_path(found, name, frame, _note)


def _note(seen: Observed, path: str) -> None:
    ahead = f"{path}-wal"
    for each in (ahead, path) if os.path.exists(ahead) or _may_write_ahead(path) else (path,):
        if each == ahead or os.path.exists(each):
            seen.read(each)
        seen.wrote(each, "changed")


def _may_write_ahead(path: str) -> bool:
    """Whether a change of a database may leave its own file as it was."""
    try:
        with open(path, "rb") as file:
            return _AHEAD in file.read(_AHEAD_AT + 2)[_AHEAD_AT:]
    except OSError:
        return False


def _allow(action: int, name: str | None, function: str | None, *where: object) -> int:
    if action == _CALLS_A_FUNCTION and str(function).lower() in ("random", "randomblob"):
        tell(_draws, (function,), sys._getframe(0))
    elif action == _ATTACHES:
        tell(_attaches, (name,), sys._getframe(0))
    return 0


def _draws(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    for seen in found:
        seen.drew.add(f"SQLite's {args[0]}()")


def _attaches(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if args[0] is not None:
        _note_database(found, args[0], frame)
        return
    for seen in found:
        seen.give_reason("it attaches a database to SQLite by a name that can't be seen; write it into the statement")
