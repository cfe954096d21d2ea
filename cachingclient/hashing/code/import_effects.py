"""What a user's module sets in libraries when it is imported: no name that a function looks up leads there.

``decimal.getcontext().prec = 9`` or ``pandas.set_option(...)`` at the top of a module changes what functions give that
never mention it. Such statements are found in the module's source: calls, assignments and deletions that begin with a
name that the module imports from a library, functions and classes that a library keeps, and whatever runs a function of
the user's that does such things.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import sys
import threading
import tokenize
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from cloudpickle import list_registry_pickle_by_value

from cachingclient.forks.children import free_in_children
from cachingclient.hashing.code.import_runs import constant, constants_of, told_of
from cachingclient.hashing.code.import_sets import Scope, sets
from cachingclient.hashing.code.import_statements import (
    Running,
    Source,
    chains,
    evaluated,
    functions_of,
    is_users_class,
    reached,
    running,
)
from cachingclient.hashing.code.names import find_named
from cachingclient.hashing.digest import compact, frame
from cachingclient.hashing.environment.environment import OWN_PACKAGE, is_user_code

_SENT_BY_NAME = (FunctionType, functools._lru_cache_wrapper)
MOST_TRIES = 10
MOST_SOURCES = 64
_parsing = free_in_children(threading.Lock())
_seen: dict[str, tuple[object, bytes, tuple[str, ...]]] = {}
_sources: dict[str, tuple[object, Source]] = {}


def import_effects(function: FunctionType) -> Iterator[tuple[str, bytes]]:
    """Yield the names of the user's modules that are imported with a function's and set something, and what each sets.

    Parameters
    ----------
    function
        The function. Where workers import it by its name, its module counts, and those that this imports; one that is
        sent to them as it is, such as one made in another function, comes without.

    Examples
    --------
    >>> list(import_effects(import_effects))
    []
    """
    module = str(function.__globals__.get("__name__") or "")
    return effects_of(module) if _is_found(module, function) else iter(())


def effects_of(module: str) -> Iterator[tuple[str, bytes]]:
    """Yield the names of the user's modules that are imported with a module and set something, and what each sets.

    Examples
    --------
    >>> list(effects_of("json"))
    []
    """
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or not _counts(name):
            continue
        seen.add(name)
        effects, imported = _effects(name)
        if effects:
            yield name, effects
        waiting += imported


def _is_found(module: str, function: FunctionType) -> bool:
    """Whether a function is found by its name, itself or in what a decorator made of it that is sent by its name."""
    found: object = find_named(module, function.__qualname__)
    found = getattr(found, "__func__", found)
    while found is not function:
        if not isinstance(found, _SENT_BY_NAME) and type(found).__module__.partition(".")[0] != OWN_PACKAGE:
            return False
        found = getattr(found, "__wrapped__", None)
    return True


def _counts(name: str) -> bool:
    """Whether a worker imports the module: a script's or notebook's own statements run where it runs."""
    if name in ("", "__main__", "__mp_main__") or name not in sys.modules or not is_user_code(name):
        return False
    by_value = list_registry_pickle_by_value()
    return not any(name == each or name.startswith(f"{each}.") for each in by_value)


def _effects(name: str) -> tuple[bytes, tuple[str, ...]]:
    """Return what a module sets, and which modules it imports: as its source was when it was first asked for."""
    module = sys.modules[name]
    spec = getattr(module, "__spec__", None)
    known = _seen.get(name)
    if known is None or known[0] is not spec:  # a module that is loaded again has another
        source = _source_of(name)
        known = _seen[name] = spec, _digest(module, source), tuple(_imports(source.tree, module))
    return known[1], known[2]


def _source_of(name: str) -> Source:
    """Return a module's source, taken apart, as it was when it was first asked for."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    known = _sources.get(name)
    if known is None or known[0] is not spec:
        if len(_sources) >= MOST_SOURCES:
            _sources.clear()
        known = _sources[name] = spec, Source(_tree(name, spec))
    return known[1]


def _tree(name: str, spec: Any) -> ast.Module:
    """Return a module's source, taken apart; an empty one if there is none, or none that can be read."""
    origin = getattr(spec, "origin", None) or ""
    get_source = getattr(getattr(spec, "loader", None), "get_source", None)
    try:
        if origin.endswith(".py") and os.path.isfile(origin):  # whoever loaded it: some loaders tell no source
            with tokenize.open(origin) as file:
                return _parsed(file.read())
        return _parsed((get_source(name) if get_source else None) or "")
    except (ImportError, OSError, SyntaxError, ValueError, RecursionError, SystemError):
        return ast.Module([], [])


def _parsed(source: str) -> ast.Module:
    """Parse, one thread at a time: up to Python 3.11 two that do so at once may count each other's depth."""
    for _ in range(MOST_TRIES):
        with _parsing, contextlib.suppress(SystemError):  # another's parsing, such as pytest's, has no lock
            return ast.parse(source)
    return ast.parse(source)


def _imports(tree: ast.Module, module: ModuleType) -> Iterator[str]:
    """Yield the names of what the top level of a module has imported, some of which are modules."""
    package, namespace = getattr(module.__spec__, "parent", None) or "", vars(module)
    for node in (each.node for each in running(tree.body)):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        # What a branch would import that did not run, such as one for type checkers, stands under no name.
        done = [each for each in node.names if (each.asname or each.name).partition(".")[0] in {*namespace, "*"}]
        if isinstance(node, ast.Import):
            yield from (each.name for each in done)
        elif done:
            parts = package.split(".")
            parts = parts[: len(parts) + 1 - node.level] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield from (base, *(f"{base}.{each.name}" for each in done))


def _digest(module: ModuleType, source: Source) -> bytes:
    namespace, statements = vars(module), list(running(source.tree.body))
    nodes = [each.node for each in statements]
    scope = Scope(namespace, source.imported).follow(nodes)
    parts = [part for each in statements if sets(each, scope, _source_of) for part in _told(each, namespace, nodes)]
    return frame(b"$effects:", parts) if parts else b""


def _told(what: Running, namespace: dict[str, Any], nodes: list[ast.stmt | ast.expr]) -> Iterator[bytes]:
    """Yield a statement, without its layout, and what its names stand for, as far as that is the same everywhere."""
    waiting: list[ast.AST] = [what.node, *what.around]
    names: set[str] = set()
    functions: list[FunctionType] = []
    while waiting:
        node = waiting.pop(0)
        yield compact(b"$statement:", ast.unparse(_without_docstring(node)).encode(errors="surrogatepass"))
        for chain in chains(ast.walk(node)):
            if len(chain) == 1:
                yield from constant(chain[0], namespace.get(chain[0]))
            value = reached(namespace, chain)
            kind = value if isinstance(value, type) else type(value)
            functions += functions_of(value)
            if is_users_class(kind):
                yield from (part for name, each in constants_of(kind) for part in constant(name, each))
            if kind is not value and is_users_class(kind) and chain[0] not in names:
                names.add(chain[0])  # what it holds is told by how it was made
                waiting += [each for each in nodes if chain[0] in _assigned(each)]
    yield from told_of(functions)


def _assigned(node: ast.AST) -> set[str]:
    if not isinstance(node, (ast.Assign, ast.AnnAssign)):
        return set()
    return {each.id for each in evaluated(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _without_docstring(node: Any) -> Any:
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or ast.get_docstring(node) is None:
        return node
    own = {name: getattr(node, name) for name in node._fields}
    return type(node)(**{**own, "body": node.body[1:] or [ast.Pass()]}, lineno=node.lineno)
