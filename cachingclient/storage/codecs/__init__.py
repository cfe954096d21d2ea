"""Values to bytes and back, exactly.

A codec is a module of this folder with ``NAME``, ``VERSION``, ``LIBRARIES`` (import names whose versions are worth
noting), ``encode(value, writer) -> node | None`` and ``decode(node, reader) -> value``. A node is JSON; big buffers
go into frames, through ``writer.frame`` and ``reader.frame``. ``encode`` returns None for a value that it can't give
back exactly, and then the whole value is pickled. It is listed below by the package its types come from.
"""

from __future__ import annotations

from cachingclient.storage.codecs.framing import (
    DataOnlyError,
    NewerCodecError,
    decode,
    encode,
    is_data,
    readable,
)

__all__ = ["DataOnlyError", "NewerCodecError", "decode", "encode", "is_data", "readable"]
