"""Seals of bytes: what fits, whatever way the bytes are cut, and what does not."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

from cachingclient.storage.wrappers import seals
from cachingclient.storage.wrappers.keys import Key, SecretKey, make_pair
from cachingclient.storage.wrappers.seals import DIGEST, PART, PARTS, TAG, fits, seal, stated_seal

BYTES = memoryview(bytes(range(256)) * (3 * PART // 256) + b"rest")


@pytest.fixture(params=["secret", "pair"])
def key(request: pytest.FixtureRequest, tmp_path: Path) -> Key:
    """A key of each kind."""
    return SecretKey(b"k" * 32) if request.param == "secret" else make_pair(tmp_path / "pair")


@pytest.mark.parametrize("cut", [0, 1, PART - 1, PART, PART + 1, 2 * PART, len(BYTES)])
def test_bytes_fit_however_they_were_cut(key: Key, cut: int) -> None:
    """A result is written in frames, and read in one."""
    assert fits(seal([BYTES[:cut], BYTES[cut:]], key), BYTES, key)


@pytest.mark.parametrize("change", [0, PART, len(BYTES) - 1])
def test_a_byte_that_differs_is_seen(key: Key, change: int) -> None:
    """In whichever part it is; so are bytes that are missing, or more."""
    sealed, other = seal([BYTES], key), bytearray(BYTES)
    other[change] ^= 1
    assert not fits(sealed, memoryview(other), key)
    assert not fits(sealed, BYTES[:-1], key)
    assert not fits(sealed, memoryview(bytes(BYTES) + b"\0"), key)


def test_the_tag_of_a_secret_is_of_that_secret() -> None:
    """Another key, or one that has no secret, can't tell."""
    sealed = seal([BYTES], SecretKey(b"k" * 32))
    assert stated_seal(sealed)[0] == TAG
    assert not fits(sealed, BYTES, SecretKey(b"j" * 32))


def test_each_result_is_sealed_anew() -> None:
    """The key of a tag is for one result: with the same one twice, tags could be made without the secret."""
    key = SecretKey(b"k" * 32)
    assert seal([BYTES], key) != seal([BYTES], key)


def test_without_cryptography_a_secret_takes_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra; what was sealed with it does not fit then, rather than to be believed unseen."""
    key = SecretKey(b"k" * 32)
    sealed = seal([BYTES], key)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    assert not fits(sealed, BYTES, key)
    assert stated_seal(seal([BYTES], key))[0] == PARTS


def test_digests_of_all_bytes_are_still_believed() -> None:
    """Entries that were signed before have one."""
    assert fits({DIGEST: hashlib.sha256(BYTES).hexdigest()}, BYTES, SecretKey(b"k" * 32))


@pytest.mark.parametrize(
    "stated", [{}, {TAG: "0" * 64, PARTS: "0" * 64}, {TAG: 7}, {TAG: "x" * 64}, {TAG: "0" * 63}, {DIGEST: ["0" * 64]}]
)
def test_one_seal_is_stated(stated: dict[str, Any]) -> None:
    """None, several and what is none are no seal."""
    with pytest.raises(ValueError):
        stated_seal(stated)


def test_no_part_is_a_digest_of_parts() -> None:
    """The digest over parts is of another domain than one of bytes that look like digests."""
    digests = b"".join(hashlib.sha256(BYTES[n : n + PART]).digest() for n in range(0, len(BYTES), PART))
    assert seals._of_parts([BYTES]) != hashlib.sha256(digests).hexdigest()
