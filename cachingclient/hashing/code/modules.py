"""Modules: what code takes from them by attribute chains and imports, and their whole content."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from logging import Logger
from types import FunctionType, ModuleType
from typing import Any

from cachingclient.hashing.code.dynamic_use import check_use, library_name
from cachingclient.hashing.code.import_effects import effects_of
from cachingclient.hashing.code.look_ups import encode_looked_up, is_only_looked_up_in
from cachingclient.hashing.code.names import find_named, gives_name_alone, told_by
from cachingclient.hashing.code.paths import ABSENT, WHOLE, Uses, parts_taken, taken_as_a_whole
from cachingclient.hashing.code.references import Reference
from cachingclient.hashing.digest import frame
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.scalars import CONSTANT_TYPES, encode_str
from cachingclient.hashing.walk import Walk

MODULE_LAYOUT_NAMES = frozenset(
    {
        "__name__",
        "__doc__",
        "__package__",
        "__loader__",
        "__spec__",
        "__file__",
        "__cached__",
        "__builtins__",
        "__path__",
    }
)
SETTING_TYPES = (dict, list, tuple, set, frozenset)
MOST_SETTINGS = 100
_LOGGERS_OWN = vars(Logger("")).keys()
KEEPERS = {"numpy.random.mtrand": ("numpy.random",), "_random": ("random",)}
"""Modules that offer methods of an object whose class is from elsewhere."""


def follow(module: ModuleType, reference: Reference, where: str, walk: Walk, uses: Uses = WHOLE) -> bytes:
    """Encode what a chain of attributes takes from a module.

    Parameters
    ----------
    module
        The module that the chain starts from.
    reference
        The chain, as code uses it.
    where
        The name of the code, for messages.
    walk
        The identification under way.
    uses
        What the code takes, at each place where it uses the chain.
    """
    found: object = module
    taken: list[str] = []
    for attribute in reference.attributes:
        if not isinstance(found, ModuleType):
            break
        imported(found, walk)
        if attribute == "__dict__":
            # The namespace itself is looked into: all of the module counts.
            return walk.encode(found)
        owner, found = found, _attribute(found, attribute, reference, walk)
        taken.append(attribute)
    name = ".".join([reference.name, *taken])
    if isinstance(found, ModuleType):
        imported(found, walk)
    if found is ABSENT:
        return frame(b"$missing:", [encode_str(name)])
    if isinstance(found, ModuleType):
        # "import a.b" binds a: the attributes that follow are what is used.
        if reference.argument == "loaded":
            return b"$loaded:"
        check_use(found, reference, where, walk)
        return walk.encode(found)
    rest = reference.attributes[len(taken) :]
    check_use(found, Reference(reference.kind, name, rest, reference.argument, line=reference.line), where, walk)
    if not is_user_code(module.__name__):
        if library_name(found) == "dask.config.get" and isinstance(reference.argument, str):
            return _configured(found, reference.argument, walk)
        return _of_library(module.__name__, found, name, rest, walk)
    return _of_user(owner, found, name, where, walk, {path[len(taken) :]: place for path, place in uses.items()})


def imported(module: ModuleType, walk: Walk) -> None:
    """Add what a module sets when it is imported, as it is on each worker that gets code or values which name it."""
    if is_user_code(module.__name__):
        walk.importing(effects_of(module.__name__))


def _of_user(owner: ModuleType, found: object, name: str, where: str, walk: Walk, uses: Uses) -> bytes:
    """Encode the end of a chain through the user's modules: as it is, or what is taken of it."""
    if (parts := parts_taken(found, uses, walk)) is not None:
        encoded = encode_parts(name, parts, where, walk, uses)
    else:
        encoded = encode_variable(name, found, where, walk, uses)
        if library_name(found) is None:
            walk.ingredient(f"variable {name}", encoded, found, taken_as_a_whole(found, "", uses))
    hook = vars(owner).get("__getattr__")
    if hook is None or name.rpartition(".")[2] in vars(owner):
        return encoded
    walk.unsure()
    return frame(b"$hook:", [encoded, walk.encode(hook)])


def encode_variable(name: str, value: object, where: str, walk: Walk, uses: Uses = WHOLE) -> bytes:
    """Encode the value of a variable, naming it in the reason when it has no identity."""
    try:
        looked_up = is_only_looked_up_in(value, uses)
        encoded = encode_looked_up(value, walk) if looked_up else walk.encode(value)
    except Unidentifiable as error:
        raise Unidentifiable(f"{error.reason}, which {where} reads as {name!r}") from None
    told = _attributes_beside(name, value, uses, walk)
    return frame(b"$beside:", [encoded, *told]) if told else encoded


def _attributes_beside(name: str, value: object, uses: Uses, walk: Walk) -> list[bytes]:
    """Encode the attributes that code takes of a library's object which a pickle gives by its name alone.

    A logger is what its name leads to, and may hold a number that the user has set. What it writes, and where, is no
    part of a result, and another in each process once a step has set it up.
    """
    own = getattr(value, "__dict__", None)
    if type(own) is not dict or own.keys().isdisjoint(path[0].key for path in uses if path):
        return []
    named = {path[0].key for path in uses if path and path[0].how == "."}
    taken = {key: own[key] for key in named.intersection(own) - (_LOGGERS_OWN if isinstance(value, Logger) else set())}
    counting = {key: each for key, each in taken.items() if _is_setting(each) or isinstance(each, FunctionType)}
    if not counting or not gives_name_alone(value):
        return []
    walk.unsure()
    told = []
    for attribute, each in sorted(counting.items()):
        encoded = walk.encode(each)
        walk.ingredient(f"variable {name}.{attribute}", encoded, each)
        told.append(frame(b"$part:", [encode_str(attribute), encoded]))
    return told


