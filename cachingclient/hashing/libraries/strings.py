"""Columns of text: many texts at once, of which a few may name files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cachingclient.hashing.digest import frame

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk


def encode_files_among(texts: Iterable[str], walk: Walk) -> bytes:
    """Return the encodings of those texts that name a file; nothing for those that name none.

    The texts themselves are hashed by their column, at memory speed.
    """
    found = set()
    for text in texts:
        fingerprint = walk.inputs.of(text)
        if fingerprint is not None and fingerprint.is_local:
            walk.file(fingerprint)  # it counts by the trace
        elif fingerprint is not None:
            found.add(walk.encode(text))
    return frame(b"I", sorted(found)) if found else b""
