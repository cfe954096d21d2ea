"""SciPy: sparse arrays by their stored elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachingclient.hashing.digest import frame
from cachingclient.hashing.objects import encode_object
from cachingclient.hashing.registry import register_hasher

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_PARTS = ("data", "indices", "indptr", "row", "col", "coords", "offsets", "rows")


@register_hasher("scipy.sparse._base._spbase", subclasses=True)
def encode_sparse(values: Any, walk: Walk) -> bytes:
    """Return the encoding of a sparse array by its shape and stored elements, in the order they are stored.

    What it has found out about itself, such as whether its indices are sorted, does not count.
    """
    if not hasattr(values, "data"):
        return encode_object(values, walk)
    stored = [(name, getattr(values, name)) for name in _PARTS if hasattr(values, name)]
    return frame(b"(", [walk.encode(values.shape), walk.encode(stored)])


@register_hasher("scipy.sparse._dok._dok_base", subclasses=True)
def encode_dictionary_of_keys(values: Any, walk: Walk) -> bytes:
    """Return the encoding of a sparse array that is kept as a dictionary."""
    return frame(b"(", [walk.encode(values.shape), walk.encode(values.dtype), walk.encode(dict(values.items()))])
