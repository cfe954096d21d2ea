"""coffea: work items, the processors sent as compressed bytes, and events that are read when needed."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import math
import pickle
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from cachingclient.hashing.digest import digest, frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.inputs.fingerprint import KNOWN, Fingerprint
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.hashing.objects import encode_object, encode_unordered
from cachingclient.hashing.registry import register_hasher, register_unpacker
from cachingclient.hashing.scalars import encode_int, encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

MOST_UNWRAPPED = 8
"""How many unwrapped objects are kept: a processor goes with each of its chunks."""

_forms: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()
_unwrapped: OrderedDict[bytes, Any] = OrderedDict()
NOT_AGAIN = 600.0
"""Seconds for which a server is not asked again that did not say how large a file is."""
_silent: dict[str, float] = {}


@register_unpacker("coffea.processor.executor", start=b"\x04\x22\x4d\x18")  # a frame of LZ4
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

    Of a remote file that counts beside the identifier which its server tells: a copy that was edited may have the
    identifier of its original, and its size.

    All that is in ``usermeta`` counts, in no order: the processor finds it in ``events.metadata``, so a number
    of events there that covers the whole data set does change the result of every chunk.
    """
    parts = [
        encode_str(item.dataset),
        encode_str(unsigned(item.filename)),
        encode_str(item.treename),
        encode_int(int(item.entrystart)),
        encode_int(int(item.entrystop)),
        walk.encode(item.fileuuid),
        encode_unordered(item.usermeta, walk),
        walk.encode(getattr(item, "preload", None)),
    ]
    if _is_remote(item.filename):
        found = _look_at_remote(item.filename, walk)
        walk.file(found)
        return frame(b"(", parts if found.size is None else [*parts, found.identity])
    _note_local_file(item.filename, walk)
    return frame(b"(", parts)


@register_hasher("coffea.processor.executor.FileMeta")
def encode_file_meta(meta: Any, walk: Walk) -> bytes:
    """Return the encoding of a file that coffea looks at before a run.

    coffea finds what was seen by the name that it gave, which it gets back with it: a signed one can't be kept.
    """
    if isinstance(meta.filename, str) and unsigned(meta.filename) != meta.filename:
        raise Unidentifiable(f"{unsigned(meta.filename)}, whose signature comes back with what is seen of it")
    return encode_object(meta, walk)


def _is_remote(name: str) -> bool:
    return "://" in name and not name.startswith("file://")


def _look_at_remote(url: str, walk: Walk) -> Fingerprint:
    """Return what a remote file looks like beside its identifier, as far as its server tells it.

    A server that does not is not asked again for a while. The time that a proxy or a redirector gives counts for
    nothing: it is that of its own copy, or of one of several.
    """
    untold = Fingerprint(url, KNOWN)
    server = "://".join(urlsplit(url)[:2])
    if time.monotonic() - _silent.get(server, -math.inf) < NOT_AGAIN:
        return untold
    try:
        found = walk.inputs.of(url)
    except Unidentifiable as error:
        if not error.refused:
            _silent[server] = time.monotonic()
        return untold
    if found is None or found.size is None:
        return untold
    checksum = None if found.relayed and found.etag is None else found.checksum
    return replace(found, url=url, kind=KNOWN, checksum=checksum)


@register_hasher("coffea.jetmet_tools.CorrectedMETFactory.CorrectedMETFactory")
@register_hasher("coffea.jetmet_tools.CorrectedJetsFactory.CorrectedJetsFactory")
def encode_corrections(factory: Any, walk: Walk) -> bytes:
    """Return the encoding of what corrects jets or missing energy; the names of its columns have no order.

    A stack of corrections makes the table of names out of a set, so each process has another order. Only the text of
    an error lists them.
    """
    attributes = dict(vars(factory))
    attributes.pop("real_sig", None)  # the values of the table once more
    names = encode_unordered(attributes.pop("name_map", None), walk)
    return frame(b"(", [walk.encode(type(factory)), names, walk.encode(attributes)])


@register_hasher("coffea.nanoevents.factory.NanoEventsFactory", subclasses=True)
def encode_factory(factory: Any, walk: Walk) -> bytes:
    """Return the encoding of a factory of events by its file, its range and its schema."""
    source = _encode_mapping(factory._mapping, factory._partition_key, walk)
    mode = getattr(factory, "_mode", "lazy")  # coffea 0.7 knows no other way to read events
    return frame(b"(", [source, encode_str(mode), walk.encode(factory._schema)])


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


with contextlib.suppress(ImportError):  # coffea 0.7 has awkward 1, whose arrays are known by content
    from cachingclient.hashing.libraries.awkward.hasher import UNORDERED_RECORDS, register_reader

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
    there = isinstance(file, str) and _note_local_file(file, walk)
    if uuid == "None" and not there:
        raise Unidentifiable(f"events from {file!r}, a file without an identifier of its own")
    return frame(b"(", [walk.encode(kind), encode_str(key)])


def _note_local_file(name: str, walk: Walk) -> bool:
    """Note a local file, and tell whether it is there; a remote one is left to its identifier: no server is asked."""
    if _is_remote(name):
        walk.file(Fingerprint(name, KNOWN))
        return False
    found = walk.inputs.of(name) if "://" in name else walk.inputs.of_path(name)
    if found is None:
        walk.may_change = True
        return False
    walk.file(found)
    return True
