"""Histograms in the UHI form, where that gives exactly the same back; others are pickled."""

from __future__ import annotations

from typing import Any

import boost_histogram as bh

from cachingclient.storage.checks.histograms import check_uhi

NAME = "hist"
VERSION = 1
LIBRARIES = ("boost_histogram", "hist")


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
        back = _rebuild(uhi, family, kind.__qualname__, known)
    except (ImportError, TypeError, ValueError, KeyError, NotImplementedError, RuntimeError):
        return None
    if not _same(value, back):
        return None
    unset = sorted(name for name, note in value.__dict__.items() if note is None and name not in back.__dict__)
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


def _same(one: Any, other: Any) -> bool:
    """Whether two histograms are equal in every bit of content and every property of their axes."""
    return (
        type(one) is type(other)
        and type(one.storage_type()) is type(other.storage_type())
        and one.view(flow=True).tobytes() == other.view(flow=True).tobytes()
        and _notes(one) == _notes(other)
        and len(one.axes) == len(other.axes)
        and all(
            type(a) is type(b) and a == b and a.traits == b.traits and _notes(a) == _notes(b)
            for a, b in zip(one.axes, other.axes, strict=True)
        )
    )


def _notes(thing: Any) -> dict[str, Any]:
    return {name: note for name, note in thing.__dict__.items() if note is not None}
