"""What is asked about modules and packages without importing them: whether there is one, and in which version.

No key says so: a library counts with the steps that reach it.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from cachingclient.worker.observe.audit import tell
from cachingclient.worker.observe.callers import callers, file_of, is_library
from cachingclient.worker.observe.current import Observers
from cachingclient.worker.observe.imports import when_imported
from cachingclient.worker.observe.wrap import replace


def install() -> None:
    """See what is asked from now on."""
    replace(importlib.util, "find_spec", functools.partial(_telling, frozenset({file_of("importlib.util")})))
    for module in ("importlib.metadata", "importlib_metadata"):
        when_imported(module, _wrap_metadata)


def _wrap_metadata(module: Any) -> None:
    accessors = frozenset({file_of(module.__name__)})
    for name in ("from_name", "discover"):
        original = vars(module.Distribution)[name].__func__
        setattr(module.Distribution, name, classmethod(functools.wraps(original)(_telling(accessors, original))))


def _telling(accessors: frozenset[str], original: Callable[..., Any]) -> Callable[..., Any]:
    def asking(*args: Any, **kwargs: Any) -> Any:
        name = next((each for each in args if isinstance(each, str)), kwargs.get("name"))
        tell(_note, (name, accessors), sys._getframe(1))
        return original(*args, **kwargs)

    return asking


def _note(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    name, accessors = args
    asking = next((one for one in callers(frame) if one.f_code.co_filename not in accessors), frame)
    # What a module of the user's makes of it while it is imported stands in its variables, which count by their values.
    if not is_library(asking) and asking.f_code.co_name != "<module>":
        for seen in found:
            what = f"whether there is a {name}, and in which version" if name else "which packages are installed"
            seen.give_reason(f"it asks {what}, and no key says so")
