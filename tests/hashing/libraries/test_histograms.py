"""Histograms: axes, storage, content and labels count, all of them and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boost_histogram as bh
import hist
import numpy as np
import pytest

from cachingclient.hashing.identify import identify
from tests.support.copies import COPIES, digest


def make(*axes: Any, storage: Any = None, weight: float = 1.0, at: float = 0.15, **names: Any) -> hist.Hist:
    """Return a histogram of one value."""
    axes = axes or (hist.axis.Regular(10, 0, 1, name="x", label="X"),)
    histogram = hist.Hist(*axes, storage=storage or hist.storage.Weight(), **names)
    histogram.fill(*[at for _ in axes], weight=weight)
    return histogram


def with_metadata(metadata: object) -> hist.Hist:
    """Return a histogram with something attached."""
    histogram = make()
    histogram.metadata = metadata
    return histogram


HISTOGRAMS: dict[str, Callable[[], Any]] = {
    "plain": make,
    "content": lambda: make(at=0.25),
    "weight": lambda: make(weight=2.0),
    "overflow": lambda: make(at=2.0),
    "underflow": lambda: make(at=-2.0),
    "bins": lambda: make(hist.axis.Regular(5, 0, 1, name="x", label="X")),
    "range": lambda: make(hist.axis.Regular(10, 0, 2, name="x", label="X"), at=0.3),
    "axis name": lambda: make(hist.axis.Regular(10, 0, 1, name="y", label="X")),
    "axis label": lambda: make(hist.axis.Regular(10, 0, 1, name="x", label="Y")),
    "no overflow": lambda: make(hist.axis.Regular(10, 0, 1, name="x", label="X", overflow=False)),
    "circular": lambda: make(hist.axis.Regular(10, 0, 1, name="x", label="X", circular=True)),
    "variable": lambda: make(hist.axis.Variable(np.linspace(0, 1, 11), name="x", label="X")),
    "integer": lambda: make(hist.axis.Integer(0, 10, name="x", label="X"), at=1),
    "boolean": lambda: make(hist.axis.Boolean(name="x", label="X"), at=1),
    "transformed": lambda: make(hist.axis.Regular(10, 0.1, 1, name="x", label="X", transform=hist.axis.transform.log)),
    "by a power": lambda: make(hist.axis.Regular(10, 0.1, 1, name="x", transform=hist.axis.transform.Pow(2))),
    "by another power": lambda: make(hist.axis.Regular(10, 0.1, 1, name="x", transform=hist.axis.transform.Pow(3))),
    "growing": lambda: hist.Hist(hist.axis.StrCategory(["a", "b"], name="c", growth=True)),
    "categories": lambda: hist.Hist(hist.axis.StrCategory(["a", "b"], name="c")),
    "order of categories": lambda: hist.Hist(hist.axis.StrCategory(["b", "a"], name="c")),
    "numbered categories": lambda: hist.Hist(hist.axis.IntCategory([1, 2], name="c")),
    "two axes": lambda: make(hist.axis.Regular(2, 0, 1, name="x"), hist.axis.Regular(2, 0, 1, name="y")),
    "storage": lambda: hist.Hist(hist.axis.Regular(2, 0, 1), storage=hist.storage.Double()),
    "integer storage": lambda: hist.Hist(hist.axis.Regular(2, 0, 1), storage=hist.storage.Int64()),
    "mean storage": lambda: hist.Hist(hist.axis.Regular(2, 0, 1), storage=hist.storage.Mean()),
    "name": lambda: make(name="h"),
    "label": lambda: make(label="h"),
    "metadata": lambda: with_metadata({"year": 2026}),
    "boost": lambda: bh.Histogram(bh.axis.Regular(10, 0, 1), storage=bh.storage.Weight()),
    "an axis": lambda: hist.axis.Regular(10, 0, 1),
    "a boost axis": lambda: bh.axis.Regular(10, 0, 1),
    "axes": lambda: make().axes,
    "a stack": lambda: hist.Stack(make(name="a"), make(name="b")),
    "an accumulator": lambda: bh.accumulators.WeightedSum(1, 2),
    "another accumulator": lambda: bh.accumulators.WeightedSum(1, 3),
    "a view": lambda: make().view(),
}


def test_whatever_changes_shows() -> None:
    """Every change of a histogram gives another identity, and one made again has the same."""
    digests = {name: digest(make()) for name, make in HISTOGRAMS.items()}
    assert len(set(digests.values())) == len(digests)
    assert {name: digest(make()) for name, make in HISTOGRAMS.items()} == digests


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", HISTOGRAMS)
def test_a_copy_has_the_identity_of_the_original(name: str, way: str) -> None:
    """Histograms and their parts survive copying."""
    value = HISTOGRAMS[name]()
    assert digest(COPIES[way](value)) == digest(value)


def test_the_order_of_filling_does_not_count() -> None:
    """A histogram is what it holds, however it came to hold it."""
    one, other = (hist.Hist(hist.axis.Regular(10, 0, 1)) for _ in range(2))
    one.fill([0.1, 0.5])
    other.fill([0.5])
    other.fill([0.1])
    assert digest(one) == digest(other)


def test_a_category_axis_names_no_files() -> None:
    """Categories are labels, even those that look like a file here."""
    assert identify(hist.Hist(hist.axis.StrCategory([__file__, "b"]))).inputs == ()
