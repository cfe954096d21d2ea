"""Environment variables and the working folder: what Python does not tell of by audit events.

Libraries in C, such as OpenMP's or XRootD's, read variables by themselves; that can't be seen.
"""

from __future__ import annotations

import functools
import os
import pathlib
import sys
import threading
from types import FrameType
from typing import Any

from cachingclient.hashing.inputs.told import EVERYTHING, digest_of_all, digest_of_value
from cachingclient.worker.observe.audit import tell
from cachingclient.worker.observe.callers import (
    asked_by_user,
    callers,
    files_of,
    is_imported_library,
    is_library,
    is_standard,
    named_by_user,
    own_prefixes,
    who_calls,
)
from cachingclient.worker.observe.current import Observers

_through = threading.local()
_MOST_VARIABLES = 1000
_getcwd = os.getcwd
_FOLDER = os.path.dirname(os.__file__)
_ACCESSORS = frozenset(
    [
        *(os.path.join(_FOLDER, name) for name in ("os.py", "posixpath.py", "genericpath.py", "_collections_abc.py")),
        *("<frozen os>", "<frozen posixpath>", "<frozen genericpath>", "<frozen _collections_abc>"),
        *files_of(pathlib.__name__),
        __file__,
    ]
)


def install() -> None:
    """See look-ups in ``os.environ`` and ``os.environb``, and ``os.getcwd``, from now on."""
    environ: Any = type(os.environ)
    getitem, iterate = environ.__getitem__, environ.__iter__

    @functools.wraps(getitem)
    def observed_getitem(self: Any, key: Any) -> Any:
        tell(_looked_up, (self, key), who_calls())
        return getitem(self, key)

    @functools.wraps(iterate)
    def observed_iterate(self: Any) -> Any:
        tell(_looked_through, (self,), who_calls())
        return iterate(self)

    environ.__getitem__, environ.__iter__ = observed_getitem, observed_iterate
    for name in ("getcwd", "getcwdb"):
        wrapper = _observed_getcwd(getattr(os, name))
        for module in (os, sys.modules["posix"]):  # it is pickled and identified under the second
            setattr(module, name, wrapper)


def _observed_getcwd(original: Any) -> Any:
    @functools.wraps(original)
    def getcwd() -> Any:
        tell(_asked_for_folder, (), who_calls())
        return original()

    return getcwd


def _asked_for_folder(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if asked_by_user(frame, _ACCESSORS):
        for seen in found:
            seen.used_cwd = True
    elif not is_imported_library(frame):
        for seen in found:
            seen.asked_folder = seen.asked_folder or os.path.join(_getcwd(), "")


def _looked_up(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    environ, key = args
    name = os.fsdecode(key)
    needed = [seen for seen in found if name not in seen.variables and name not in seen.variables_set]
    if not needed or _goes_through(frame) or not named_by_user(name, frame, _ACCESSORS):
        return
    value = environ._data.get(environ.encodekey(key))
    for seen in needed:
        if len(seen.variables) < _MOST_VARIABLES:
            seen.variables[name] = None if value is None else digest_of_value(os.fsdecode(value), name)
        else:
            seen.give_reason(f"more than {_MOST_VARIABLES} environment variables were read")


def _goes_through(frame: FrameType) -> bool:
    """Whether a library looks up one variable after the other, as it went through all of them."""
    caller = next((one for one in callers(frame) if one.f_code.co_filename not in _ACCESSORS), frame)
    return is_library(caller) and getattr(_through, "last", None) == (id(caller), caller.f_code)


def _were_given(environ: object, frame: FrameType) -> bool:
    """Whether the user gave all variables to a function of the standard library, as ``ConfigParser(os.environ)``."""
    given = False
    for one in callers(frame):
        code = one.f_code
        if code.co_filename in _ACCESSORS:
            continue
        if not is_standard(code.co_filename):
            return given and not is_library(one)
        parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        given = given or any(one.f_locals.get(name) is environ for name in parameters)
    return False


def _looked_through(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if not asked_by_user(frame, _ACCESSORS) and not _were_given(args[0], frame):
        caller = next((one for one in callers(frame) if one.f_code.co_filename not in _ACCESSORS), frame)
        _through.last = id(caller), caller.f_code
        if is_standard(caller.f_code.co_filename) or is_imported_library(caller) or own_prefixes(caller):
            return
    everything = digest_of_all((os.fsdecode(key), os.fsdecode(value)) for key, value in args[0]._data.items())
    for seen in found:
        seen.variables.setdefault(EVERYTHING, everything)
