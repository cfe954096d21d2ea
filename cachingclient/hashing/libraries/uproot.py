"""Uproot: trees and branches by their file, objects read from a file by their content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachingclient.hashing.digest import frame
from cachingclient.hashing.libraries.stdlib import refuse
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_WHERE_FROM = frozenset({"_file", "_parent", "_cursor", "_concrete", "_num_bytes"})

refuse("uproot.source.chunk.Source", "an open source of ROOT data")
refuse("uproot.writing.writable.WritableFile", "a ROOT file open for writing")
refuse("uproot.writing.writable.WritableDirectory", "a ROOT file open for writing")


@register_hasher("uproot.reading.CommonFileMethods", subclasses=True)
def encode_file(file: Any, walk: Walk) -> bytes:
    """Return the encoding of a ROOT file by its identifier; a local one counts by the trace too."""
    name = str(file.file_path)
    parts = [encode_str(name), walk.encode(str(file.uuid))]
    found = walk.inputs.of_path(name) if "://" not in name else None
    if found is not None:
        walk.file(found)
    walk.may_change = walk.may_change or found is None
    return frame(b"(", parts)


@register_hasher("uproot.reading.ReadOnlyDirectory", subclasses=True)
@register_hasher("uproot.behaviors.TBranch.HasBranches", subclasses=True)
@register_hasher("uproot.behaviors.TBranch.TBranch", subclasses=True)
def encode_stored(stored: Any, walk: Walk) -> bytes:
    """Return the encoding of an object that is still in its ROOT file: the file, and the object's path in it."""
    return frame(b"(", [encode_file(stored.file, walk), encode_str(str(stored.object_path))])


@register_hasher("uproot.behaviors.RNTuple.HasFields", subclasses=True)
def encode_fields(fields: Any, walk: Walk) -> bytes:
    """Return the encoding of an RNTuple or a field of one."""
    whole = getattr(fields, "ntuple", fields)
    inside = "" if whole is fields else str(fields.path)
    return frame(b"(", [encode_file(whole.file, walk), encode_str(str(whole.object_path)), encode_str(inside)])


@register_hasher("uproot.model.Model", subclasses=True)
def encode_model(model: Any, walk: Walk) -> bytes:
    """Return the encoding of an object that was read in full, such as a histogram, wherever it was read."""
    content = [(name, value) for name, value in vars(model).items() if name not in _WHERE_FROM]
    return frame(b"(", [encode_str(model.classname), walk.encode(sorted(content))])
