"""A histogram that is read back has the attributes that it had, those that are not set too."""

from __future__ import annotations

from typing import Any

import boost_histogram as bh
import hist
import pytest
from boost_histogram import serialization

from cachingclient.hashing.identify import identify
from cachingclient.storage.codecs import decode, encode
from cachingclient.storage.codecs import hist as codec

AXIS = bh.axis.Regular(3, 0, 1)


@pytest.mark.parametrize(
    "made",
    [
        hist.Hist.new.Reg(3, 0, 1, name="pt").Weight(),
        hist.Hist.new.Reg(3, 0, 1, name="pt").Double() * 2,
        hist.NamedHist.new.Reg(3, 0, 1, name="pt").Int64(),
        bh.Histogram(AXIS),
        bh.Histogram(AXIS, metadata="of 2018"),
    ],
    ids=["Hist", "a product", "NamedHist", "boost_histogram", "with metadata"],
)
def test_all_attributes_are_there_again(made: Any) -> None:
    """So the next step finds the same in a loaded one as in a computed one, and has the same key."""
    back = decode(bytearray().join(encode(made).frames))
    assert vars(back).keys() - {"axes"} == vars(made).keys() - {"axes"}
    assert identify(back).digest == identify(made).digest


def filled(storage: Any, label: str = "pt [GeV]") -> Any:
    """Return a histogram with something in it."""
    axis = hist.axis.Regular(3, 0, 1, name="pt", label=label)
    return hist.Hist(axis, storage=storage).fill([0.1, 0.5, 0.5])


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was built of the UHI form to see what comes back, with nothing built before."""
    found: list[Any] = []
    rebuild = codec._rebuild
    monkeypatch.setattr(codec, "_rebuild", lambda uhi, *kind: found.append(uhi) or rebuild(uhi, *kind))
    monkeypatch.setattr(codec, "_built", codec._built.__class__())
    return found


def test_of_one_form_it_is_built_once(builds: list[Any]) -> None:
    """Other numbers are no other form; another label is."""
    for factor in (1, 2, 3):
        made = filled(hist.storage.Weight()) * factor
        assert decode(bytearray().join(encode(made).frames)) == made
    assert len(builds) == 1 + 3  # to look at it, and to load each
    encode(filled(hist.storage.Weight(), "pt"))
    assert len(builds) == 5


def test_numbers_that_are_reckoned_are_looked_at_each_time(builds: list[Any]) -> None:
    """The UHI form of means has variances, of which the histogram has other numbers."""
    axis = hist.axis.Regular(3, 0, 1, name="pt")
    for value in (1.0, 2.0):
        encode(hist.Hist(axis, storage=hist.storage.Mean()).fill([0.1, 0.5], sample=[value, 3.0]))
    assert len(builds) == 2


@pytest.mark.parametrize("storage", [hist.storage.Weight(), hist.storage.Double(), hist.storage.Int64()])
def test_a_form_that_changes_numbers_is_not_taken(
    builds: list[Any], monkeypatch: pytest.MonkeyPatch, storage: Any
) -> None:
    """Also not for a histogram of a form that was built before."""
    assert encode(filled(storage)).codec == "hist"
    to_uhi = serialization.to_uhi

    def rounded(made: Any) -> dict[str, Any]:
        uhi = to_uhi(made)
        return uhi | {"storage": uhi["storage"] | {"values": uhi["storage"]["values"] + 1}}

    monkeypatch.setattr(serialization, "to_uhi", rounded)
    assert encode(filled(storage)).codec != "hist"


def test_what_the_form_leaves_out_is_not_lost(builds: list[Any]) -> None:
    """An attribute of an axis that no form has is kept, by a pickle, whatever was built before."""
    assert encode(filled(hist.storage.Weight())).codec == "hist"
    made = filled(hist.storage.Weight())
    made.axes[0].__dict__["unit"] = "GeV"
    back = decode(bytearray().join(encode(made).frames))
    assert vars(back.axes[0]) == vars(made.axes[0])
