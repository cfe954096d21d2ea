"""The identity of code: functions, methods, classes and modules, followed as they run.

The user's own code goes in by its canonical bytecode and by everything it looks up outside itself: defaults, closures,
globals, attributes of the user's modules, imports inside it. Library code goes in by name and version.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from cachingclient.hashing.code.attributes import describe_hints, describe_layout, set_on
from cachingclient.hashing.code.bytecode import shape
from cachingclient.hashing.code.classes import describe_class
from cachingclient.hashing.code.compiled import encode_compiled
from cachingclient.hashing.code.dynamic_use import check_use
from cachingclient.hashing.code.import_effects import import_effects
from cachingclient.hashing.code.modules import (
    MODULE_LAYOUT_NAMES,
    encode_parts,
    encode_variable,
    follow,
    import_for,
    imported,
    module_content,
)
from cachingclient.hashing.code.names import defaults, find_named, without_addresses
from cachingclient.hashing.code.paths import WHOLE, Uses, parts_taken, taken_as_a_whole
from cachingclient.hashing.code.references import CodeShape, Reference
from cachingclient.hashing.digest import compact, frame
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.registry import find_function_hasher
from cachingclient.hashing.scalars import encode_str
from cachingclient.hashing.walk import Walk

NAMED_TYPES = (
    BuiltinFunctionType,
    MethodDescriptorType,
    WrapperDescriptorType,
    MemberDescriptorType,
    GetSetDescriptorType,
)
CODE_TYPES = (
    FunctionType,
    MethodType,
    CodeType,
    ModuleType,
    type,
    staticmethod,
    classmethod,
    property,
    functools._lru_cache_wrapper,
    *NAMED_TYPES,
)


def encode_code(obj: Any, walk: Walk) -> bytes:
    """Return the encoding of a function, class, module, method, descriptor or code object.

    Raises
    ------
    Unidentifiable
        If something that it looks up has no identity.
    """
    if isinstance(obj, FunctionType):
        return _function(obj, walk)
    if isinstance(obj, type):
        return _class(obj, walk)
    if isinstance(obj, ModuleType):
        return encode_module(obj, walk)
    if isinstance(obj, MethodType):
        return frame(b"$method:", [walk.encode(obj.__self__), walk.encode(obj.__func__)])
    if isinstance(obj, (staticmethod, classmethod)):
        return frame(b"$" + type(obj).__name__.encode() + b":", [walk.encode(obj.__func__), *set_on(obj, walk)])
    if isinstance(obj, property):
        return frame(b"$property:", [walk.encode(part) for part in (obj.fget, obj.fset, obj.fdel)])
    if isinstance(obj, functools._lru_cache_wrapper):
        walk.memories.append(obj)
        parameters = sorted(obj.cache_parameters().items())
        return frame(b"$lru_cache:", [walk.encode(obj.__wrapped__), walk.encode(parameters)])
    if isinstance(obj, CodeType):
        return shape(obj).body
    if isinstance(obj, CellType):
        return frame(b"$cell:", [walk.encode(obj.cell_contents)])
    return encode_compiled(obj, walk)


def _function(function: FunctionType, walk: Walk) -> bytes:
    """Return a reference to a function, or the name of a library's."""
    module = function.__globals__.get("__name__") or ""
    label = f"function {_own_name(function)}"
    if is_user_code(module):
        return walk.refer(function, label, describe_function)
    # A library's decorator may stand elsewhere: its function is found where the decorated one says that it is from.
    for where in dict.fromkeys((module, function.__module__)):
        if where and not is_user_code(where) and find_named(where, function.__qualname__) is function:
            return walk.library(where, function.__qualname__)
    return walk.refer(function, label, _describe_made_by_library)


def _own_name(function: FunctionType) -> str:
    """Return what to call a function among the ingredients; a wrapper has the name of what it wraps for its own."""
    qualname = function.__code__.co_qualname if "__wrapped__" in function.__dict__ else function.__qualname__
    return f"{function.__module__}.{qualname}"


