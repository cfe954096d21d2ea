"""Row-wise steps of `run_steps`: the blocks of a file that they are called with, and their results joined again.

A row-wise step is not called with a chunk but with the blocks of a grid that belongs to the file and not to the
chunks: entries 0 to 10,000, 10,000 to 20,000 and so on. So the results of blocks are ordinary results of ordinary
steps, and other chunks are joined of the same ones. No result has to be cut, which for a selection could be done only
by the numbers of its rows, and what a step gives never depends on what was kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from cachingclient.coffea.chunks import Chunk
from cachingclient.step import step

BLOCK = 10_000
"""The entries of a file that a row-wise step is called with at once."""
KINDS = "awkward arrays, numpy arrays, pandas frames and series, and dicts and tuples of these"


def blocks_of(chunk: Chunk, block: int = BLOCK) -> list[Chunk]:
    """Return the parts of a chunk in the blocks of its file; those at its ends may be parts of blocks.

    Parameters
    ----------
    chunk
        The chunk.
    block
        The entries in a block.

    Examples
    --------
    >>> chunk = Chunk("ttbar", "root://host//a.root", "Events", 5_000, 30_000)
    >>> [(each.start, each.stop) for each in blocks_of(chunk)]
    [(5000, 10000), (10000, 20000), (20000, 30000)]
    """
    inner = range((chunk.start // block + 1) * block, chunk.stop, block)
    edges = [chunk.start, *inner, chunk.stop]
    return [replace(chunk, start=start, stop=stop) for start, stop in pairwise(edges)]


@step(cache=False, ignore=["checks"])
def join_rows(name: str, parts: Sequence[Any], checks: Sequence[Any] = ()) -> Any:
    """Return the rows of several results of one step, one after another.

    It is quicker than loading what it returns, so its own results are not kept.

    Parameters
    ----------
    name
        The step's name.
    parts
        Its results, in the order of the entries.
    checks
        What has to be done first and changes nothing, see `row_checks`.

    Raises
    ------
    TypeError
        If the results are of no kind that has rows, or of several kinds.

    Examples
    --------
    >>> import numpy as np
    >>> join_rows("pt", [{"jet": np.array([1.0, 2.0])}, {"jet": np.array([3.0])}])
    {'jet': array([1., 2., 3.])}
    """
    return _join(name, list(parts))


join_rows.unkept = "its blocks are kept"


def _join(name: str, parts: list[Any]) -> Any:
    kinds = {kind_of(part): type(part).__qualname__ for part in parts}
    if "" in kinds:
        raise TypeError(f"step {name!r} is marked rows=True and returned {kinds['']}; it takes {KINDS}")
    if len(kinds) > 1:
        raise TypeError(f"step {name!r} is marked rows=True and returned now {', now '.join(sorted(kinds.values()))}")
    return _JOINS[next(iter(kinds))](name, parts)


def kind_of(value: Any) -> str:
    """Return the kind of a value that has rows; empty if it has none.

    Examples
    --------
    >>> import numpy as np
    >>> kind_of(np.zeros(3)), kind_of((np.zeros(3),)), kind_of([1, 2])
    ('array', 'tuple', '')
    """
    if type(value) is dict:
        return "dict"
    if isinstance(value, tuple):
        return "tuple"
    numpy, awkward, pandas = (sys.modules.get(name) for name in ("numpy", "awkward", "pandas"))
    if numpy is not None and isinstance(value, numpy.ndarray):
        return "array" if value.ndim else ""
    if awkward is not None and isinstance(value, awkward.Array):
        return "awkward"
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        return "pandas"
    return ""


def _joined_dicts(name: str, parts: list[Any]) -> Any:
    for part in parts:
        if different := part.keys() ^ parts[0].keys():
            raise TypeError(
                f"step {name!r} is marked rows=True and returned {min(map(repr, different))} only sometimes"
            )
    return {key: _join(name, [part[key] for part in parts]) for key in parts[0]}


def _joined_tuples(name: str, parts: list[Any]) -> Any:
    if len({len(part) for part in parts}) > 1:
        raise TypeError(f"step {name!r} is marked rows=True and returned tuples of several lengths")
    joined = [_join(name, list(each)) for each in zip(*parts, strict=True)]
    kind = type(parts[0])
    return kind(*joined) if hasattr(kind, "_fields") else tuple(joined)


def _joined_arrays(_: str, parts: list[Any]) -> Any:
    import numpy as np

    masked = any(isinstance(part, np.ma.MaskedArray) for part in parts)
    return (np.ma.concatenate if masked else np.concatenate)(_with_rows(parts))


def _joined_awkward(_: str, parts: list[Any]) -> Any:
    import awkward as ak

    parts = _with_rows(parts)
    joined = ak.concatenate(parts) if len(parts) > 1 else parts[0]
    # Links to the events of one block would lead the others' rows astray. What is loaded from a store has none either.
    attrs = {key: value for key, value in joined.attrs.items() if not key.startswith("@")}
    return ak.Array(joined.layout, behavior=joined.behavior, attrs=attrs)


def _joined_pandas(_: str, parts: list[Any]) -> Any:
    import pandas as pd

    are_counted = all(part.index.equals(pd.RangeIndex(len(part))) for part in parts)
    return pd.concat(_with_rows(parts), ignore_index=are_counted)


def _with_rows(parts: list[Any]) -> list[Any]:
    """Return those parts that have rows: an array without any may have another type by accident."""
    return [part for part in parts if len(part)] or parts[:1]


_JOINS: dict[str, Callable[[str, list[Any]], Any]] = {
    "dict": _joined_dicts,
    "tuple": _joined_tuples,
    "array": _joined_arrays,
    "awkward": _joined_awkward,
    "pandas": _joined_pandas,
}
