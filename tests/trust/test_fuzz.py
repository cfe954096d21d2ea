"""Bytes that were right and are changed at random: nothing comes of them but a value or our own error.

By hand for longer: ``python -m tests.trust.fuzz``.
"""

from __future__ import annotations

import os
import random
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachingclient.storage import encode
from cachingclient.storage.codecs import DataOnlyError, NewerCodecError, decode
from cachingclient.storage.entry import FORMAT, MAGIC, DamagedEntryError, _digest, describe, pack, unpack
from cachingclient.storage.files.webdav import listed
from cachingclient.storage.limits import UnsafeError
from tests.support.entries import entry
from tests.trust.fuzz import NAMES
from tests.trust.fuzz import changed as changed_at_random
from tests.trust.harnesses import HARNESSES, LISTING

OURS = (UnsafeError, DataOnlyError, NewerCodecError, LookupError)
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "200"))
VALUES: dict[str, Any] = {
    "containers": {"a": [1, (2.5, None)], "b": {frozenset({1, 2}): b"x" * 300}},
    "numpy": np.arange(10.0).reshape(2, 5),
    "masked": np.ma.masked_array([1, 2, 3], [True, False, False]),
    "awkward": ak.Array([[1.5, 2.5], [], [{"x": "text"}, None]]),
}
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4)


def changed(data: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    """Return bytes with some of them replaced."""
    out = bytearray(data)
    for place, new in changes:
        start = place % len(out)
        out[start : start + len(new)] = new
    return bytes(out)


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=EXAMPLES)
@given(changes=CHANGES)
def test_payloads(kind: str, changes: list[tuple[int, bytes]]) -> None:
    """Of a changed payload comes a value that can be looked at, or our error."""
    data = b"".join(encode(VALUES[kind]).frames)
    try:
        value = decode(changed(data, changes), data_only=True)
    except OURS:
        return
    repr(value)


KEPT = entry([1, 2, "abc"], "0f" * 16, user="ada")
DESCRIPTION = pack(describe(KEPT, b"".join(KEPT.encoded.frames)))


@settings(max_examples=EXAMPLES)
@given(changes=CHANGES)
def test_descriptions(changes: list[tuple[int, bytes]]) -> None:
    """With a digest that fits again, a changed description is an entry, or damaged."""
    body = changed(DESCRIPTION.partition(b"\n")[2], changes)
    length = len(body) - len(b"".join(KEPT.encoded.frames))
    try:
        unpack("0f" * 16, b"%b%d %b %d\n%b" % (MAGIC, FORMAT, _digest(length, body), length, body))
    except DamagedEntryError:
        return


@pytest.mark.parametrize("name", NAMES)
def test_a_harness(name: str) -> None:
    """Each that runs for longer by hand takes what is right, and some changes of it."""
    harness, seeds = HARNESSES[name]
    chance = random.Random(name)
    for seed in seeds:
        harness(seed)
        for _ in range(EXAMPLES // 10):
            harness(changed_at_random(seed, chance, seeds))


def test_a_date_far_off_in_a_listing() -> None:
    """Found by fuzzing: it is larger than a date can be."""
    with pytest.raises(ValueError, match="too large"):
        listed(LISTING.replace(b"10:00:00", b"10:" + b"7" * 30 + b":00"))
