"""What a chunk of coffea's Runner depends on of its processor: ``process``, and what that reads.

coffea packs the processor into bytes that go with each chunk. Its worker unpacks them, calls ``process`` and looks at
nothing else of it, unless there is a checkpointer, which may. So other attributes, methods and parts of a configuration
may change.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import sys
from abc import ABCMeta
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from cachingclient.hashing.code.bound_methods import what_it_reads
from cachingclient.hashing.digest import frame
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
        The method, as its class has it.
    reads
        The name of each attribute that it reads, or of a part of one, and what is there.
    """

    processor: str
    process: Callable[..., Any]
    reads: tuple[tuple[str, object], ...]


@register_hasher(Processing)
def encode_processing(used: Processing, walk: Walk) -> bytes:
    """Return the encoding of what a chunk uses of its processor."""
    parts = [walk.encode(used.process)]
    for name, value in used.reads:
        encoded = encode_within(value, walk, f"under attribute {name!r} of {used.processor}")
        parts.append(frame(b"(", [encode_str(name), encoded]))
        if not callable(value):
            walk.ingredient(f"attribute {used.processor}.{name}", encoded, value)
    return frame(b"(", parts)


@register_narrower(_EXECUTOR)
def used_by(function: Any, packed: bytes) -> Processing | None:
    """Return what a function of coffea's uses of a processor in bytes, None if that may be all of it."""
    if not packed.startswith(LZ4_FRAME) or not _only_processes(function):
        return None
    known = _used.get(id(packed))
    if known is None or known[0] is not packed:
        known = _used[id(packed)] = packed, processing_of(unwrap(packed))
        with contextlib.suppress(KeyError):  # another thread was first
            while len(_used) > _MOST:
                _used.popitem(last=False)
    return known[1]


def _only_processes(function: Any) -> bool:
    """Tell whether a function is what coffea's Runner has a chunk processed by, with the processor beside the item."""
    if (type(function).__module__, type(function).__name__) == (_EXECUTOR, "_compression_wrapper"):
        function = function.function
    if _is_partial_of(function, "Runner.automatic_retries") and len(function.args) == 3:
        function = function.args[2]
    given = function.keywords if _is_partial_of(function, "Runner._work_function") else {}
    heavy, checkpointer = given.get("processor_instance"), given.get("checkpointer", "unknown")
    return isinstance(heavy, str) and heavy == "heavy" and checkpointer is None


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
    reads = what_it_reads(processor, function) if isinstance(function, FunctionType) else processor
    if reads is processor or not isinstance(reads, tuple):
        return None
    return Processing(f"{kind.__module__}.{kind.__qualname__}", process, reads)
