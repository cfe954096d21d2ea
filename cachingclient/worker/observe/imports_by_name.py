"""Modules of the user's that a library imports by a name that it was given, as of a class named in a configuration.

``yaml.unsafe_load``, entry points, pydantic's ``ImportString`` and what makes objects of a ``_target_`` do so. It is
seen also where the module was imported long before, of which Python tells nobody.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import time
from types import FrameType
from typing import Any

from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.worker.observe.audit import imported_at, tell
from cachingclient.worker.observe.callers import callers, is_library, is_within_users
from cachingclient.worker.observe.current import Observers, observers

_WITH_LEVEL = 4  # arguments after the name, of which the level is the last
_IMPORTLIB = importlib.import_module.__code__.co_filename
_GIVEN_THE_FUNCTION = frozenset({"numba", "cachingclient"})
"""Who looks for the module of a function that it was given: what the function does counts already."""


def install() -> None:
    """See what is imported by a call from now on, also by who has taken ``import_module`` before."""
    builtins.__import__ = _wrap_import(builtins.__import__)
    bootstrap: Any = importlib._bootstrap
    bootstrap._gcd_import = _wrap_import_module(bootstrap._gcd_import)


def _wrap_import(original: Any) -> Any:
    # Statements go through it too: it does next to nothing unless a library asks for a module of the user's.
    def __import__(name: str, *rest: Any, **named: Any) -> Any:
        module = original(name, *rest, **named)
        if observers() and not (rest[3] if len(rest) == _WITH_LEVEL else named.get("level")):
            _note(name, sys._getframe(1))
        return module

    return __import__


def _wrap_import_module(original: Any) -> Any:
    def _gcd_import(name: str, package: str | None = None, level: int = 0) -> Any:
        if not level and name not in sys.modules:
            imported_at[name] = time.time()  # of which no event tells
        module = original(name, package, level)
        if observers():
            _note(str(getattr(module, "__name__", name)), sys._getframe(1))
        return module

    return _gcd_import


def _note(name: str, frame: FrameType) -> None:
    asking = next((one for one in callers(frame) if one.f_code.co_filename != _IMPORTLIB), frame)
    # What the user's own code imports is followed by reading it.
    if is_library(asking) and _top(asking) not in _GIVEN_THE_FUNCTION and is_user_code(name):
        tell(_add, (name,), asking)


def _top(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "").partition(".")[0]


def _add(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if not is_within_users(frame):  # what a library unpacks before it calls the step came with it
        return
    for seen in found:
        if not any(module == args[0] for module, _ in seen.by_name):  # of a pickle it is known which part is used
            seen.found_by_name(args[0], "")
