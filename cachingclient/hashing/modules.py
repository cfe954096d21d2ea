"""Modules: what code takes from them by attribute chains and imports, and their whole content."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from cachingclient.hashing.bytecode import Reference
from cachingclient.hashing.digest import frame
from cachingclient.hashing.dynamic import check_use, library_name
from cachingclient.hashing.environment import is_user_code
from cachingclient.hashing.walk import Unidentifiable, Walk

MODULE_LAYOUT_NAMES = frozenset(
    {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__", "__cached__", "__builtins__", "__path__"}
)
CONSTANT_TYPES = (bool, int, float, complex, str, bytes, type(None))
ABSENT = object()


def follow(module: ModuleType, reference: Reference, where: str, walk: Walk) -> bytes:
    """Encode what a chain of attributes takes from a module.

    Parameters
    ----------
    module
        The module that the chain starts from.
    reference
        The chain, as code uses it.
    where
        The name of the code, for messages.
    """
    found: object = module
    taken: list[str] = []
    for attribute in reference.attributes:
        if not isinstance(found, ModuleType):
            break
        found = _attribute(found, attribute, reference)
        taken.append(attribute)
    rest = reference.attributes[len(taken) :]
    name = ".".join([reference.name, *taken])
    if found is ABSENT:
        return frame(b"$missing:", [name.encode()])
    if isinstance(found, ModuleType):
        # "import a.b" binds a: the attributes that follow are what is used.
        if reference.argument == "loaded":
            return b"$loaded:"
        check_use(found, reference, where, walk)
        return walk.encode(found)
    check_use(found, Reference(reference.kind, name, rest, reference.argument, line=reference.line), where, walk)
    return _taken(module, found, name, where, walk)


def _taken(module: ModuleType, found: object, name: str, where: str, walk: Walk) -> bytes:
    """Encode the end of a chain: a user's value as it is, a library's by name unless it is a plain setting."""
    if not is_user_code(module.__name__):
        owner = library_name(found)
        if owner is None and not isinstance(found, CONSTANT_TYPES):
            return walk.library(module.__name__, name)
    try:
        encoded = walk.encode(found)
    except Unidentifiable as error:
        raise Unidentifiable(f"{error.reason}, which {where} reads as {name!r}") from None
    if library_name(found) is None:
        walk.ingredient(f"variable {name}", encoded)
    return encoded


def _attribute(module: ModuleType, attribute: str, reference: Reference) -> object:
    """Return an attribute, importing a submodule that the code imports itself."""
    found = getattr(module, attribute, ABSENT)
    if found is ABSENT and reference.kind == "import" and hasattr(module, "__path__"):
        found = _import(f"{module.__name__}.{attribute}") or ABSENT
    return found


def import_for(reference: Reference, package: str) -> ModuleType | None:
    """Return the module of an import statement, as running it would; None if there is none."""
    name = reference.name
    if reference.level:
        name = importlib.util.resolve_name("." * reference.level + name, package) if package else name
    return _import(name)


def _import(name: str) -> ModuleType | None:
    """Import a module, or return None where that fails: the code would fail, or handle it, in the same way."""
    if (known := sys.modules.get(name)) is not None:
        return known
    try:
        return importlib.import_module(name)
    except Exception:
        return None


def module_content(module: ModuleType, walk: Walk) -> bytes:
    """Encode everything in a user's module, by name."""
    parts = []
    for name, value in sorted(vars(module).items()):
        if name in MODULE_LAYOUT_NAMES:
            continue
        try:
            parts.append(frame(b"$name:", [name.encode(), walk.encode(value)]))
        except Unidentifiable as error:
            raise Unidentifiable(f"{error.reason}, in {module.__name__}.{name}; the whole module is used") from None
    return frame(b"$module:", parts)
