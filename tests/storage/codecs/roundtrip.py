"""There and back through codecs."""

from __future__ import annotations

from typing import Any

from cachingclient.storage import decode, encode


def roundtrip(value: Any) -> tuple[str, Any]:
    """The codec that was used, and what came back."""
    encoded = encode(value)
    return encoded.codec, decode(b"".join(encoded.frames))
