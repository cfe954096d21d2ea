"""A histogram that is read back has the attributes that it had, those that are not set too."""

from __future__ import annotations

from typing import Any

import boost_histogram as bh
import hist
import pytest

from cachingclient.hashing.identify import identify
from cachingclient.storage.codecs import decode, encode

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
