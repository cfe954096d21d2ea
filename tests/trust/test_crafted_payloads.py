"""Bytes that are only data and were made to harm: refused by our own error, in bounded time and memory, by no crash."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from cachingclient.storage.codecs import DataOnlyError, NewerCodecError, decode
from cachingclient.storage.limits import UnsafeError
from tests.trust.conftest import attacked
from tests.trust.payloads import PAYLOADS

OURS = (UnsafeError, DataOnlyError, NewerCodecError, LookupError)


def used(value: Any) -> None:
    """Do with a value what an analysis may: look at it, count it, send it on."""
    repr(value)
    pickle.dumps(value)
    if isinstance(value, np.ndarray):
        value.tolist()


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_a_payload(name: str) -> None:
    """It is refused, or else can be used as any value."""
    data = PAYLOADS[name]()

    def load() -> None:
        try:
            value = decode(data, data_only=True)
        except OURS:
            return
        used(value)

    attacked(load)


NEVER = (
    "array of",
    "scalar of",
    "dtype of",
    "shape negative",
    "shape huge",
    "awkward ",
    "arrow_",
    "histogram",
    "frame ",
)


@pytest.mark.parametrize("name", sorted(name for name in PAYLOADS if name.startswith(NEVER)))
def test_what_cannot_be_is_never_a_value(name: str) -> None:
    """These are refused before anything is made of them."""
    with pytest.raises(OURS):
        decode(PAYLOADS[name](), data_only=True)
