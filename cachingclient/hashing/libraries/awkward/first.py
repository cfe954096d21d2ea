"""Arrays of awkward 1: by content, unless that would read a whole file for a few of its columns."""

from __future__ import annotations

import json
from typing import Any

import awkward as ak

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.libraries.awkward.links import MOST_UNREAD_COLUMNS
from cachingclient.hashing.objects import encode_object
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.walk import Walk


@register_hasher(ak.Array, subclasses=True)
@register_hasher(ak.Record, subclasses=True)
def encode_array(array: Any, walk: Walk) -> bytes:
    """Return the encoding of an array by what a pickle of it would have, for which all of its columns are read.

    Whether a column was read already does not count, or a step would change what it was given by reading it.
    """
    layout = array.layout
    lazy = _lazy_columns(json.loads((layout if hasattr(layout, "form") else layout.array).form.tojson(False, True)))
    if lazy > MOST_UNREAD_COLUMNS:
        raise Unidentifiable(
            f"an array of awkward 1 with {lazy} columns that are read when needed; give those needed, by ak.zip"
        )
    return encode_object(array, walk)


def _lazy_columns(form: Any, lazy: bool = False) -> int:
    """Count the columns below virtual nodes of a form."""
    if isinstance(form, list):
        return sum(_lazy_columns(each, lazy) for each in form)
    if not isinstance(form, dict):
        return 0
    virtual = form.get("class") == "VirtualArray"
    column = (lazy and form.get("class") == "NumpyArray") or (virtual and form["form"] is None)
    return int(column) + sum(_lazy_columns(each, lazy or virtual) for each in form.values())