def encode_parts(
    name: str, parts: list[tuple[str, object]], where: str, walk: Walk, uses: Uses, label: str = ""
) -> bytes:
    """Encode what code takes of a variable, each part by how it is taken."""
    encoded: list[bytes] = []
    for words, value in parts:
        taken = b"$absent:" if value is ABSENT else encode_variable(f"{name}{words}", value, where, walk)
        encoded.append(frame(b"$part:", [encode_str(words), taken]))
        if library_name(value) is None:
            walk.ingredient(f"variable {label}{name}{words}", taken, value, taken_as_a_whole(value, words, uses))
    return frame(b"$parts:", encoded)


def _of_library(module: str, found: object, name: str, rest: tuple[str, ...], walk: Walk) -> bytes:
    """Encode the end of a chain through a library: its code by name, what a user may have set by value."""
    if (named_method := method_of_library_object(found, walk)) is not None:
        return named_method
    if library_name(found) is not None:
        return walk.encode(found)
    named = walk.library(module, name)
    for attribute in rest:
        if isinstance(found, (ModuleType, type, *SETTING_TYPES)):
            break
        walk.unsure()
        found = inspect.getattr_static(found, attribute, ABSENT)
    if not _is_setting(found):
        return named
    encoded = walk.encode(found)
    walk.ingredient(f"setting {'.'.join([name, *rest])}", encoded, found)
    return frame(b"$setting:", [named, encoded])


def _configured(get: Any, key: str, walk: Walk) -> bytes:
    """Encode the value of a setting of dask that code asks for by name."""
    walk.unsure()
    value = get(key, None)
    encoded = walk.encode(value)
    walk.ingredient(f"setting {key}", encoded, value)
    return frame(b"$setting:", [walk.encode(get), encoded])


def method_of_library_object(found: Any, walk: Walk) -> bytes | None:
    """Encode a method that a library's module offers of an object of its own, such as ``random.random``; else None.

    What is in the object is no part of it: the state of a process-wide generator.
    """
    owner = told_by(found, "__self__")
    name = told_by(found, "__name__")
    if owner is None or isinstance(owner, (ModuleType, type)) or not isinstance(name, str):
        return None
    for module in (type(owner).__module__, *KEEPERS.get(type(owner).__module__, ())):
        if not is_user_code(module) and getattr(sys.modules.get(module), name, None) == found:
            return walk.library(module, name)
    return None


def _is_setting(value: object) -> bool:
    """Tell a library's plain values, which a user can change, from its machinery."""
    if isinstance(value, CONSTANT_TYPES):
        return True
    if not isinstance(value, SETTING_TYPES) or type(value) not in SETTING_TYPES or len(value) > MOST_SETTINGS:
        return False
    return all(map(_is_setting, value)) and (not isinstance(value, dict) or all(map(_is_setting, value.values())))


def _attribute(module: ModuleType, attribute: str, reference: Reference, walk: Walk) -> object:
    """Return an attribute, importing a submodule that the code imports itself."""
    found = getattr(module, attribute, ABSENT)
    if found is ABSENT and reference.kind == "import" and hasattr(module, "__path__"):
        found = _import(f"{module.__name__}.{attribute}", walk) or ABSENT
    walk.saw_attributes(module, attribute)
    return found


def import_for(reference: Reference, package: str, walk: Walk) -> ModuleType | None:
    """Return the module of an import statement, as running it would; None if there is none."""
    name = reference.name
    if reference.level:
        name = importlib.util.resolve_name("." * reference.level + name, package) if package else name
    return _import(name, walk)


def _import(name: str, walk: Walk) -> ModuleType | None:
    """Import a module, or return None where that fails: the code would fail, or handle it, in the same way."""
    if sys.modules.get(name) is None:
        try:
            importlib.import_module(name)
        except Exception:
            walk.unsure()
            return None
    walk.saw_variable(sys.modules, name)
    return sys.modules.get(name)


def module_content(module: ModuleType, walk: Walk) -> bytes:
    """Encode everything in a user's module, by name."""
    parts = []
    for name, value in sorted(vars(module).copy().items()):
        if name in MODULE_LAYOUT_NAMES:
            continue
        try:
            parts.append(frame(b"$name:", [encode_str(name), walk.encode(value)]))
        except Unidentifiable as error:
            raise Unidentifiable(f"{error.reason}, in {module.__name__}.{name}; the whole module is used") from None
    return frame(b"$module:", parts)


def named_in_library(obj: Any, walk: Walk) -> bytes | None:
    """Encode an object that its library's module has under its own name, such as numpy's dispatchers; else None."""
    module, name = told_by(obj, "__module__"), told_by(obj, "__qualname__")
    if not isinstance(module, str) or not isinstance(name, str) or is_user_code(module):
        return None
    return walk.library(module, name) if find_named(module, name) is obj else None
