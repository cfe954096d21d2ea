"""Libraries that look up the caller's variables by the words of a text: ``query`` and ``eval`` of pandas, numexpr.

A text that stands in the code itself counts with the variables that it names. One that comes from elsewhere, a
configuration or an argument, names what no key has: the result is not kept, if it names a variable that could change.
Nor is it where code of the user's takes a frame, by whatever name: what it reads there can't be seen.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from types import CodeType, FrameType, ModuleType
from typing import Any

from cachingclient.hashing.code.bytecode import shape
from cachingclient.hashing.code.dynamic_use import library_name
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.worker.observe.callers import callers, is_library, is_standard
from cachingclient.worker.observe.current import mine, observers

EVENT = "sys._getframe"
_ACCESSORS = frozenset({inspect.currentframe.__code__.co_filename})
"""Files of modules that take a frame for whoever calls them."""
_WORD = re.compile(r"[^\W\d]\w*")


def looked_at(frame: FrameType) -> None:
    """Note that somebody takes a frame, by which its variables can be looked up."""
    if is_library(frame) or _is_for_a_traceback(frame) or not (found := observers()):
        return
    token = mine.set(None)
    try:
        reason = _why_not(frame)
    finally:
        mine.reset(token)
    for seen in found if reason else ():
        seen.give_reason(reason)


def _is_for_a_traceback(frame: FrameType) -> bool:
    """Whether it is a frame that code of Cython's makes of itself, to have a line for it in a traceback.

    Code for CPython's limited interface runs the text ``_getframe()`` for that, with nothing else among its variables;
    what Python itself evaluates has ``__builtins__`` there.
    """
    return frame.f_code.co_names == ("_getframe",) and "__builtins__" not in frame.f_globals and _takes_itself(frame)


def _takes_itself(frame: FrameType) -> bool:
    return next((one for one in callers(sys._getframe(1)) if not _is_ours(one)), None) is frame


def _why_not(frame: FrameType) -> str:
    """Return why what is looked up in a frame may be no part of a key; empty if it is, or if no library looks."""
    taker = next(one for one in callers(sys._getframe(3)) if one.f_code.co_filename not in _ACCESSORS)
    if not is_library(taker):
        return f"{taker.f_code.co_qualname} takes a stack frame, and what it reads there can't be seen"
    asking = [one for one in _inside(frame) if one.f_code.co_filename != __file__]
    who = next((one for one in asking if not _is_ours(one)), None)
    if who is None or is_standard(who.f_code.co_filename):
        return ""
    words = {word for value in asking[-1].f_locals.values() if type(value) is str for word in _WORD.findall(value)}
    if not (unknown := sorted(words.intersection(_not_in_key(frame)))):
        return ""
    code, library = frame.f_code, str(who.f_globals.get("__name__", "")).partition(".")[0]
    return f"{library} looks up {unknown[0]!r} by a text that does not stand in {code.co_qualname}"


def _inside(frame: FrameType) -> Iterator[FrameType]:
    """Yield the frames that a frame called, the innermost first; nothing if it does not run here."""
    found: list[FrameType] = []
    for one in callers(sys._getframe(1)):
        if one is frame:
            yield from found
            return
        found.append(one)


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("cachingclient.worker.observe")


def _not_in_key(frame: FrameType) -> Iterator[str]:
    """Yield the variables that a frame sees of which the key of its code need not have all."""
    code = frame.f_code
    seen = shape(code)
    whole = {reference.name for reference, paths in seen.paths.items() if () in paths}
    known = whole.union(seen.words)
    for name, value in frame.f_globals.items():
        if name not in known and name not in code.co_varnames and not _is_of_library(value):
            yield name
    yield from (name for name in code.co_freevars if name not in known)
    if _is_method(code) and code.co_varnames[0] not in seen.words:
        yield code.co_varnames[0]  # of an object its methods' reads alone may count


def _is_of_library(value: Any) -> bool:
    if isinstance(value, ModuleType):
        return not is_user_code(value.__name__)
    return (name := library_name(value)) is not None and not is_user_code(name.partition(".")[0])


def _is_method(code: CodeType) -> bool:
    owner = code.co_qualname.rpartition(".")[0]
    return bool(owner) and not owner.endswith("<locals>") and code.co_argcount > 0
