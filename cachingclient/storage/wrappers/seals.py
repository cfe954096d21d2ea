"""What stands in a signed description for the bytes of a result: as quick to check as those who check it allow.

Whoever can check a shared secret could also sign with it, so there a keyed tag will do: that of AES-GCM, under a key
that is derived from the secret for these bytes alone. An Ed25519 key is checked by readers who must not be able to
sign: they need a digest, SHA-256, over parts of the result at once, in as many threads as there are cores.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from cachingclient.storage.wrappers.keys import Key

DIGEST, PARTS, TAG = "sha256", "sha256-parts", "gcm"
"""The names under which a signature holds a seal: of all bytes (as it was once), of parts, and of a secret."""
PART = 1 << 20
SALT, LONGEST_TAG = 16, 16


def seal(frames: Iterable[memoryview], key: Key) -> dict[str, str]:
    """Return the seal of some bytes.

    Parameters
    ----------
    frames
        The bytes, one after another.
    key
        The key that signs it.

    Examples
    --------
    >>> from cachingclient.storage.wrappers.keys import SecretKey
    >>> key = SecretKey(b"k" * 32)
    >>> fits(seal([memoryview(b"ab"), memoryview(b"c")], key), memoryview(b"abc"), key)
    True
    """
    salt = os.urandom(SALT)
    tag = _tag(frames := list(frames), key, salt)
    return {PARTS: _of_parts(frames)} if tag is None else {TAG: (salt + tag).hex()}


def fits(stated: Mapping[str, Any], payload: memoryview, key: Key) -> bool:
    """Whether bytes are those that a seal is of; no key makes a shorter way than its own."""
    name, text = stated_seal(stated)
    if name == DIGEST:
        return hmac.compare_digest(hashlib.sha256(payload).hexdigest(), text)
    if name == PARTS:
        return hmac.compare_digest(_of_parts([payload]), text)
    sealed = bytes.fromhex(text)
    tag = _tag([payload], key, sealed[:SALT])
    return tag is not None and hmac.compare_digest(tag, sealed[SALT:])


def stated_seal(stated: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and the text of the one seal that a signature holds.

    Raises
    ------
    ValueError
        It holds none, or several.
    """
    found = [(name, stated[name]) for name in (DIGEST, PARTS, TAG) if name in stated]
    if len(found) != 1 or not isinstance(found[0][1], str) or len(found[0][1]) != 64:
        raise ValueError("a signature holds one seal of the bytes")
    bytes.fromhex(found[0][1])
    return found[0]


def _tag(frames: Iterable[memoryview], key: Key, salt: bytes) -> bytes | None:
    """The tag of AES-GCM over bytes; None if the key is no shared secret, or nothing here computes it."""
    secret = key.derived(b"seal of bytes " + salt)
    if secret is None:
        return None
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError:
        return None
    # Each salt makes a key of its own, so the number that must not be used twice with a key may be zero.
    encryptor: Any = Cipher(algorithms.AES(secret), modes.GCM(bytes(12))).encryptor()
    for frame in frames:
        encryptor.authenticate_additional_data(frame)
    encryptor.finalize()
    tag: bytes = encryptor.tag
    return tag


def _of_parts(frames: Iterable[memoryview]) -> str:
    """The SHA-256 over the SHA-256 of each part, wherever the frames begin and end."""
    parts = list(_parts(frames))
    if len(parts) < 2:
        digests = [part() for part in parts]
    else:
        with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1), "cachingclient-seal") as pool:
            digests = list(pool.map(lambda part: part(), parts))
    return hashlib.sha256(b"parts" + b"".join(digests)).hexdigest()


def _parts(frames: Iterable[memoryview]) -> Iterator[partial[bytes]]:
    part: list[memoryview] = []
    room = PART
    for frame in frames:
        while frame.nbytes:
            part.append(frame[:room])
            frame, room = frame[room:], room - part[-1].nbytes
            if not room:
                yield partial(_digest, part)
                part, room = [], PART
    if part:
        yield partial(_digest, part)


def _digest(part: Iterable[memoryview]) -> bytes:
    state = hashlib.sha256()
    for piece in part:
        state.update(piece)
    return state.digest()
