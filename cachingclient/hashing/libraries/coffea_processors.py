"""What a chunk of coffea's Runner depends on of its processor: ``process``, and what that reads.

coffea packs the processor into bytes that go with each chunk. Its worker unpacks them, calls ``process`` and looks at
nothing else of it, unless there is a checkpointer, which may. So other attributes, methods and parts of a configuration
may change. What ``process`` finds in ``events.metadata`` stands in the chunk's work item: of ``self.samples[dataset]``
and of ``SAMPLES[dataset]`` the one sample counts, where ``dataset`` is proven to be the work item's.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import sys
from abc import ABCMeta
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import signature
from types import FunctionType
from typing import Any

from cachingclient.hashing.code.bound_methods import Reads, reads_of
from cachingclient.hashing.code.by_key import ByKey
from cachingclient.hashing.code.given import METADATA, Facts, Given
from cachingclient.hashing.code.paths import ABSENT, has_parts, is_key
from cachingclient.hashing.code.reads import entry_of
from cachingclient.hashing.digest import frame
from cachingclient.hashing.identity import Place
from cachingclient.hashing.libraries.coffea import unwrap
from cachingclient.hashing.objects import encode_within
from cachingclient.hashing.registry import register_hasher, register_narrower
from cachingclient.hashing.scalars import LZ4_FRAME, encode_str
from cachingclient.hashing.walk import Walk

_EXECUTOR = "coffea.processor.executor"
MADE_OTHERWISE = frozenset(
    {"__del__", "__getattribute__", "__getnewargs__", "__getnewargs_ex__", "__getstate__", "__new__", "__reduce__",
     "__reduce_ex__", "__setattr__", "__setstate__"}
)  # fmt: skip
"""Methods that run, and may do anything, when a processor is unpacked or looked at."""
_MOST = 4
_EVENTS = Given(1)
"""The argument of ``process``."""
_used: OrderedDict[int, tuple[bytes, Processing | None]] = OrderedDict()
"""What is used of the bytes that came last, by the bytes themselves: they go with each chunk, and may be large."""


@dataclass(frozen=True, eq=False)
class Processing:
    """What ``process`` is, and what it reads of its processor.

    Attributes
    ----------
    processor
        The name of the processor's class, for messages.
    process
        The method, as its class has it or as coffea calls it.
    reads
        What it reads.
    of_items
        What it reads for chunks of which the same stands in their metadata, by that.
    schemas
        Whether events have the metadata of their work items, by their schema.
    """

    processor: str
    process: object
    reads: Reads
    of_items: dict[tuple[object, ...], Taken] = field(default_factory=dict)
    schemas: dict[object, bool] = field(default_factory=dict)

    def for_item(self, metadata: Mapping[str, object]) -> Taken:
        """Return what it reads of the processor by what stands in a chunk's metadata."""
        told = {given: _entry(given, metadata) for given in self.reads.given}
        known = tuple(value if is_key(value) else ABSENT for value in told.values())
        key = tuple((type(value), value) for value in known)
        if key not in self.of_items:
            values = dict(zip(told, known, strict=True))

            def value_of(given: Given) -> object:
                return values.get(given, ABSENT)

            read = self.reads
            variables = functools.partial(read.variables_of_call, value_of)
            self.of_items[key] = Taken(self.processor, read.of_call(value_of), read.places_of_call(value_of), variables)
        return self.of_items[key]


@dataclass(frozen=True, eq=False)
class Taken:
    """What a chunk takes of its processor by what stands in its metadata.

    Attributes
    ----------
    processor
        The name of the processor's class, for messages.
    parts
        The name of each part, and what is there.
    places
        Where each part is first taken, by its name.
    variables
        Gives the name of each part of a variable of a module, and what is there now.
    """

    processor: str
    parts: tuple[tuple[str, object], ...]
    places: Mapping[str, Place]
    variables: Callable[[], tuple[tuple[str, object], ...]]


def _entry(given: Given, metadata: Mapping[str, object]) -> object:
    """Return what is given of the metadata of events, `ABSENT` for anything else that is given."""
    if given.position != _EVENTS.position or len(given.path) != 2 or given.path[0] != METADATA:
        return ABSENT
    return metadata.get(given.path[1].key, ABSENT)


@register_hasher(Processing)
def encode_processing(used: Processing, walk: Walk) -> bytes:
    """Return the encoding of what each chunk uses of its processor."""
    return frame(
        b"(", [walk.encode(used.process), *_encoded(used.processor, used.reads.always, used.reads.places, walk)]
    )


@register_hasher(Taken)
def encode_taken(taken: Taken, walk: Walk) -> bytes:
    """Return the encoding of what a chunk uses of its processor by its metadata."""
    variables = []
    for name, value in taken.variables():
        variables.append(frame(b"$by-call:", [encode_str(name), walk.encode(value)]))
        walk.ingredient(f"variable {name}", variables[-1], value)
    return frame(b"(", [*_encoded(taken.processor, taken.parts, taken.places, walk), *variables])


