"""Small collections, and the steps of one."""

from __future__ import annotations

from typing import Any

import dask
import dask.array as da
import numpy as np


def increment(x: Any) -> Any:
    return x + 1


def double(x: Any) -> Any:
    return x * 2


def merged(*parts: Any) -> Any:
    return sum(parts)


def array() -> da.Array:
    return da.from_array(np.arange(400.0).reshape(20, 20), chunks=(5, 10))


def tree() -> Any:
    leaves = [dask.delayed(increment)(leaf) for leaf in range(8)]
    return dask.delayed(merged)(*[dask.delayed(double)(leaf) for leaf in leaves])
