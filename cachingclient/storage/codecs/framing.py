"""The payload: a JSON head that describes the value, then its buffers, each on a 64-byte boundary.

::

    8 bytes            length of the head, little-endian
    head               {"tree": node, "frames": [length, ...]}
    padding to 64, frame, padding to 64, frame, ...

The alignment lets arrays lie directly on mapped memory. A frame may be made of several parts, which follow each
other without a gap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import xxhash

from cachingclient.storage.checks.budget import Budget, size
from cachingclient.storage.classes import IMPORTED, ClassChangedError, Classes, Reference
from cachingclient.storage.codecs.registry import NAMES, Codec, codec_for, codec_named
from cachingclient.storage.description import loads
from cachingclient.storage.limits import UnsafeError
from cachingclient.storage.model import Encoded, Frame, UncodableError

ALIGNMENT = 64
MOST_FOR_HEAD = 30  # bytes that a byte of JSON may take as a value
LEVELS = 4  # of JSON that a container may take
PADDING = memoryview(bytes(ALIGNMENT))
Node = dict[str, Any]


class NewerCodecError(ValueError):
    """The value was written by a codec that this version does not know."""


class DataOnlyError(ValueError):
    """Decoding would run code that came with the value, and only data is allowed."""


class NeedsPickle(Exception):
    """No codec but pickle gives a value of the type that is named back exactly."""


def encode(value: Any, classes: Classes = IMPORTED, *, data_only: bool = False) -> Encoded:
    """Turn a value into frames and take their digest, without copying its buffers.

    Parameters
    ----------
    value
        What is to be kept.
    classes
        Tells which classes and functions are the user's: the value then refers to them.
    data_only
        Whether it must be possible to decode it without running code that comes with it.

    Raises
    ------
    UncodableError
        Not even cloudpickle can serialise it, or it has a class that nobody could find again.

    Examples
    --------
    >>> encoded = encode([1, 2, 3])
    >>> encoded.codec, decode(b"".join(encoded.frames))
    ('containers', [1, 2, 3])
    """
    try:
        writer = Writer(classes, data_only)
        tree = writer.encode(value)
    except (NeedsPickle, RecursionError) as error:
        if data_only:
            whole, within = type(value).__qualname__, str(error) if isinstance(error, NeedsPickle) else ""
            what = f"{within} in a {whole}" if within not in ("", whole) else whole
            raise UncodableError(
                f"a {what} takes a pickle, and where others can write only data is kept; "
                "the store's option trust: all keeps it, for those who would run the code of all these people, "
                "and trust: signed with a key"
            ) from None
        writer = Writer(classes)
        tree = writer.encode_with(codec_named("pickle"), value)
    frames = writer.payload(tree)
    state = xxhash.xxh3_128()
    for frame in frames:
        state.update(frame)
    return Encoded(
        codec=tree["codec"],
        frames=frames,
        digest=state.hexdigest(),
        nbytes=sum(frame.nbytes for frame in frames),
        codecs=writer.codecs,
        libraries=writer.libraries(),
        classes=writer.referred,
    )


def decode(payload: bytes | bytearray | memoryview, classes: Classes = IMPORTED, *, data_only: bool = False) -> Any:
    """Turn a payload back into the value.

    Pass memory that is writable and yours: arrays lie on it. A ``bytes`` object is copied first. `classes` finds the
    classes and functions of the user's that the value refers to.

    Raises
    ------
    NewerCodecError
        A codec, or its version, is not known here.
    DataOnlyError
        ``data_only`` is set and the value needs pickle.
    UnsafeError
        ``data_only`` is set, and the bytes do not bear out what they say of themselves, or ask for too much.
    ClassChangedError
        A class that it refers to is another one here.
    """
    view = memoryview(bytearray(payload) if isinstance(payload, bytes) else payload)
    if not data_only:
        return _decoded(view, Budget.of_ours(), classes, data_only)
    try:
        return _decoded(view, Budget.of_others(), classes, data_only)
    except (UnsafeError, NewerCodecError, DataOnlyError, ClassChangedError, ImportError, MemoryError):
        raise
    except Exception as error:  # whatever a library says to bytes that make no sense
        raise UnsafeError(f"it can't be what it says it is: {type(error).__name__}: {error}") from error


def is_data(payload: bytes | bytearray | memoryview) -> bool:
    """Whether a payload is sound, and can be decoded without running code that comes with it.

    Examples
    --------
    >>> is_data(b"".join(encode([1, 2]).frames)), is_data(b"".join(encode(print).frames))
    (True, False)
    """
    try:
        decode(payload, data_only=True)
    except Exception:
        return False
    return True


def _decoded(view: memoryview, budget: Budget, classes: Classes, data_only: bool) -> Any:
    start = 8 + int.from_bytes(view[:8], "little")
    if start > view.nbytes:
        raise UnsafeError("its head is longer than it is")
    budget.take(MOST_FOR_HEAD * start)
    head = loads(bytes(view[8:start]), LEVELS * budget.limits.depth)
    frames = []
    for length in head["frames"]:
        start += -start % ALIGNMENT
        if start + size(length, "the length of a frame") > view.nbytes:
            raise UnsafeError("its frames are longer than it is")
        frames.append(view[start : start + length])
        start += length
    return Reader(frames, data_only, classes, budget).decode(head["tree"])


def readable(codecs: Mapping[str, int]) -> bool:
    """Whether all these codecs, in these versions, can be decoded here."""
    return all(name in NAMES and number <= codec_named_version(name) for name, number in codecs.items())


@cache
def codec_named_version(name: str) -> int:
    return codec_named(name).VERSION


class Writer:
    """Collects the frames of one value while codecs describe it."""

    def __init__(self, classes: Classes = IMPORTED, data_only: bool = False) -> None:
        self.classes = classes
        self.data_only = data_only
        self.referred: dict[str, str] = {}
        self.frames: list[tuple[Frame, ...]] = []
        self.codecs: dict[str, int] = {}
        self._libraries: set[str] = set()
        self._seen: dict[int, tuple[Any, int | None]] = {}  # holds the values, so that no id is used twice

    def encode(self, value: Any) -> Node:
        """Describe a value with the codec of its type; one that was met before is referred to."""
        met = self._seen.get(id(value))
        if met is not None:
            if met[1] is None:  # it contains itself
                raise NeedsPickle(type(value).__qualname__)
            return {"same": met[1]}
        codec = codec_for(type(value))
        if codec is None and self.data_only:
            codec = codec_named("objects")
        if codec is None:
            raise NeedsPickle(type(value).__qualname__)
        number = len(self._seen)
        self._seen[id(value)] = value, None
        node = self.encode_with(codec, value)
        self._seen[id(value)] = value, number
        node["id"] = number
        return node

    def encode_with(self, codec: Codec, value: Any) -> Node:
        """Describe a value with this codec."""
        if self.data_only and codec.NAME == "pickle":
            raise NeedsPickle(type(value).__qualname__)
        node = codec.encode(value, self)
        if node is None:
            raise NeedsPickle(type(value).__qualname__)
        node["codec"] = codec.NAME
        self.codecs[codec.NAME] = codec.VERSION
        self._libraries.update(codec.LIBRARIES)
        return node

    def refer(self, thing: Any) -> Reference | None:
        """Refer to a class or function of the user's; None for others. Raises UncodableError as `Classes` does."""
        reference = self.classes.reference(thing)
        if reference is not None:
            self.referred[reference.name] = reference.digest
        return reference

    def frame(self, *parts: Any) -> int:
        """Add a frame made of these buffers; returns its number."""
        self.frames.append(tuple(_flat(part) for part in parts))
        return len(self.frames) - 1

    def libraries(self) -> dict[str, str]:
        """The versions of the libraries that took part."""
        return {name: _version(name) for name in sorted(self._libraries)}

    def payload(self, tree: Node) -> tuple[Frame, ...]:
        """The whole payload as a row of buffers."""
        lengths = [sum(part.nbytes for part in parts) for parts in self.frames]
        head = json.dumps({"tree": tree, "frames": lengths}, separators=(",", ":")).encode()
        row = [memoryview(len(head).to_bytes(8, "little") + head)]
        position = row[0].nbytes
        for parts, length in zip(self.frames, lengths, strict=True):
            gap = -position % ALIGNMENT
            row += [PADDING[:gap], *parts]
            position += gap + length
        return tuple(part for part in row if part.nbytes)


