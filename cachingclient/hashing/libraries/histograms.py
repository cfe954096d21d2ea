"""hist and boost-histogram: axes, storage, content with overflow, and what users attach to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boost_histogram as bh
import numpy as np

from cachingclient.hashing.digest import frame
from cachingclient.hashing.libraries.numpy import encode_array
from cachingclient.hashing.objects import encode_pairs
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk


@register_hasher(bh.Histogram, subclasses=True)
def encode_histogram(histogram: Any, walk: Walk) -> bytes:
    """Return the encoding of a histogram by its axes, its storage, its content and its name, label and metadata."""
    attached = {name: value for name, value in vars(histogram).items() if name not in ("_hist", "axes")}
    axes = [encode_axis(axis, walk) for axis in histogram.axes]
    content = encode_array(np.asarray(histogram.view(flow=True)), walk)
    kind = walk.encode(histogram.storage_type)
    return frame(b"(", [frame(b"(", axes), kind, content, encode_pairs(sorted(attached.items()), walk)])


@register_hasher(bh.axis.Axis, subclasses=True)
def encode_axis(axis: Any, walk: Walk) -> bytes:
    """Return the encoding of an axis by its bins, its options and what is attached to it."""
    traits = axis.traits
    options = (traits.underflow, traits.overflow, traits.circular, traits.growth, traits.continuous, traits.ordered)
    # The class of the axis counts where it stands in a histogram too; alone it is added a second time.
    parts = [walk.encode(type(axis)), walk.encode(options)]
    if isinstance(axis, (bh.axis.StrCategory, bh.axis.IntCategory)):
        parts.append(frame(b"l", [_plain(item, walk) for item in axis]))
    elif not isinstance(axis, bh.axis.Boolean):
        parts.append(encode_array(np.asarray(axis.edges), walk))
    if isinstance(axis, bh.axis.Regular):
        parts.append(walk.encode(axis.transform))
    parts.append(encode_pairs(sorted(vars(axis).items()), walk))
    return frame(b"(", parts)


@register_hasher("boost_histogram.axis.transform.AxisTransform", subclasses=True)
def encode_transform(transform: Any, walk: Walk) -> bytes:
    """Return the encoding of an axis's transform by its power, or by its functions and its name."""
    return walk.encode(transform._this.__getstate__())


@register_hasher("boost_histogram.storage.Storage", subclasses=True)
def encode_storage(storage: Any, walk: Walk) -> bytes:
    """Return the encoding of a storage, whose class says all."""
    return b""


def _plain(item: Any, walk: Walk) -> bytes:
    return encode_str(item) if isinstance(item, str) else walk.encode(item)
