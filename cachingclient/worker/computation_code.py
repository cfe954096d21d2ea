"""The code around a call that the dashboard shows is the user's: frames of this package are left out as dask's are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask

_IGNORED_MODULES = "distributed.diagnostics.computations.ignore-modules"
_OWN_MODULES = r"cachingclient\."


def without_own_modules(original: Callable[[int | None, int], Any]) -> Callable[..., Any]:
    """Return what gives the user's code around a call, made from dask's own function for it."""

    def get_computation_code(stacklevel: int | None = None, nframes: int = 1) -> Any:
        ignored = dask.config.get(_IGNORED_MODULES)
        if stacklevel is not None or nframes <= 0 or not isinstance(ignored, list) or _OWN_MODULES in ignored:
            level = stacklevel if stacklevel is None else max(stacklevel, 1) + 1
            return original(level, nframes)
        with dask.config.set({_IGNORED_MODULES: [*ignored, _OWN_MODULES]}):
            return original(None, nframes)

    return get_computation_code
