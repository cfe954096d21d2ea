"""Entries that are signed, for stores that others can write to.

Loading a pickle runs code, so whoever can write to a store could run code as everyone who reads from it. A
:class:`SignedStore` only believes entries that a known key has signed. The signature covers the description and a
SHA-256 of the result, and with them the keys under which it is filed.

A key is a file: a shared secret (any 32 bytes or more; HMAC-SHA256), or an Ed25519 key in PEM form, whose public
half lets others read but not write.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from cachingclient.storage.base import Entry, EntryInfo, EntryLost, Frame, Store
from cachingclient.storage.entry import describe
from cachingclient.storage.wrapping import Wrapper

logger = logging.getLogger("cachingclient")


SHORTEST_SECRET = 32
ADDED = frozenset({"signature", "codecs", "libraries", "place"})


class Key(Protocol):
    """What signs, or at least verifies."""

    name: str
    can_sign: bool

    def sign(self, message: bytes) -> bytes: ...

    def verifies(self, message: bytes, signature: bytes) -> bool: ...


class SecretKey:
    """A secret that all who read and write share."""

    can_sign = True

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.name = "hmac-" + hashlib.sha256(b"name of " + secret).hexdigest()[:16]

    def sign(self, message: bytes) -> bytes:
        """Return the message's HMAC."""
        return hmac.digest(self._secret, message, "sha256")

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's."""
        return hmac.compare_digest(self.sign(message), signature)


class Ed25519Key:
    """A private key, which signs and verifies, or a public one, which verifies."""

    def __init__(self, pem: bytes) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519

        self.can_sign = b"PRIVATE" in pem
        key: Any = serialization.load_pem_private_key(pem, None) if self.can_sign else None
        public: Any = key.public_key() if key else serialization.load_pem_public_key(pem)
        if not isinstance(public, ed25519.Ed25519PublicKey):
            raise ValueError(f"a {type(public).__name__} can't be used; signing takes Ed25519 keys")
        self._private, self._public = key, public
        self.name = "ed25519-" + hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]

    def sign(self, message: bytes) -> bytes:
        """Return the message's signature."""
        return bytes(self._private.sign(message))

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def load_key(path: str | os.PathLike[str]) -> Key:
    """Read a key from a file: PEM (Ed25519), or else a secret.

    Raises
    ------
    ValueError
        The file is missing, too short for a secret, or a secret that others can read.
    """
    place = Path(path).expanduser()
    try:
        content = place.read_bytes()
    except OSError as error:
        raise ValueError(f"signing key {str(path)!r} can't be read: {error.strerror}") from error
    public = b"BEGIN PUBLIC KEY" in content
    if not public and place.stat().st_mode & 0o077:
        raise ValueError(f"signing key {str(path)!r} can be read by others; chmod 600 it")
    if b"-----BEGIN" in content:
        return Ed25519Key(content)
    if len(content.strip()) < SHORTEST_SECRET:
        raise ValueError(f"signing key {str(path)!r} is too short: a secret takes {SHORTEST_SECRET} bytes or more")
    return SecretKey(content.strip())


class SignedStore(Wrapper):
    """A store whose entries are believed only if one of these keys signed them.

    Parameters
    ----------
    inner
        The store that keeps them.
    keys
        Key files. The first that can sign signs what is written; without one nothing is written.

    Notes
    -----
    An entry that is not signed is a miss. Whoever can write to the store can still remove entries, or put back an
    older signed entry under its own keys, which is the result of the same step.
    """

    def __init__(self, inner: Store, keys: Iterable[Key], options: Mapping[str, Any]) -> None:
        self._inner = inner
        self.url, self.options = inner.url, dict(options)
        self._keys = {key.name: key for key in keys}
        self._signer = next((key for key in self._keys.values() if key.can_sign), None)
        if not self._keys:
            raise ValueError("trust='signed' takes signing_key=FILE, or several files")

    @property
    def inner(self) -> Store:
        return self._inner

    @property
    def read_only(self) -> bool:  # type: ignore[override]
        return self.inner.read_only or self._signer is None

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        found = self.inner.find(keys)
        believed = {key: info for key, info in found.items() if self._believes(info)}
        if len(believed) < len(found):
            logger.warning("%d entries of %s are not signed by a known key", len(found) - len(believed), self.url)
        return believed

    def payload(self, info: EntryInfo) -> bytes | Frame:
        if not self._believes(info):
            raise EntryLost(info.key, "it is not signed by a known key")
        payload = self.inner.payload(info)
        if hashlib.sha256(payload).hexdigest() != info.details["signature"]["sha256"]:
            raise EntryLost(info.key, "its bytes are not those that were signed")
        return payload

    def slim(self, info: EntryInfo) -> EntryInfo:
        return info  # the signature is over all of it

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        signed = entry if self._believes(describe(entry, None)) else self._signed(entry)
        if signed is None:
            return False
        # What is there unsigned is worth nothing to us, so it does not stand in the way.
        there = self.inner.find(entry.keys[:1]).get(entry.keys[0])
        return self.inner.write(signed, overwrite=overwrite or (there is not None and not self._believes(there)))

    def _signed(self, entry: Entry) -> Entry | None:
        """The entry with our signature, if we can sign."""
        if self._signer is None:
            return None
        state = hashlib.sha256()
        for frame in entry.encoded.frames:
            state.update(frame)
        facts = _facts(
            entry.keys, entry.kind, entry.name, entry.encoded.codec, entry.encoded.digest, entry.encoded.nbytes
        )
        signature = self._sign(facts, entry.details, state.hexdigest())
        return replace(entry, details={**entry.details, "signature": signature})

    def alias(self, info: EntryInfo, keys: Iterable[str]) -> int:
        if self._signer is None or not self._believes(info):
            return 0
        count = 0
        for key in keys:
            facts = _facts((key,), info.kind, info.name, info.codec, info.digest, info.nbytes)
            sha256 = info.details["signature"]["sha256"]
            details = {**info.details, "signature": self._sign(facts, info.details, sha256)}
            count += self.inner.alias(replace(info, details=details), [key])
        return count

    def _sign(self, facts: dict[str, Any], details: Mapping[str, Any], sha256: str) -> dict[str, str]:
        assert self._signer is not None
        message = _message(facts, details, sha256)
        return {"key": self._signer.name, "sha256": sha256, "signature": self._signer.sign(message).hex()}

    def _believes(self, info: EntryInfo) -> bool:
        stated = info.details.get("signature")
        if not isinstance(stated, dict) or stated.get("key") not in self._keys:
            return False
        facts = _facts(info.keys, info.kind, info.name, info.codec, info.digest, info.nbytes)
        message = _message(facts, info.details, stated["sha256"])
        return self._keys[stated["key"]].verifies(message, bytes.fromhex(stated["signature"]))


def _facts(keys: Iterable[str], kind: str, name: str, codec: str, digest: str, nbytes: int) -> dict[str, Any]:
    return {"keys": list(keys), "kind": kind, "name": name, "codec": codec, "digest": digest, "nbytes": nbytes}


def _message(facts: dict[str, Any], details: Mapping[str, Any], sha256: str) -> bytes:
    """What is signed: all but what the store adds, which only tells where and how to read the bytes."""
    rest = {name: value for name, value in details.items() if name not in ADDED}
    return json.dumps([facts, rest, sha256], sort_keys=True).encode()
