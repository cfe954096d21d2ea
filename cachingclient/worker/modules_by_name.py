"""Modules of the user's that a step runs without its code leading there: by a pickle, a name or a file that it runs.

A pickled model refers to its classes and functions by module and name. A library may make an object of a class that a
configuration names. A configuration in Python that is loaded from a path imports other modules. No key knows of them,
so their files count like any others that the step read, and so do those of the modules that they import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection

import psutil  # type: ignore[import-untyped]

from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.keys import Code
from cachingclient.plan.module_sources import UNNAMED, imports, with_packages
from cachingclient.plan.user_classes import Scope
from cachingclient.worker.observe import Observed, stamp
from cachingclient.worker.observe.audit import imported_at
from cachingclient.worker.packed import holds_packed
from cachingclient.worker.seen import NotKept


def add_modules(
    seen: Observed, code: Code, arguments: Collection[tuple[object, Identity | str]], result: object
) -> None:
    """Add the files of modules that a step reached by name alone to those that it read.

    Parameters
    ----------
    seen
        What was observed of the step.
    code, arguments
        The step's code, and its arguments with their identities: what these lead to counts already, and not by files.
    result
        What it returned: the classes and functions in it are compared when it is loaded.

    Raises
    ------
    NotKept
        One of them runs code that can't be told from its source.
    """
    if not seen.by_name and not any(path.endswith(".py") for path in seen.reads):
        return
    identities = (*code.functions, *code.values, *(each for _, each in arguments if isinstance(each, Identity)))
    known = {label.partition(" ")[2] for each in identities for label in each.ingredients}
    if seen.by_name and not holds_packed(result):  # nobody compares the classes of what a library packed
        known |= Scope(result).names()
    waiting = [
        each for module, name in seen.by_name if f"{module}.{name}" not in known for each in with_packages(module)
    ]
    waiting += [name for path in seen.reads if path.endswith(".py") for name in _imports(path, "")]
    imported: dict[str, float] = {}
    while waiting:
        name = waiting.pop()
        if (path := _file_of(name)) and path not in imported:
            imported[path] = when_imported(name)
            waiting += _imports(path, getattr(sys.modules[name], "__package__", None) or "")
    for path in sorted(imported.keys() - seen.reads.keys()):
        if (found := stamp(path)) is not None:
            seen.reads[path] = found
            if os.stat(path).st_ctime > imported[path] - _CLOCKS_DIFFER:
                seen.give_reason(f"{path} may have changed since this process imported it; restart the workers")


def _imports(path: str, package: str) -> list[str]:
    """Return what a file imports, as `imports` has it; raises `NotKept` where only a run can tell."""
    names = list(imports(path, package))
    if UNNAMED in names:
        raise NotKept(f"{path}, which it reaches by a name or a path alone, runs code that its source does not name")
    return names


_STARTED = psutil.Process().create_time()
_CLOCKS_DIFFER = 2.0  # seconds, between this machine and a file system


def when_imported(module: str) -> float:
    """Return when this process imported a module, in seconds since 1970; when it started, where nobody saw it."""
    return imported_at.get(module, _STARTED)


def _file_of(name: str) -> str:
    """Return the source of a module of the user's; empty if it is a library's, is not imported or has none."""
    path = str(getattr(sys.modules.get(name), "__file__", None) or "")
    return path if path.endswith(".py") and is_user_code(name) else ""
