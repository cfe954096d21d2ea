"""PyTorch: tensors, and the models that hold them, by the memory that they lie in.

A pickle of a tensor names its memory by the address that this has in the process, so it is another one each time.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from cachingclient.hashing.digest import digest, frame
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk


@register_hasher("torch.storage.TypedStorage", subclasses=True)
def encode_typed_storage(storage: Any, walk: Walk) -> bytes:
    """Return the encoding of what a tensor hands to a pickle as its memory, with the type of its elements."""
    return frame(b"(", [encode_str(str(storage.dtype)), encode_storage(storage._untyped_storage, walk)])


@register_hasher("torch.storage.UntypedStorage", subclasses=True)
def encode_storage(storage: Any, walk: Walk) -> bytes:
    """Return the encoding of memory by its device and content; that of a tensor without values has none."""
    device = encode_str(str(storage.device))
    if storage.device.type == "meta":
        return frame(b"(", [device, encode_str(str(storage.nbytes()))])
    here = storage.cpu()
    content = (ctypes.c_char * here.nbytes()).from_address(here.data_ptr()) if here.nbytes() else b""
    return frame(b"(", [device, digest(memoryview(content))])
