"""Histograms in the UHI form, where that gives exactly the same back; others are pickled.

What comes back is built once for all histograms of one form: to build it takes longer than all else. What of a
histogram may differ from it is compared each time, so that nothing is taken for granted but that equal forms are built
alike.
"""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

import boost_histogram as bh
import numpy as np

from cachingclient.storage.checks.histograms import check_uhi

NAME = "hist"
VERSION = 1
LIBRARIES = ("boost_histogram", "hist")
_FAULTS = (ImportError, TypeError, ValueError, KeyError, NotImplementedError, RuntimeError)
_COPIED = (bh.storage.Double, bh.storage.Int64, bh.storage.Weight)
"""Storages whose numbers stand in the UHI form as they are; those of others are reckoned back from it."""
_MOST_BUILT = 32


@dataclass(frozen=True, slots=True)
class Shell:
    """All of a histogram but its numbers, which may take megabytes."""

    kind: type
    storage: type
    notes: dict[str, Any]
    axes: tuple[Any, ...]
    attributes: frozenset[str]


_built: OrderedDict[bytes, Shell] = OrderedDict()
"""What came back of histograms, by all of their form but the numbers."""


def encode(value: Any, writer: Any) -> dict[str, Any] | None:
    """Describe a boost_histogram.Histogram, a hist.Hist or a hist.NamedHist."""
    kind = type(value)
    family = kind.__module__.partition(".")[0]
    if kind.__qualname__ not in ("Histogram", "Hist", "NamedHist") or not issubclass(kind, bh.Histogram):
        return None
    try:
        from boost_histogram.serialization import to_uhi  # since 1.7

        uhi = to_uhi(value)
        known = getattr(value, "_variance_known", True)  # not in the UHI form, and lost by sums and products
    except _FAULTS:
        return None
    form, own = _form(value, uhi, known), _shell(value)
    back = _built.get(form)
    if back is None or not (_same_shell(own, back) and _holds_content(value, uhi)):
        try:
            built = _rebuild(uhi, family, kind.__qualname__, known)
        except _FAULTS:
            return None
        back = _shell(built)
        if not (_same_shell(own, back) and _alike(value.view(flow=True), built.view(flow=True))):
            return None
        _remember(form, back)
    unset = sorted(name for name, note in value.__dict__.items() if note is None and name not in back.attributes)
    told = {"family": family, "class": kind.__qualname__, "variance_known": known, "uhi": writer.encode(uhi)}
    return {**told, "unset": unset} if unset else told


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Build the histogram."""
    uhi = check_uhi(reader.decode(node["uhi"]))
    found = _rebuild(uhi, node["family"], node["class"], node.get("variance_known", True))
    for name in node.get("unset", ()):
        if isinstance(name, str) and not hasattr(type(found), name):
            found.__dict__.setdefault(name, None)  # metadata, which is not there if the UHI form has none
    return found


def _rebuild(uhi: dict[str, Any], family: str, kind: str, variance_known: bool) -> Any:
    from boost_histogram.serialization import from_uhi

    plain = from_uhi(uhi)
    plain._variance_known = variance_known
    if family == "boost_histogram":
        return plain
    import hist

    return {"Hist": hist.Hist, "NamedHist": hist.NamedHist}[kind](plain)


def _form(value: Any, uhi: dict[str, Any], known: bool) -> bytes:
    """Return all of a histogram that what comes back is made of but the numbers; empty where these may change it."""
    if value.storage_type not in _COPIED:
        return b""
    storage = {name: part for name, part in uhi["storage"].items() if not isinstance(part, np.ndarray)}
    try:
        return pickle.dumps((type(value), known, uhi | {"storage": storage}))
    except Exception:  # of what the user attached to it
        return b""


def _remember(form: bytes, back: Shell) -> None:
    if form:
        # The axes of a histogram hold it in memory; their copies do not.
        _built[form] = replace(back, axes=tuple(map(copy.copy, back.axes)))
        while len(_built) > _MOST_BUILT:
            _built.popitem(last=False)


def _holds_content(value: Any, uhi: dict[str, Any]) -> bool:
    """Whether the numbers of the UHI form are those of the histogram in every bit."""
    view, storage = value.view(flow=True), uhi["storage"]
    pairs = [("values", "value"), ("variances", "variance")] if view.dtype.names else [("values", None)]
    ours = [(view if name is None else view[name], storage.get(told)) for told, name in pairs]
    return all(type(told) is np.ndarray and _alike(np.asarray(own), told) for own, told in ours)


def _alike(one: Any, other: Any) -> bool:
    """Whether two arrays are equal in every bit."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.flags.f_contiguous and other.flags.f_contiguous:  # as boost's are: in the order of C they would be copied
        one, other = one.T, other.T
    return bool(np.array_equal(_bits(one), _bits(other)))


def _bits(array: Any) -> Any:
    """Return the bits of an array in the order of C; those of a contiguous one are not copied."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint64 if flat.dtype.itemsize % 8 == 0 else np.uint8)


def _shell(histogram: Any) -> Shell:
    kind, storage, notes = type(histogram), type(histogram.storage_type()), _notes(histogram)
    return Shell(kind, storage, notes, tuple(histogram.axes), frozenset(histogram.__dict__))


def _same_shell(one: Shell, other: Shell) -> bool:
    """Whether two histograms are equal in every property of them and their axes."""
    return (
        one.kind is other.kind
        and one.storage is other.storage
        and one.notes == other.notes
        and len(one.axes) == len(other.axes)
        and all(
            type(a) is type(b) and a == b and a.traits == b.traits and _notes(a) == _notes(b)
            for a, b in zip(one.axes, other.axes, strict=True)
        )
    )


def _notes(thing: Any) -> dict[str, Any]:
    """Return what is attached to a histogram or an axis; the numbers and the axes are compared by themselves."""
    return {name: note for name, note in thing.__dict__.items() if note is not None and name not in ("_hist", "axes")}
