"""Numba: compiled functions by the Python they were made from, typed containers by their content."""

from __future__ import annotations

import re
import threading
from typing import Any

from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_str
from cachingclient.hashing.walk import Walk

_checked = threading.local()
# As in "function <f at 0x7f0c>" and "jitclass.Jet#7f0c<pt:float64>".
_ADDRESS = re.compile(r" at 0x|#[0-9a-f]{6}")


@register_hasher("numba.core.dispatcher.Dispatcher", subclasses=True)
def encode_dispatcher(dispatcher: Any, walk: Walk) -> bytes:
    """Return the encoding of a jitted function by its source and options; which types it met so far is chance."""
    fixed = () if dispatcher._can_compile else tuple(str(seen) for seen in dispatcher.signatures)
    options = tuple(sorted(dispatcher.targetoptions.items()))
    if dispatcher.targetoptions.get("parallel"):
        _check_draws(dispatcher.py_func, walk)
    return walk.encode((dispatcher.py_func, options, dict(dispatcher.locals), fixed))


def _check_draws(function: Any, walk: Walk) -> None:
    """Refuse a function that draws in Numba's threads: their generators are their own, and a seed is one thread's.

    Workers compare the generator of the thread that runs a step.
    """
    if getattr(_checked, "inside", False):  # the function that leads here is being looked through
        return
    _checked.inside = True
    try:
        alone = Walk(walk.inputs, walk.environment)
        drawn = [text for text in alone.finish(alone.encode(function)).varying if " draws " in text]
    finally:
        _checked.inside = False
    if drawn:
        raise Unidentifiable(f"{drawn[0]} in threads of Numba, where draws can't be seen")


@register_hasher("numba.np.ufunc.dufunc.DUFunc", subclasses=True)
@register_hasher("numba.np.ufunc.gufunc.GUFunc", subclasses=True)
def encode_universal_function(function: Any, walk: Walk) -> bytes:
    """Return the encoding of a vectorised function by its source, its identity element and its fixed types."""
    made_from = getattr(function, "_dispatcher", None)
    if made_from is None:
        made_from = function.gufunc_builder.py_func
    fixed = tuple(function.types) if getattr(function, "_frozen", False) else ()
    return walk.encode((made_from, getattr(function, "signature", None), function.identity, fixed))


@register_hasher("numba.core.serialize.ReduceMixin", subclasses=True)
def encode_packed(packed: Any, walk: Walk) -> bytes:
    """Return the encoding of what Numba packs into bytes of its own, by the parts that it packs.

    In the bytes functions of other modules are names alone, and equal functions are not equal bytes.
    """
    states = {name: value for name, value in packed._reduce_states().items() if name != "uuid"}  # drawn in each process
    return walk.encode((packed._reduce_class(), states))


@register_hasher("numba.stencils.stencil.StencilFunc", subclasses=True)
def encode_stencil(stencil: Any, walk: Walk) -> bytes:
    """Return the encoding of a stencil by the Python function of its kernel and by its options."""
    return walk.encode((stencil.kernel_ir.func_id.func, stencil.mode, stencil.options))


@register_hasher("numba.core.types.misc.ClassType", subclasses=True)
def encode_compiled_class(kind: Any, walk: Walk) -> bytes:
    """Return the encoding of a compiled class by its fields and methods: its name has an address in it."""
    return walk.encode((kind.class_name, dict(kind.struct), kind.jit_methods, kind.jit_props, kind.jit_static_methods))


@register_hasher("numba.core.types.misc.ClassInstanceType", subclasses=True)
def encode_compiled_instance(kind: Any, walk: Walk) -> bytes:
    """Return the encoding of the type of a compiled class's instances by that class."""
    return walk.encode(kind.class_type)


@register_hasher("numba.core.ccallback.CFunc", subclasses=True)
def encode_callback(callback: Any, walk: Walk) -> bytes:
    """Return the encoding of a C callback by its source and signature."""
    return frame(b"(", [walk.encode(callback._pyfunc), encode_str(str(callback._sig))])


@register_hasher("numba.typed.typeddict.Dict", subclasses=True)
def encode_dict(mapping: Any, walk: Walk) -> bytes:
    """Return the encoding of a typed dictionary by its types and items, in their order."""
    parts = [encode_type(mapping._numba_type_, walk)] if mapping._typed else []
    return frame(b"(", [*parts, *(walk.encode(part) for pair in mapping.items() for part in pair)])


@register_hasher("numba.typed.typedlist.List", subclasses=True)
def encode_list(items: Any, walk: Walk) -> bytes:
    """Return the encoding of a typed list by its type and items."""
    parts = [encode_type(items._numba_type_, walk)] if items._typed else []
    return frame(b"(", [*parts, *map(walk.encode, items)])


@register_hasher("numba.core.types.abstract.Type", subclasses=True)
def encode_type(kind: Any, walk: Walk) -> bytes:
    """Return the encoding of a type by its name: its number is handed out as types are met."""
    name = str(kind)
    if _ADDRESS.search(name):
        raise Unidentifiable(f"the Numba type {name}, which stands for one object of this process")
    return encode_str(name)