class Reader:
    """Gives codecs the frames of one value."""

    def __init__(
        self, frames: Iterable[Frame], data_only: bool, classes: Classes = IMPORTED, budget: Budget | None = None
    ) -> None:
        self.classes = classes
        self.frames = list(frames)
        self.data_only = data_only
        self.budget = budget or Budget.of_ours()
        self.copied: set[int] = set()  # the frames that were copied, which is once for each that we wrote
        self._seen: dict[int, tuple[Any, int]] = {}  # with how many values each is made of

    def decode(self, node: Node) -> Any:
        """Build the value that a node describes."""
        if "same" in node:
            value, values = self._seen[node["same"]]
            self.budget.count(values)
            return value
        before = self.budget.values
        self.budget.count(1)
        name = node["codec"]
        if name not in NAMES:
            raise NewerCodecError(f"it was written by codec {name!r}, which this version does not have")
        if name == "pickle" and self.data_only:
            raise DataOnlyError("it is a pickle, and only data may be loaded from this store")
        value = codec_named(name).decode(node, self)
        if "id" in node:
            self._seen[node["id"]] = value, self.budget.values - before
        return value

    def frame(self, number: int) -> Frame:
        """The frame of this number, writable."""
        return self.frames[size(number, "the number of a frame")]


def _flat(buffer: Any) -> Frame:
    view = memoryview(buffer)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


@cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "unknown"
