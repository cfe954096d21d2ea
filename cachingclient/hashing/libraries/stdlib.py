"""The standard library: types whose ``__reduce__`` is no good identity, and types that have none."""

from __future__ import annotations

import contextvars
import functools
import itertools
import os
import re
import types
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ForwardRef

from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.inputs.checksums import strongest
from cachingclient.hashing.inputs.inputs import File
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.hashing.objects import encode_input, encode_object, encode_pairs
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_EMPTY: tuple[Iterable[Any], ...] = ([], (), {}, {}.values(), {}.items(), set(), "", b"", bytearray(), range(0))
_ITERATORS: tuple[type, ...] = (
    *{type(iter(empty)) for empty in _EMPTY},
    *(map, filter, zip, enumerate, reversed, type(reversed([])), type(reversed({})), type(iter(int, 0))),
    *(kind for kind in vars(itertools).values() if isinstance(kind, type)),
    *(types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType),
)

_NO_IDENTITY: dict[str | type, str] = {
    "_thread.lock": "a lock",
    "_thread.RLock": "a lock",
    "_thread._local": "thread-local data",
    "_thread._localdummy": "thread-local data",
    "threading.Thread": "a thread",
    "threading.Condition": "a thread's condition",
    "threading.Event": "a thread's event",
    "threading.Semaphore": "a semaphore",
    "threading.Barrier": "a barrier",
    "_socket.socket": "a socket",
    "select.epoll": "a poll object",
    "subprocess.Popen": "a running process",
    "mmap.mmap": "a memory map",
    "queue.Queue": "a queue",
    "_queue.SimpleQueue": "a queue",
    "multiprocessing.queues.Queue": "a queue",
    "multiprocessing.connection._ConnectionBase": "a connection",
    "multiprocessing.synchronize.SemLock": "a lock",
    "multiprocessing.process.BaseProcess": "a process",
    "multiprocessing.pool.Pool": "a pool of processes",
    "concurrent.futures._base.Executor": "an executor",
    "concurrent.futures._base.Future": "a concurrent.futures.Future",
    "_asyncio.Future": "an asyncio.Future",
    "asyncio.events.AbstractEventLoop": "an event loop",
    "asyncio.mixins._LoopBoundMixin": "an asyncio lock or queue",
    "sqlite3.Connection": "a database connection",
    "sqlite3.Cursor": "a database cursor",
    "_ssl._SSLContext": "an SSL context",
    "_contextvars.Context": "a context",
    "_contextvars.Token": "a context variable's token",
    "logging.Handler": "a logging handler",
    "random.SystemRandom": "a random generator without a state",
    "weakref.WeakValueDictionary": "a dictionary of weak references",
    "weakref.WeakKeyDictionary": "a dictionary of weak references",
    "_weakrefset.WeakSet": "a set of weak references",
    "weakref.ReferenceType": "a weak reference",
    "weakref.ProxyType": "a weak reference",
    "weakref.CallableProxyType": "a weak reference",
    types.FrameType: "a stack frame",
    types.TracebackType: "a traceback",
}


def refuse(kind: type | str, what: str) -> None:
    """Register that values of a type and its subclasses have no identity, with the words for them in the message."""

    @register_hasher(kind, subclasses=True)
    def encode_refused(obj: object, walk: Walk) -> bytes:
        raise Unidentifiable(what)


for _kind, _what in _NO_IDENTITY.items():
    refuse(_kind, _what)
for _iterator in _ITERATORS:
    refuse(_iterator, f"a {_iterator.__name__} whose items can be taken only once")


@register_hasher("_io._IOBase", subclasses=True)
def encode_stream(stream: Any, walk: Walk) -> bytes:
    """Refuse a stream, and name it: its content depends on earlier reads."""
    name = getattr(stream, "name", None)
    raise Unidentifiable(f"an open file {name!r}" if name is not None else f"an open {type(stream).__name__}")


@register_hasher("tempfile._TemporaryFileWrapper", subclasses=True)
def encode_temporary_file(file: Any, walk: Walk) -> bytes:
    """Refuse an open temporary file by its name."""
    raise Unidentifiable(f"an open temporary file {file.name!r}")


@register_hasher("_io.BytesIO")
@register_hasher("_io.StringIO")
def encode_memory_file(file: Any, walk: Walk) -> bytes:
    """Encode a file in memory by its content and position."""
    return encode_object(file, walk)


@register_hasher(PurePath, subclasses=True)
def encode_path(path: PurePath, walk: Walk) -> bytes:
    """Encode a path by its text and by the fingerprint of the file there."""
    return encode_input(str(path), walk.inputs.of_path(path), walk)


@register_hasher(File)
def encode_file(file: File, walk: Walk) -> bytes:
    """Encode a `File` by its content; its path does not count, if a server says what the content is."""
    found = walk.inputs.of_content(str.__str__(file))
    if found is None:
        raise Unidentifiable(f"{file!r}, where there is no file")
    walk.file(replace(found, in_key=True))
    if found.is_local:
        return found.identity
    if found.relayed or not found.sums:  # a time and a size are those of many files
        return frame(b"I", [encode_str(unsigned(found.url)), found.identity])
    return frame(b"I", [b"", repr((found.size, strongest(found.sums))).encode()])


@register_hasher("_struct.Struct")
def encode_struct(layout: Any, walk: Walk) -> bytes:
    """Encode a compiled format of bytes by its text, and by the sizes that this machine gives native types."""
    return frame(b"(", [encode_str(layout.format), walk.encode(layout.size)])