def _encoded(
    processor: str, reads: Iterable[tuple[str, object]], places: Mapping[str, Place], walk: Walk
) -> Iterator[bytes]:
    """Yield the encoding of what is read, each with its name."""
    for name, value in reads:
        encoded = encode_within(value, walk, f"under attribute {name!r} of {processor}")
        yield frame(b"(", [encode_str(name), encoded])
        if not callable(value) and not isinstance(value, ByKey):
            place = places.get(name) if has_parts(value) else None
            walk.ingredient(f"attribute {processor}.{name}", encoded, value, place)


@register_narrower(_EXECUTOR)
def used_by(function: Any, item: Any, packed: bytes) -> tuple[object, ...]:
    """Return what a function of coffea's uses for a work item of a processor in bytes; nothing if that may be all."""
    if not packed.startswith(LZ4_FRAME) or (runner := _only_processes(function)) is None:
        return ()
    used = _unpacked(packed)
    if used is None or not used.reads.given:
        return () if used is None else (used,)
    return used, used.for_item(_metadata_of(item) if _gives_metadata(runner, used.schemas) else {})


def _metadata_of(item: Any) -> Mapping[str, object]:
    """Return what stands in the metadata of a chunk's events, but for what tells where the chunk lies."""
    if (type(item).__module__, type(item).__name__) != (_EXECUTOR, "WorkItem"):
        return {}
    return {"dataset": item.dataset, "treename": item.treename, **dict(item.usermeta or {})}


def _gives_metadata(runner: functools.partial[Any], known: dict[object, bool]) -> bool:
    """Tell whether events have the metadata of their work item: those that coffea makes, by its own classes."""
    schema = signature(runner.func).bind_partial(*runner.args, **runner.keywords).arguments.get("schema")
    if schema not in known:
        is_coffeas = isinstance(schema, type) and schema.__module__.startswith("coffea.nanoevents.")
        try:
            known[schema] = is_coffeas and all(map(_is_coffeas, _behaviors(schema)))
        except Exception:  # of a release of coffea that does this otherwise
            known[schema] = False
    return known[schema]


def _behaviors(schema: Any) -> Iterator[Mapping[object, Any]]:
    """Yield the tables that say of which class events are."""
    yield sys.modules["awkward"].behavior
    yield schema.behavior()


def _is_coffeas(table: Mapping[object, Any]) -> bool:
    """Tell whether events are of coffea's own class by a table of classes; another may change what it is given."""
    from coffea.nanoevents.methods.base import NanoEvents

    return getattr(table.get(("*", "NanoEvents"), NanoEvents), "__module__", None) == NanoEvents.__module__


def _unpacked(packed: bytes) -> Processing | None:
    """Return what ``process`` uses of a processor in bytes, looking once at those that stay."""
    known = _used.get(id(packed))
    if known is None or known[0] is not packed:
        known = _used[id(packed)] = packed, processing_of(unwrap(packed))
        with contextlib.suppress(KeyError):  # another thread was first
            while len(_used) > _MOST:
                _used.popitem(last=False)
    return known[1]


def _only_processes(function: Any) -> functools.partial[Any] | None:
    """Return what coffea's Runner has a chunk processed by, with the processor beside the item; None for all else."""
    if (type(function).__module__, type(function).__name__) == (_EXECUTOR, "_compression_wrapper"):
        function = function.function
    if _is_partial_of(function, "Runner.automatic_retries") and len(function.args) == 3:
        function = function.args[2]
    given = function.keywords if _is_partial_of(function, "Runner._work_function") else {}
    heavy, checkpointer = given.get("processor_instance"), given.get("checkpointer", "unknown")
    return function if isinstance(heavy, str) and heavy == "heavy" and checkpointer is None else None


def _is_partial_of(function: Any, name: str) -> bool:
    inner = getattr(function, "func", None)
    named = getattr(inner, "__module__", ""), getattr(inner, "__qualname__", "")
    return type(function) is functools.partial and named == (_EXECUTOR, name)


def processing_of(processor: Any) -> Processing | None:
    """Return what ``process`` uses of a processor, None if that may be all of it.

    Examples
    --------
    >>> processing_of(len) is None
    True
    """
    base, kind = getattr(sys.modules.get("coffea.processor"), "ProcessorABC", None), type(processor)
    if base is None or not isinstance(processor, base) or type(kind) is not ABCMeta or kind in copyreg.dispatch_table:
        return None
    if any(not MADE_OTHERWISE.isdisjoint(vars(cls)) for cls in kind.__mro__ if cls not in (base, object)):
        return None
    if "process" in getattr(processor, "__dict__", {}):
        return None
    process = next(vars(cls)["process"] for cls in kind.__mro__ if "process" in vars(cls))
    function = getattr(process, "__cache_function__", process)
    reads = reads_of(processor, function, called_with_events(function)) if isinstance(function, FunctionType) else None
    if reads is None:
        return None
    process = reads.method if process is function else process
    return Processing(f"{kind.__module__}.{kind.__qualname__}", process, reads)


def called_with_events(process: FunctionType) -> Facts:
    """Return what holds of the argument of ``process``: it is a chunk's events, which nobody else has yet.

    Examples
    --------
    >>> sorted(fact.variable or "" for fact in called_with_events(lambda self, events: events))
    ['', 'events']
    """
    return entry_of(process, ((_EVENTS, True),))
