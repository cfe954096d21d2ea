"""The system's entropy, seen where it is asked for.

A library that asks for it to name something, such as a temporary file or a connection, draws nothing.
"""

from __future__ import annotations

import functools
import os
import random
import secrets
import sys
import tempfile
import threading
import uuid
from types import CodeType, FrameType
from typing import Any

from cachingclient.worker.observe.audit import Handler, tell
from cachingclient.worker.observe.callers import (
    asked_by_user,
    callers,
    file_of,
    is_importing,
    is_library,
    is_standard,
    is_step_boundary,
    who_calls,
)
from cachingclient.worker.observe.current import Observers
from cachingclient.worker.observe.imports import when_imported

_SYSTEM = "the system's entropy"
_MOST_NAMES = 1000
_NUMPYS_PICKLES = "numpy.random._pickle"
"""It makes a generator with entropy for a pickle or a copy, which set its state next: what was drawn is gone."""
_SOURCES = {"uuid.py": "uuid4", "secrets.py": "secrets", "random.py": _SYSTEM}
_ACCESSORS = frozenset({__file__, *(file_of(module.__name__) for module in (random, secrets, uuid))})
_asked = threading.local()
"""Where entropy was asked for last in a thread, what that is called, and for whom it was the first time."""
_NOWHERE: Any = None, "", ()


def install() -> None:
    """See who asks for entropy from now on."""
    urandom = _drawing(os.urandom, "os.urandom")
    for module in (os, sys.modules["posix"], random):
        setattr(module, "_urandom" if module is random else "urandom", urandom)
    if hasattr(os, "getrandom"):
        getrandom = _drawing(os.getrandom, "os.getrandom")
        for module in (os, sys.modules["posix"]):
            vars(module)["getrandom"] = getrandom
    when_imported("ssl", _observe_ssl)
    names: Any = vars(tempfile)["_RandomNameSequence"]
    following = names.__next__

    @functools.wraps(following)
    def observed_next(self: Any) -> Any:
        name = following(self)
        tell(_made_up_a_name, (name,), who_calls())
        return name

    names.__next__ = observed_next
    _replace_getpid()
    if callable(time_based := getattr(uuid, "_generate_time_safe", None)):
        vars(uuid)["_generate_time_safe"] = _telling(time_based, _drew_entropy)


def _drawing(original: Any, source: str) -> Any:
    @functools.wraps(original)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        tell(_drew_entropy, (source,), who_calls())
        return original(*args, **kwargs)

    return drawn


def _observe_ssl(module: Any) -> None:
    wrapper = _drawing(module.RAND_bytes, "ssl.RAND_bytes")
    for each in (module, sys.modules["_ssl"]):  # it is pickled and identified under the second
        vars(each)["RAND_bytes"] = wrapper


def _replace_getpid() -> None:
    wrapper = _telling(os.getpid, _asked_for_process)
    for module in (os, sys.modules["posix"]):  # it is pickled and identified under the second
        vars(module)["getpid"] = wrapper


def _telling(original: Any, handle: Handler) -> Any:
    @functools.wraps(original)
    def asked() -> Any:
        tell(handle, (), who_calls())
        return original()

    return asked


def _asked_for_process(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if asked_by_user(frame):
        for seen in found:
            seen.asked_process = True


def _made_up_a_name(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    for seen in found:
        if len(seen.made_up) < _MOST_NAMES:
            seen.made_up.add(args[0])
    # A file of that name would be seen; the name alone can only go into the result.
    if frame.f_code.co_name == "mktemp" and asked_by_user(frame, frozenset({file_of("tempfile")})):
        _drew(found, "the name of a temporary file")


def _drew_entropy(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Tell a draw from a name: numpy's generators draw for whoever makes one, the rest draws where the user asks."""
    asked_by = [os.path.basename(one.f_code.co_filename) for one in _up_to_caller(frame)]
    caller = next((one for one in callers(frame) if one.f_code.co_filename not in _ACCESSORS), None)
    if caller is None or (is_library(caller) and not _is_for_numbers(asked_by, frame, caller)):
        return
    if caller.f_globals.get("__name__") == _NUMPYS_PICKLES and _pickles_are_whole():
        return
    source = _SOURCES.get(asked_by[-1] if asked_by else "", args[0] if args else "os.urandom")
    if frame.f_code.co_name == "uuid1":
        source = "uuid1"
    if source is _SYSTEM:
        source = _of_the_system(caller.f_code)
        _asked.last = (id(caller), caller.f_lasti), source, [seen for seen in found if source not in seen.drew]
    _drew(found, source)


@functools.cache
def _pickles_are_whole() -> bool:
    """Whether a pickle holds the seed sequence too, as of numpy 1.26 or so: else what is spawned comes of entropy."""
    pickled = sys.modules["numpy.random"].PCG64(1).__reduce__()
    return isinstance(pickled[2], tuple)


def _of_the_system(code: CodeType) -> str:
    """Return what to call the system's entropy where some code may have numpy ask for it without a use.

    Examples
    --------
    >>> _of_the_system((lambda rng: rng.jumped()).__code__)
    "the system's entropy; numpy's jumped() asks for it without using it, and SeedSequence(seed).spawn() doesn't"
    """
    has_key = any(isinstance(names, tuple) and "key" in names for names in code.co_consts)
    called, better = "", ""
    if "Philox" in code.co_names and has_key:
        called, better = "Philox(key=...)", "Philox(seed)"
    elif "jumped" in code.co_names:
        called, better = "jumped()", "SeedSequence(seed).spawn()"
    return f"{_SYSTEM}; numpy's {called} asks for it without using it, and {better} doesn't" if called else _SYSTEM


def _up_to_caller(frame: FrameType) -> list[FrameType]:
    found: list[FrameType] = []
    for one in callers(frame):
        if one.f_code.co_filename not in _ACCESSORS:
            break
        found.append(one)
    return found


def _is_for_numbers(asked_by: list[str], frame: FrameType, caller: FrameType) -> bool:
    """Whether a library asks for entropy as numpy's seed sequences do, and not while it is imported."""
    if asked_by != ["random.py"] or frame.f_code.co_name != "getrandbits" or is_standard(caller.f_code.co_filename):
        return False
    for one in callers(caller):
        if is_step_boundary(one):
            return True
        if is_importing(one):
            return False
        if not is_library(one):
            return True
    return True


def _drew(found: Observers, source: str) -> None:
    for seen in found:
        seen.drew.add(source)


def forget_draw(frame: FrameType) -> None:
    """Take back the entropy that was asked for in the same call: a seed took its place."""
    where, source, drawn_for = getattr(_asked, "last", _NOWHERE)
    if where == (id(frame), frame.f_lasti):
        for seen in drawn_for:
            seen.drew.discard(source)
    _asked.last = _NOWHERE


def made_unseeded(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note that a generator of Python's own is made without a seed."""
    if isinstance(args[0], random.SystemRandom):
        return
    caller = next((one for one in callers(frame) if one.f_code.co_filename not in _ACCESSORS), None)
    if caller is not None and not is_library(caller):
        _drew(found, "a generator that was given no seed")
