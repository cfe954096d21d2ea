"""Keys that sign entries: files, and folders of them.

A key is a file: a shared secret (any 32 bytes or more; HMAC-SHA256), or an Ed25519 key in PEM form, whose public half
lets others read but not write. A folder, a ring, holds the keys that are believed, and a list of those that are not any
more: so a key is changed by adding the new one, and the old one is revoked when its entries may go.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

SHORTEST_SECRET = 32
REVOKED = "revoked"
"""The file of a ring that names the keys which are believed no more, one a line."""
OTHERS = 0o077
OTHERS_WRITE = 0o022


class Key(Protocol):
    """A key that signs, or at least verifies."""

    name: str
    can_sign: bool

    def sign(self, message: bytes) -> bytes: ...

    def verifies(self, message: bytes, signature: bytes) -> bool: ...

    def derived(self, purpose: bytes) -> bytes | None: ...


class SecretKey:
    """A secret that all readers and writers share."""

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

    def derived(self, purpose: bytes) -> bytes | None:
        """Return a key for one purpose, which tells nothing of the secret."""
        return hmac.digest(hmac.digest(self._secret, b"keys of entries", "sha256"), purpose, "sha256")


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

    def derived(self, purpose: bytes) -> bytes | None:
        """Return nothing: readers have no secret."""
        return None


def load_keys(places: str | Iterable[str]) -> list[Key]:
    """Read the keys of files and rings, but for those that a ring revokes.

    Raises
    ------
    ValueError
        As `load_key` does, or others may write to a ring.
    """
    return [
        key for place in ([places] if isinstance(places, str) else places) for key in _keys_at(Path(place).expanduser())
    ]


def revoked(ring: Path) -> set[str]:
    """Return the names of the keys that a ring revokes."""
    try:
        return {line.split("#")[0].strip() for line in (ring / REVOKED).read_text().splitlines()} - {""}
    except FileNotFoundError:
        return set()


def _keys_at(place: Path) -> Iterator[Key]:
    if not place.is_dir():
        yield load_key(place)
        return
    for path in (place, *sorted(place.iterdir())):
        if path.stat().st_mode & OTHERS_WRITE:
            raise ValueError(f"ring {str(place)!r} can be changed by others; chmod -R go-w it")
    gone = revoked(place)
    keys = [load_key(path) for path in sorted(place.iterdir()) if path.name != REVOKED]
    yield from (key for key in keys if key.name not in gone)


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
    if not public and place.stat().st_mode & OTHERS:
        raise ValueError(f"signing key {str(path)!r} can be read by others; chmod 600 it")
    if b"-----BEGIN" in content:
        return Ed25519Key(content)
    if len(content.strip()) < SHORTEST_SECRET:
        raise ValueError(f"signing key {str(path)!r} is too short: a secret takes {SHORTEST_SECRET} bytes or more")
    return SecretKey(content.strip())


def make_secret(path: Path) -> Key:
    """Make a shared secret in a file that is there for its owner alone. Raises FileExistsError."""
    _write(path, os.urandom(SHORTEST_SECRET).hex().encode())
    return load_key(path)


def make_pair(path: Path) -> Key:
    """Make an Ed25519 key in a file, and its public half beside it, which readers take. Raises FileExistsError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, pem = Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    _write(path, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write(path.with_suffix(".pub"), public, 0o644)
    return load_key(path)


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
