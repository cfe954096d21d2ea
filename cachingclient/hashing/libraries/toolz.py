"""toolz and cytoolz: a curried function is pickled by its name, which says nothing of its code."""

from __future__ import annotations

from typing import Any

from cachingclient.hashing.digest import frame
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.walk import Walk


@register_hasher("toolz.functoolz.curry", subclasses=True)
@register_hasher("cytoolz.functoolz.curry", subclasses=True)
def encode_curry(curried: Any, walk: Walk) -> bytes:
    """Return the encoding of a curried function: its function and arguments."""
    return frame(b"curry", map(walk.encode, (curried.func, curried.args, curried.keywords)))
