"""Histograms in the UHI form: as many cells as their axes say, and these are there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cachingclient.storage.checks.budget import size
from cachingclient.storage.limits import UnsafeError

MOST_AXES = 32
ARRAYS = ("values", "variances", "counts", "sum_of_weights", "sum_of_weights_squared")


def check_uhi(uhi: Any) -> Any:
    """Return the description of a histogram whose contents are as large as its axes say.

    Raises
    ------
    UnsafeError
        They are not, so building it would take any amount of memory.
    """
    axes = uhi["axes"]
    if not isinstance(axes, list) or len(axes) > MOST_AXES:
        raise UnsafeError("the axes of a histogram are no list of a few")
    shape = tuple(map(_extent, axes))
    arrays = [uhi["storage"][name] for name in ARRAYS if name in uhi["storage"]]
    if not arrays:
        raise UnsafeError("a histogram has no contents")
    for array in arrays:
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf" or array.size != math.prod(shape):
            raise UnsafeError(f"the contents of a histogram are not those of axes of {shape} bins")
    for holder in (uhi, *axes):
        _check_metadata(holder.get("metadata", {}))
    return uhi


def _extent(axis: Mapping[str, Any]) -> int:
    """Return how many bins an axis has, with those beyond its ends."""
    flow = sum(_truth(axis.get(name, False)) for name in ("underflow", "overflow", "flow"))
    kind = axis["type"]
    if kind == "regular":
        return size(axis["bins"], "the bins of an axis") + flow
    if kind == "variable":
        bins = len(axis["edges"]) - 1
        stated = axis.get("writer_info", {}).get("boost-histogram", {}).get("bins", bins)
        if stated != bins:
            raise UnsafeError("an axis says two numbers of bins")
        return size(bins, "the bins of an axis") + flow
    if kind in ("category_str", "category_int"):
        return len(axis["categories"]) + flow
    if kind == "boolean":
        return 2
    raise UnsafeError(f"an axis of type {str(kind)[:40]!r}")


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise UnsafeError("an axis says of its ends what is neither true nor false")
    return value


def _check_metadata(notes: Any) -> None:
    """What is noted stands among a histogram's attributes, so it may not take the place of those of the library."""
    if not isinstance(notes, dict) or any(not isinstance(name, str) or name.startswith("_") for name in notes):
        raise UnsafeError("the notes of a histogram have names of the library's own")