def _describe_made_by_library(function: FunctionType, walk: Walk) -> bytes:
    """Encode a function that a library made at run time: a decorator's wrapper, a closure, a generated method."""
    if (registry := _dispatch_registry(function)) is not None:
        pairs = (frame(b"$case:", [walk.encode(kind), walk.encode(target)]) for kind, target in registry.items())
        return frame(b"$singledispatch:", sorted(pairs))
    module = function.__globals__["__name__"]
    if (hasher := find_function_hasher(module, function.__qualname__)) is not None:
        return hasher(function, walk)
    parts = [walk.library(module, without_addresses(function.__qualname__)), shape(function.__code__).body]
    return frame(b"$made:", [*parts, *_attached(function, walk), *_hints_of_wrapped(function, walk)])


def _hints_of_wrapped(function: FunctionType, walk: Walk) -> Iterator[bytes]:
    """Yield the type hints of what a library wrapped: it may check arguments by them, or choose a compiled type."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):
            if isinstance(cell.cell_contents, FunctionType):
                yield describe_hints(cell.cell_contents, walk)


def _dispatch_registry(function: FunctionType) -> dict[type, Any] | None:
    """Return the cases of a `functools.singledispatch` function; its closure holds a cache of weak references."""
    if function.__code__.co_filename != functools.singledispatch.__code__.co_filename:
        return None
    return dict(function.registry) if hasattr(function, "registry") else None


def describe_function(
    function: FunctionType, walk: Walk, by_call: Mapping[Reference, Uses] = MappingProxyType({})
) -> bytes:
    """Encode a user's function by what it does and all that it looks up.

    Of what `by_call` names only that is encoded which it says; for the rest each call says which part it is.
    """
    seen = shape(function.__code__)
    where = f"{function.__module__}.{function.__qualname__}"
    walk.demand(seen.layout, describe_layout)
    walk.importing(import_effects(function))
    parts = [compact(b"", function.__name__.encode()), seen.body, *_attached(function, walk, seen)]
    own = _own_name(function)
    walk.ingredient(f"body {own}", seen.body)
    for name, value in defaults(function):
        walk.ingredient(f"default {own}:{name}", walk.encode(value), value)
    for reference in seen.references:
        uses = by_call.get(reference)
        if uses is not None:
            parts.append(frame(b"$by-call:", [encode_str(reference.name), *map(encode_str, reference.attributes)]))
        if reference.kind != "free" and (uses is None or uses):
            uses = seen.uses_of(reference, function.__code__) if uses is None else uses
            parts.append(_referenced(reference, function, where, walk, uses))
    parts += _named_files(function, seen, walk)
    namespace = function.__globals__
    for name, line in seen.global_writes:
        walk.saw_variable(namespace, name)
        walk.rebinds.append(f"{where} rebinds the global variable {name!r} (line {line})")
        value = _named(name, namespace[name], where, walk) if name in namespace else b"$unset:"
        parts.append(frame(b"$rebound:", [name.encode(), value]))
    for word in seen.words:
        walk.saw_variable(namespace, word)
        if word in namespace:
            parts.append(_named(word, namespace[word], where, walk))
    return frame(b"$function:", parts)


def _named_files(function: FunctionType, seen: CodeShape, walk: Walk) -> Iterator[bytes]:
    """Yield the texts in the code that may name files; note those beside the module, if the code asks where that is."""
    yield from map(walk.encode, seen.literals)
    own = function.__globals__.get("__file__")
    if seen.literals and isinstance(own, str) and any(reference.name == "__file__" for reference in seen.references):
        folder = os.path.dirname(os.path.abspath(own))
        for literal in seen.literals:
            walk.encode(os.path.join(folder, literal))  # the file counts, not the folder that the package lies in


def _attached(function: FunctionType, walk: Walk, seen: CodeShape | None = None) -> Iterator[bytes]:
    """Yield the encodings of a function's defaults, closure and attributes."""
    yield walk.encode(function.__defaults__)
    yield walk.encode(function.__kwdefaults__)
    if function.__dict__:
        yield walk.encode(dict(sorted(function.__dict__.items())))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield frame(b"$free:", [name.encode(), *_cell(name, cell, function, seen, walk)])


