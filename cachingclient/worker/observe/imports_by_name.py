"""Modules of the user's that a library imports by a name that it was given, as of a class named in a configuration.

``yaml.unsafe_load``, entry points, pydantic's ``ImportString`` and what makes objects of a ``_target_`` do so. It is
seen also where the module was imported long before, of which Python tells nobody: by ``importlib.import_module``, and
by ``__import__`` in those modules of libraries whose code calls it. ``builtins.__import__`` stays Python's own: import
statements go through it too, of which awkward runs thousands for each step, and a function around it would stand in
the traceback of each that fails.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import time
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from cachingclient.hashing.environment.environment import OWN_PACKAGE, is_user_code
from cachingclient.worker.observe import audit
from cachingclient.worker.observe.audit import imported_at, tell
from cachingclient.worker.observe.callers import callers, is_library, is_within_users
from cachingclient.worker.observe.current import Observers, is_of_step

_CALL = "__import__"
_WITH_LEVEL = 4  # arguments after the name, of which the level is the last
_IMPORTLIB = importlib.import_module.__code__.co_filename
_GIVEN_THE_FUNCTION = frozenset({"numba", OWN_PACKAGE})
"""Who looks for the module of a function that it was given: what the function does counts already."""


def install() -> None:
    """See what is imported by a call from now on, also by who has taken ``import_module`` before."""
    bootstrap: Any = importlib._bootstrap
    bootstrap._gcd_import = _chosen(bootstrap._gcd_import)
    audit.LISTENERS["exec"] = _loading
    for name, module in list(sys.modules.items()):
        if issubclass(type(module), ModuleType):
            # Not by the module's own class: one that is loaded lazily would be loaded.
            namespace = ModuleType.__getattribute__(module, "__dict__")
            if any(_calls_import(value, name) for value in list(namespace.values())):
                _listen_in(name, namespace)


def _loading(code: CodeType) -> None:
    """Listen in a module whose code is about to run for the first time."""
    if not _names_import(code):
        return
    loader = sys._getframe(2).f_back  # of the frame that runs the code
    module = loader.f_locals.get("module") if loader is not None else None
    if type(module) is ModuleType and code.co_filename == getattr(module, "__file__", None):
        _listen_in(module.__name__, vars(module))


def _listen_in(name: str, namespace: dict[str, Any]) -> None:
    """Give a library's module an ``__import__`` of its own, that notes what it imports."""
    if _CALL not in namespace and not is_user_code(name) and name.partition(".")[0] != OWN_PACKAGE:
        namespace[_CALL] = _wrap_import(builtins.__import__)


def _calls_import(value: object, module: str) -> bool:
    """Whether a function of a module, or a method of a class of it, names ``__import__``."""
    if type(value) is FunctionType:  # a lazy attribute of torch warns when its class is asked for
        return value.__module__ == module and _names_import(value.__code__)
    if not issubclass(type(value), type):
        return False
    members: Mapping[str, Any] = type.__getattribute__(value, "__dict__")
    if members.get("__module__") != module:
        return False
    functions = (getattr(member, "__func__", member) for member in list(members.values()))
    return any(type(each) is FunctionType and _names_import(each.__code__) for each in functions)


def _names_import(code: CodeType) -> bool:
    return _CALL in code.co_names or any(type(each) is CodeType and _names_import(each) for each in code.co_consts)


def _wrap_import(original: Any) -> Callable[..., Any]:
    def __import__(name: str, *rest: Any, **named: Any) -> Any:
        module = original(name, *rest, **named)
        if is_of_step() and not (rest[3] if len(rest) == _WITH_LEVEL else named.get("level")):
            _note(name, sys._getframe(1))
        return module

    return __import__


class _Choice:
    """What an object runs when it is called: the original itself, unless a step runs.

    It is chosen before the call, so that no frame of this package is in the traceback of an import that fails, nor
    where a module that is imported looks for who imports it, as by a warning's ``stacklevel``.
    """

    def __init__(self, original: Any) -> None:
        self.original = original

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        name = sys._getframe(1).f_locals.get("name")  # of ``import_module``
        if type(name) is str and name not in sys.modules:
            imported_at[name] = time.time()  # of which no event tells
        return self._noting if is_of_step() else self.original

    def _noting(self, name: str, package: str | None = None, level: int = 0) -> Any:
        module = self.original(name, package, level)
        _note(str(getattr(module, "__name__", name)), sys._getframe(1))
        return module


def _chosen(original: Any) -> Any:
    """Return what is called, named and pickled as a function is, and chooses what it runs."""
    name = original.__name__
    told = {each: getattr(original, each) for each in ("__module__", "__doc__", "__name__")}
    return type(name, (), told | {"__call__": _Choice(original), "__reduce__": lambda self: name})()


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
