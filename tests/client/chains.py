"""A chain of three steps."""

from __future__ import annotations

from typing import Any

import dask


def source() -> int:
    return 5


def increment(x: int) -> int:
    return x + 1


def double(x: int) -> int:
    return x * 2


def chain() -> tuple[Any, Any, Any]:
    first = dask.delayed(source, pure=True)()
    second = dask.delayed(increment, pure=True)(first)
    return first, second, dask.delayed(double, pure=True)(second)