def _cell(name: str, cell: Any, function: FunctionType, seen: CodeShape | None, walk: Walk) -> Iterator[bytes]:
    """Yield the encoding of a closure variable: of a user's module or a container only what is taken from it."""
    try:
        content = cell.cell_contents
    except ValueError:
        yield b"$empty:"
        return
    where = f"{function.__module__}.{function.__qualname__}"
    references = seen.references if seen is not None else ()
    uses = [reference for reference in references if reference.kind == "free" and reference.name == name]
    paths = {use: seen.uses_of(use, function.__code__) for use in uses} if seen is not None else {}
    if uses and isinstance(content, ModuleType):
        for use in uses:
            yield follow(content, use, where, walk, paths[use])
        return
    for use in uses:
        check_use(content, use, where, walk)
    taken = {path: place for use in uses for path, place in (paths[use] or WHOLE).items()}
    yield _named(name, content, where, walk, taken)


def _referenced(reference: Reference, function: FunctionType, where: str, walk: Walk, uses: Uses) -> bytes:
    """Encode the object that a name in a function refers to."""
    namespace = function.__globals__
    if reference.kind == "import":
        walk.saw_variable(namespace, "__package__")
        module = import_for(reference, namespace.get("__package__") or "", walk)
        if module is None:
            return compact(b"$missing:", reference.name.encode())
        return follow(module, reference, where, walk, uses)
    name = reference.name
    walk.saw_variable(namespace, name)
    if name in namespace:
        found = namespace[name]
        if isinstance(found, ModuleType):
            return follow(found, reference, where, walk, uses)
        check_use(found, reference, where, walk)
        if isinstance(found, str) and name in MODULE_LAYOUT_NAMES:
            return encode_str(found)
        return _named(name, found, where, walk, uses)
    walk.saw_variable(vars(builtins), name)
    if hasattr(builtins, name):
        found = getattr(builtins, name)
        check_use(found, reference, where, walk)
        if name == "globals":
            return encode_namespace(function, where, reference.line, walk)
        # A builtin that somebody replaced is found like any function.
        return b"$builtin:" if getattr(found, "__module__", "builtins") == "builtins" else walk.encode(found)
    return b"$missing:"


def encode_namespace(function: FunctionType, where: str, line: int | None, walk: Walk) -> bytes:
    """Encode all of the module a function lives in, for code that asks for ``globals()``."""
    name = function.__globals__.get("__name__", "")
    module = sys.modules.get(name)
    if name == "__main__" or module is None or module.__dict__ is not function.__globals__:
        # A worker gets of such a namespace only what the function names.
        raise Unidentifiable(f"globals() of {name or 'a namespace'} is searched at run time (line {line} of {where})")
    return encode_module(module, walk)


def _named(name: str, value: object, where: str, walk: Walk, uses: Uses = WHOLE) -> bytes:
    """Encode the value of a variable, or what is taken of it, naming it in the ingredients."""
    if (parts := parts_taken(value, uses, walk)) is not None:
        return encode_parts(name, parts, where, walk, uses, f"{where}:")
    encoded = encode_variable(name, value, where, walk, uses)
    if not isinstance(value, CODE_TYPES):
        walk.ingredient(f"variable {where}:{name}", encoded, value, taken_as_a_whole(value, "", uses))
    return encoded


def encode_module(module: ModuleType, walk: Walk) -> bytes:
    """Encode a module used as a whole: a library by its version, a user's by everything in it."""
    if not is_user_code(module.__name__):
        return walk.library(module.__name__, "")
    imported(module, walk)
    return walk.refer(module, f"module {module.__name__}", module_content)


def _class(cls: type, walk: Walk) -> bytes:
    """Return a reference to a class, or the name of a library's."""
    module = cls.__module__
    if not isinstance(module, str):
        # A class may define a descriptor of that name for its instances; its own is then only in its repr.
        module = repr(cls).split("'")[1].rpartition(".")[0]
    if not is_user_code(module) and (module == "builtins" or find_named(module, cls.__qualname__) is cls):
        return walk.library(module, cls.__qualname__)
    return walk.refer(cls, f"class {module}.{cls.__qualname__}", describe_class)