@register_hasher("_contextvars.ContextVar")
def encode_context_variable(variable: contextvars.ContextVar[Any], walk: Walk) -> bytes:
    """Encode a context variable by its value here, and by that which threads begin with that a step starts."""
    walk.may_change = True
    walk.unsure()
    values = _value_of(variable), contextvars.Context().run(_value_of, variable)
    return frame(b"(", [encode_str(variable.name), *map(walk.encode, values)])


def _value_of(variable: contextvars.ContextVar[Any]) -> tuple[Any, ...]:
    try:
        return (variable.get(),)
    except LookupError:
        return ()


@register_hasher("_ctypes.CField")
def encode_field(field: Any, walk: Walk) -> bytes:
    """Encode a field of a C structure by its place: its type stands in the list of fields that its class has."""
    return walk.encode((field.offset, field.size))


@register_hasher("ctypes.CDLL", subclasses=True)
def encode_c_library(library: Any, walk: Walk) -> bytes:
    """Refuse a library in C: what it does is not seen, and its version is not known."""
    which = repr(library._name) if library._name else "of the process itself"
    raise Unidentifiable(f"the C library {which}, loaded by ctypes")


@register_hasher("_ctypes.CFuncPtr", subclasses=True)
def encode_c_function(function: Any, walk: Walk) -> bytes:
    """Refuse a function of such a library."""
    raise Unidentifiable(f"the C function {getattr(function, '__name__', '')!r}, taken by ctypes")


@register_hasher(re.Pattern)
def encode_pattern(pattern: re.Pattern[Any], walk: Walk) -> bytes:
    """Encode a regular expression; its text never names a file."""
    text = pattern.pattern
    encoded = encode_str(text) if isinstance(text, str) else walk.encode(text)
    return frame(b"(", [encoded, walk.encode(int(pattern.flags))])


@register_hasher(Enum, subclasses=True)
def encode_member(member: Enum, walk: Walk) -> bytes:
    """Encode a member of an enumeration by name and value; a combination of flags has no name."""
    return frame(b"(", [walk.encode(member._name_), walk.encode(member._value_)])


@register_hasher("typing.TypeVar")
@register_hasher("typing.ParamSpec")
@register_hasher("typing.TypeVarTuple")
@register_hasher("typing.NewType")
def encode_type_parameter(parameter: Any, walk: Walk) -> bytes:
    """Encode a type parameter by its bound and constraints; a pickle would hold its name alone."""
    settings = ("__bound__", "__constraints__", "__covariant__", "__contravariant__", "__supertype__")
    return walk.encode((parameter.__name__, [getattr(parameter, name, None) for name in settings]))


@register_hasher(ForwardRef)
def encode_forward_reference(reference: ForwardRef, walk: Walk) -> bytes:
    """Encode a type hint in quotes by its text: what it was found to name, once it was looked up, stays with it."""
    return encode_str(reference.__forward_arg__)


@register_hasher(BaseException, subclasses=True)
def encode_exception(error: BaseException, walk: Walk) -> bytes:
    """Encode an exception by its arguments and attributes, also where pickling was taught to add the traceback."""
    state = error.__reduce__()[1:]
    return frame(b"(", [walk.encode(part or None) for part in (*state, None)[:2]])


@register_hasher("random.Random", subclasses=True)
def encode_random(generator: Any, walk: Walk) -> bytes:
    """Return the encoding of a random generator by its state, and what else a subclass holds."""
    walk.goes_on(generator)
    return encode_object(generator, walk)


@register_hasher("os._Environ")
def encode_environment_variables(variables: Any, walk: Walk) -> bytes:
    """Return the encoding of ``os.environ`` by its name where code has it: those that are read stand in the trace."""
    if walk.describing and any(variables is each for each in (os.environ, os.environb)):
        return walk.library("os", "environ" if variables is os.environ else "environb")
    return encode_object(variables, walk)


@register_hasher("uuid.UUID", subclasses=True)
def encode_uuid(uuid: Any, walk: Walk) -> bytes:
    """Encode a UUID by its bits; how it was made is not kept by all copies of it."""
    return bytes(uuid.bytes)


@register_hasher("zoneinfo.ZoneInfo", subclasses=True)
def encode_zone(zone: Any, walk: Walk) -> bytes:
    """Encode a time zone by its key; one read from a nameless file has none."""
    if zone.key is None:
        raise Unidentifiable("a ZoneInfo without a key")
    return encode_str(zone.key)


@register_hasher(types.MappingProxyType)
def encode_mapping_proxy(mapping: types.MappingProxyType[Any, Any], walk: Walk) -> bytes:
    """Encode a read-only view of a mapping by its items."""
    return encode_pairs(mapping.items(), walk)


@register_hasher(type({}.keys()))
@register_hasher(type({}.values()))
@register_hasher(type({}.items()))
def encode_view(view: Iterable[Any], walk: Walk) -> bytes:
    """Encode a view of a dictionary by its items, in the dictionary's order."""
    return frame(b"(", map(walk.encode, view))


@register_hasher(functools.cached_property, subclasses=True)
def encode_cached_property(attribute: functools.cached_property[Any], walk: Walk) -> bytes:
    """Encode a cached property by its function; it may hold a lock besides."""
    return frame(b"(", [walk.encode(attribute.func), walk.encode(attribute.attrname)])
