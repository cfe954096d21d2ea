"""Anything else: pickle protocol 5, its big buffers out of band; cloudpickle for what pickle can't name."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle

from cachingclient.storage.base import UncodableError

NAME = "pickle"
VERSION = 1
LIBRARIES = ("cloudpickle",)


def encode(value: Any, writer: Any) -> dict[str, Any]:
    """Pickle, with a frame for each out-of-band buffer."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        by_value = b"__main__" in body  # a reference into this process's script means nothing in another one
    except Exception:  # whatever a __reduce__ raises: cloudpickle may still know better
        by_value = True
    if by_value:
        buffers.clear()
        try:
            body = cloudpickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        except Exception as error:
            raise UncodableError(f"a {type(value).__qualname__} can't be serialised: {error}") from error
    try:
        views = [buffer.raw() for buffer in buffers]
    except BufferError:  # a buffer that is not contiguous can't be a frame
        buffers.clear()
        views = []
        body = cloudpickle.dumps(value, protocol=5)
    return {"body": writer.frame(body), "buffers": [writer.frame(view) for view in views]}


def decode(node: dict[str, Any], reader: Any) -> Any:
    """Unpickle onto the frames."""
    return pickle.loads(reader.frame(node["body"]), buffers=[reader.frame(n) for n in node["buffers"]])
