"""Scalars: what differs in type or value differs in encoding, in every process alike."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachingclient.hashing.scalars import PLAIN, encode_float, encode_int, encode_plain_str, encode_str
from cachingclient.hashing.walk import Walk

GOLDEN = {
    "None": "4e",
    "True": "74",
    "False": "66",
    "0": "6900",
    "1": "6901",
    "-129": "697fff",
    "2**70": "69000000000000000040",
    "1.0": "64000000000000f03f",
    "-0.0": "640000000000000080",
    "1j": "630000000000000000000000000000f03f",
    "'Jet'": "734a6574",
    "b'Jet'": "624a6574",
    "'é'": "73c3a9",
    "...": "65",
    "NotImplemented": "6e",
    "'a' * 100": "23737d09cdccbc6bead248fb02115fe96a8a",
    "()": "28",
    "(1, 'a')": "28026901027361",
    "[1, 'a']": "6c026901027361",
    "{'a': 1, 'b': 2}": "7b027361026901027362026902",
    "{'b', 'a', 'c'}": "3c027361027362027363",
    "frozenset({3, 1, 2})": "3e026901026902026903",
    "range(3)": "72026900026903026901",
    "slice(1, None)": "3a026901014e014e",
    "[1.5] * 100": "25016c0164107f497e480fac19454cb06ba2096e55fe",
    "list(range(100))": "25016c0169107b9a5b930bbc1bc842035089941787c3",
    "[{'pt': [1, 2.5], 'tags': {'x', ('y', 2)}}, None]": (
        "6c277b037370740e6c026901096400000000000004400573746167730c3c0273780728027379026902014e"
    ),
}
"""Encodings of the canonical form, version 1. A change here is a change of every key: raise the version."""


def encodings(seed: str) -> dict[str, str]:
    """Encode the golden values in a fresh interpreter."""
    program = (
        "import json, sys\nfrom cachingclient.hashing.walk import Walk\n"
        "print(json.dumps({text: Walk().encode(eval(text)).hex() for text in json.loads(sys.argv[1])}))"
    )
    command = [sys.executable, "-c", program, json.dumps(list(GOLDEN))]
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))}
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_the_canonical_form_never_changes_unnoticed(seed: str) -> None:
    """Fresh interpreters under different hash seeds give the encodings written down here."""
    assert encodings(seed) == GOLDEN


def test_equal_numbers_of_different_types_differ() -> None:
    """1, 1.0, True, "1" and b"1" compare equal or look alike, and a program can tell them apart."""
    values: list[Any] = [1, 1.0, True, 1 + 0j, "1", b"1", bytearray(b"1"), "True", None, "None", ..., NotImplemented]
    for one, other in combinations(values, 2):
        assert Walk().encode(one) != Walk().encode(other), (one, other)


def test_a_float_is_its_bits() -> None:
    """Signed zeros differ, NaNs with equal bits are equal and keep their payload."""
    payload = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000001))[0]
    assert encode_float(0.0) != encode_float(-0.0)
    assert encode_float(math.nan) == encode_float(float("nan"))
    assert encode_float(math.nan) != encode_float(payload)


@given(st.integers(), st.integers())
def test_integers_differ_when_they_differ(one: int, other: int) -> None:
    """No two integers share an encoding, whatever their size."""
    assert (encode_int(one) == encode_int(other)) == (one == other)


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=())), st.text())
def test_texts_differ_when_they_differ(one: str, other: str) -> None:
    """No two texts share an encoding, lone surrogates included."""
    assert (encode_str(one) == encode_str(other)) == (one == other)


@pytest.mark.parametrize("text", ["Events", "pt > 30", "", "a:b", "µ"])
def test_a_bare_word_needs_no_look_at_the_disk(text: str) -> None:
    """A text without a separator and a suffix is encoded at once."""
    assert encode_plain_str(text) == encode_str(text)


@pytest.mark.parametrize("text", ["a/b", "x.root", "root://host//x", "1.5"])
def test_a_text_that_may_name_a_file_is_left_to_the_walk(text: str) -> None:
    """A text with a separator or a dot is no plain value."""
    assert encode_plain_str(text) is None


@given(st.one_of(st.integers(), st.floats(), st.complex_numbers(), st.text(), st.binary(), st.none(), st.booleans()))
def test_an_encoding_is_short(value: object) -> None:
    """Encodings stay below the 255 bytes that a frame allows for a part."""
    encoded = PLAIN[type(value)](value)
    assert encoded is None or len(encoded) <= 64
