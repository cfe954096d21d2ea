"""Whether two results have the same rows, but for what rounding does: the first difference in words."""

from __future__ import annotations

from typing import Any

from cachingclient.coffea.rows import kind_of

FEW = 1000
"""Two numbers may differ by this many of the smallest steps of their type: sums in another order do."""


def difference(some: Any, others: Any, where: str = "") -> str:
    """Return how two values with rows differ; empty if they do not.

    Numbers may differ by what rounding does: a product of matrices gives other last digits for other numbers of rows.

    Parameters
    ----------
    some, others
        The values.
    where
        Of what they are parts.

    Examples
    --------
    >>> import numpy as np
    >>> difference({"pt": np.array([1.0, 2.0])}, {"pt": np.array([1.0, 2.5])})
    "2.0 and 2.5 at place 1 of 'pt'"
    >>> difference(np.array([0.1 + 0.2, np.nan]), np.array([0.3, np.nan]))
    ''
    """
    kind = kind_of(some)
    if kind != kind_of(others) or not kind:
        return f"{type(some).__qualname__} and {type(others).__qualname__}{_of(where)}"
    if kind in ("dict", "tuple"):
        return _of_parts(some, others, where)
    if len(some) != len(others):
        return f"{len(some)} and {len(others)} rows{_of(where)}"
    if not len(some):
        return ""
    return {"array": _of_arrays, "awkward": _of_awkward, "pandas": _of_pandas}[kind](some, others, where)


def _of(where: str) -> str:
    return f" of {where}" if where else ""


def _inside(where: str, name: object) -> str:
    return f"{where}[{name!r}]" if where else repr(name)


def _of_parts(some: Any, others: Any, where: str) -> str:
    names = list(some) if isinstance(some, dict) else range(len(some))
    if type(some) is not type(others) or list(names) != (
        list(others) if isinstance(others, dict) else list(range(len(others)))
    ):
        return f"other parts{_of(where)}"
    return next(filter(None, (difference(some[each], others[each], _inside(where, each)) for each in names)), "")


def _of_arrays(some: Any, others: Any, where: str) -> str:
    """Return how two numpy arrays of one length differ."""
    import numpy as np

    if some.dtype.kind != others.dtype.kind or some.shape != others.shape:
        return f"{some.dtype}{list(some.shape)} and {others.dtype}{list(others.shape)}{_of(where)}"
    if some.dtype.names:
        if some.dtype.names != others.dtype.names:
            return f"other columns{_of(where)}"
        return next(filter(None, (_of_arrays(some[n], others[n], _inside(where, n)) for n in some.dtype.names)), "")
    masks = np.ma.getmaskarray(some), np.ma.getmaskarray(others)
    differ = (masks[0] != masks[1]) | (~masks[0] & ~_alike(np.ma.getdata(some), np.ma.getdata(others)))
    if not differ.any():
        return ""
    first = tuple(np.argwhere(differ)[0].tolist())
    place = first[0] if len(first) == 1 else list(first)
    return f"{some[first]} and {others[first]} at place {place}{_of(where)}"


def _alike(some: Any, others: Any) -> Any:
    """Return for each number whether it is the other but for rounding; two that are none are alike."""
    import numpy as np

    equal = np.asarray(some == others) | np.asarray((some != some) & (others != others))
    if some.dtype.kind not in "fc" or equal.all():
        return equal
    smallest = np.finfo(some.dtype).eps
    sizes = np.maximum(np.abs(some), np.abs(others))
    finite = np.isfinite(sizes)
    # Beside their own size that of the others counts a little: the difference of two large numbers may be near 0.
    room = FEW * smallest * sizes + 10 * smallest * np.max(sizes[finite], initial=0.0)
    with np.errstate(invalid="ignore"):
        return equal | (finite & (np.abs(some - others) <= room))


def _of_pandas(some: Any, others: Any, where: str) -> str:
    """Return how two frames or two series of one length differ."""
    if not some.index.equals(others.index):
        return f"other index{_of(where)}: a frame whose index counts the rows of its part has another for other parts"
    if some.ndim == 1:
        return _of_columns(some, others, where)
    if list(some.columns) != list(others.columns):
        return f"other columns{_of(where)}"
    pairs = ((some.iloc[:, each], others.iloc[:, each], some.columns[each]) for each in range(some.shape[1]))
    return next(filter(None, (_of_columns(a, b, _inside(where, name)) for a, b, name in pairs)), "")


def _of_columns(some: Any, others: Any, where: str) -> str:
    import numpy as np

    if some.dtype != others.dtype:
        return f"{some.dtype} and {others.dtype}{_of(where)}"
    if isinstance(some.dtype, np.dtype) and some.dtype.kind in "fciub":
        return _of_arrays(some.to_numpy(), others.to_numpy(), where)
    return "" if some.equals(others) else f"other values{_of(where)}"


def _of_awkward(some: Any, others: Any, where: str) -> str:
    """Return how two awkward arrays of one length differ."""
    import awkward as ak

    types = str(ak.type(some)), str(ak.type(others))
    if types[0] != types[1]:
        return f"{types[0]} and {types[1]}{_of(where)}"
    return _of_layouts(ak.to_layout(ak.materialize(some)), ak.to_layout(ak.materialize(others)), where)


def _of_layouts(some: Any, others: Any, where: str) -> str:
    """Return how two layouts of one type and length differ."""
    import awkward as ak
    import numpy as np

    some, others = (each.project() if each.is_indexed and not each.is_option else each for each in (some, others))
    if some.is_record:
        pairs = ((name, some[name], others[name]) for name in some.fields)
        return next(filter(None, (_of_layouts(a, b, _inside(where, name)) for name, a, b in pairs)), "")
    if some.is_option and others.is_option:
        there = some.mask_as_bool(valid_when=True), others.mask_as_bool(valid_when=True)
        return _of_arrays(np.asarray(there[0]), np.asarray(there[1]), where) or _of_layouts(
            some.project(), others.project(), where
        )
    if some.is_list and others.is_list and some.parameter("__array__") is None:
        counts = [np.asarray(ak.num(each, axis=1, highlevel=False).data) for each in (some, others)]
        inner = [ak.flatten(each, axis=1, highlevel=False) for each in (some, others)]
        return _of_arrays(counts[0], counts[1], f"the lengths in {where}" if where else "the lengths") or _of_layouts(
            inner[0], inner[1], where
        )
    if some.is_numpy and others.is_numpy:
        return _of_arrays(np.asarray(some.data), np.asarray(others.data), where)
    return "" if ak.array_equal(some, others, equal_nan=True, check_parameters=False) else f"other values{_of(where)}"
