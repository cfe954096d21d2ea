"""coffea: work items, the processors sent as compressed bytes, and events that are read when needed."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import pickle
from collections import OrderedDict
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from cachingclient.hashing.digest import digest, frame
from cachingclient.hashing.objects import encode_unordered
from cachingclient.hashing.plugins import register_hasher
from cachingclient.hashing.scalars import encode_int, encode_str
from cachingclient.hashing.walk import Unidentifiable

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

MOST_UNWRAPPED = 8
"""How many unwrapped objects are kept: a processor goes with each of its chunks."""

_forms: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()
_unwrapped: OrderedDict[bytes, Any] = OrderedDict()


def unwrap(data: bytes) -> Any:
    """Return the object that coffea pickled and compressed into these bytes, or None if they are something else.

    The pickle names its classes by number and its code by file and line, so its bytes tell nothing;
    the object inside is what the step will work with.
    """
    key = digest(data)
    if key not in _unwrapped:
        _unwrapped[key] = _load(data)
        while len(_unwrapped) > MOST_UNWRAPPED:
            _unwrapped.popitem(last=False)
    return _unwrapped[key]


def _load(data: bytes) -> Any:
    import lz4.frame

    try:
        content = lz4.frame.decompress(data)
        return _Unpickler(io.BytesIO(content)).load() if content[:1] == pickle.PROTO else None
    except Exception:
        # No pickle after all, or one that can't be read here: then the bytes stand for themselves.
        return None


class _Unpickler(pickle.Unpickler):
    """Makes classes of its own from those that went by value.

    cloudpickle writes them into the class that they came from, if that is in this process: the one of a notebook would
    go on with the variables that it had when it was sent, whatever the user does to them.
    """

    def find_class(self, module: str, name: str) -> Any:
        """Return what is named; the makers of classes without their look at those that are there."""
        found = super().find_class(module, name)
        if module.startswith("cloudpickle") and name in ("_make_skeleton_class", "_make_skeleton_enum"):
            return lambda *args: found(*args[:-2], None, args[-1])  # the last but one identifies a class that is there
        return found


@register_hasher("coffea.processor.executor.WorkItem")
def encode_work_item(item: Any, walk: Walk) -> bytes:
    """Return the encoding of a chunk: its file by name, identifier and look, the tree, the range, the data set.

    All that is in ``usermeta`` counts, in no order: the processor finds it in ``events.metadata``, so a number
    of events there that covers the whole data set does change the result of every chunk.
    """
    parts = [
        encode_str(item.dataset),
        encode_str(item.filename),
        encode_str(item.treename),
        encode_int(int(item.entrystart)),
        encode_int(int(item.entrystop)),
        walk.encode(item.fileuuid),
        encode_unordered(item.usermeta, walk),
        walk.encode(getattr(item, "preload", None)),
    ]
    return frame(b"(", [*parts, _local_file(item.filename, walk)])


@register_hasher("coffea.nanoevents.factory.NanoEventsFactory", subclasses=True)
def encode_factory(factory: Any, walk: Walk) -> bytes:
    """Return the encoding of a factory of events by its file, its range and its schema."""
    source = _encode_mapping(factory._mapping, factory._partition_key, walk)
    return frame(b"(", [source, encode_str(factory._mode), walk.encode(factory._schema)])


@register_hasher("coffea.nanoevents.schemas.base.BaseSchema", subclasses=True)
def encode_schema(schema: Any, walk: Walk) -> bytes:
    """Return the encoding of a schema by the form it made; its collections come out of a set, in no order."""
    form = dict(schema.form)
    settings = dict(form.pop("parameters", {}))
    metadata = encode_unordered(settings.pop("metadata", None), walk)
    known = _forms.get(schema)
    if known is None:
        if form.get("class") == "RecordArray" and form.get("fields"):
            form["contents"] = dict(zip(form.pop("fields"), form["contents"], strict=True))
        try:
            known = digest(json.dumps([form, settings], sort_keys=True).encode())
        except TypeError:
            return frame(b"(", [metadata, encode_unordered([form, settings], walk)])
        _forms[schema] = known
    return frame(b"(", [metadata, known])


def encode_reader(reader: object, walk: Walk) -> bytes | None:
    """Return the encoding of how NanoEvents fills a buffer: from which file, which range, by which operations."""
    if not isinstance(reader, functools.partial):
        return None
    if getattr(reader.func, "__qualname__", "") != "BaseSourceMapping.__getitem__.<locals>._getitem":
        return None
    read: Any = reader.func
    mapping = read.__closure__[read.__code__.co_freevars.index("self")].cell_contents
    return _encode_mapping(mapping, reader.args[0], walk)


with contextlib.suppress(ImportError):  # coffea 0.7 has awkward 1, which reads nothing by itself
    from cachingclient.hashing.plugins.awkward import UNORDERED_RECORDS, register_reader

    UNORDERED_RECORDS.add("NanoEvents")
    register_reader(encode_reader)


def _encode_mapping(mapping: Any, key: str, walk: Walk) -> bytes:
    """Return the encoding of a source of columns and a key in it, which starts with the identifier of its file."""
    uuid = key.partition("/")[0]
    kind = type(mapping)
    opener = getattr(mapping, "_fileopener", None)
    file = getattr(opener, "_uuid_pfnmap", {}).get(uuid)
    if kind.__name__ not in ("UprootSourceMapping", "ParquetSourceMapping"):
        raise Unidentifiable(f"events that are read from a {kind.__qualname__}")
    look = _local_file(file, walk) if isinstance(file, str) else b""
    if uuid == "None" and not look:
        raise Unidentifiable(f"events from {file!r}, a file without an identifier of its own")
    return frame(b"(", [walk.encode(kind), encode_str(key), look])


def _local_file(name: str, walk: Walk) -> bytes:
    """Return what a local file looks like; a remote one is left to its identifier, which needs no answer from it."""
    if "://" in name and not name.startswith("file://"):
        return b""
    found = walk.inputs.of(name) if "://" in name else walk.inputs.of_path(name)
    if found is None:
        walk.may_change = True
        return b""
    walk.file(found)
    return found.identity
