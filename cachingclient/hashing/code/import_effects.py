"""What a user's module sets in libraries when it is imported: no name that a function looks up leads there.

``decimal.getcontext().prec = 9`` or ``pandas.set_option(...)`` at the top of a module changes what functions give that
never mention it. Such statements are found in the module's source: calls, assignments and deletions that begin with a
name that the module imports from a library, calls of the user's functions that nothing is made of, and functions that a
library registers by a decorator.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import os
import sys
import threading
import tokenize
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, TypeGuard

from cloudpickle import list_registry_pickle_by_value

from cachingclient.forks.children import free_in_children
from cachingclient.hashing.code.bytecode import shape
from cachingclient.hashing.code.modules import CONSTANT_TYPES, find_named
from cachingclient.hashing.code.names import defaults
from cachingclient.hashing.digest import compact, frame
from cachingclient.hashing.environment.environment import OWN_PACKAGE, is_user_code
from cachingclient.hashing.scalars import literal

_WITHOUT_EFFECT = frozenset(
    {"sys", "os", "pathlib", "logging", "warnings", "typing", "atexit", "faulthandler", "time", "pytest"}
)
"""Libraries in which nothing can be set that a result depends on and that is not observed: variables and the working
folder are, and where modules are looked for shows in the modules that are found."""
_SENT_BY_NAME = (FunctionType, functools._lru_cache_wrapper)
MOST_TRIES = 10
_parsing = free_in_children(threading.Lock())
_seen: dict[str, tuple[object, bytes, tuple[str, ...]]] = {}


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
    seen: set[str] = set()
    module = str(function.__globals__.get("__name__") or "")
    waiting = [module] if _is_found(module, function) else []
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
        tree = _tree(name, spec)
        known = _seen[name] = spec, _digest(module, tree), tuple(_imports(tree, module))
    return known[1], known[2]


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
    for node in _top_level(tree.body):
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


def _digest(module: ModuleType, tree: ast.Module) -> bytes:
    imported: set[str] = set()
    for node in _top_level(tree.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imported.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    found = [node for node in _top_level(tree.body) if _sets(node, vars(module), imported)]
    parts = [part for node in found for part in _told(node, vars(module))]
    return frame(b"$effects:", parts) if parts else b""


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the simple statements that run when a module is imported, and the functions that are decorated."""
    for node in body:
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if not isinstance(node, ast.ClassDef) and node.decorator_list:
                yield node
            continue
        inner = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        inner += [handler.body for handler in getattr(node, "handlers", [])]
        if not any(inner):
            yield node
        for each in inner:
            yield from _top_level(each)


def _sets(node: ast.stmt, namespace: dict[str, Any], imported: set[str]) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        root, called = _root(node.value.func), map(_chain, ast.walk(node.value.func))  # as setup of setup(1).go()
        users = any(_is_users(_found(namespace, each)) for each in called)
        return users or _is_library(namespace.get(root), root in imported)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        # A library's decorator that gives back the function itself has kept it for somebody who asks by another name.
        roots = {root: namespace.get(root) for root in map(_root, node.decorator_list)}
        given = {root for root, each in roots.items() if each is not functools and each is not functools.wraps}
        return _is_users(namespace.get(node.name)) and any(_is_library(roots[each], each in imported) for each in given)
    targets = {
        ast.Assign: lambda: node.targets,  # type: ignore[attr-defined]
        ast.AugAssign: lambda: [node.target],  # type: ignore[attr-defined]
        ast.AnnAssign: lambda: [node.target],  # type: ignore[attr-defined]
        ast.Delete: lambda: node.targets,  # type: ignore[attr-defined]
    }.get(type(node), list)()
    return any(
        isinstance(target, (ast.Attribute, ast.Subscript))
        and (root := _root(target)) in imported
        and _is_library(namespace.get(root), imported=True)
        for target in targets
    )


def _root(node: ast.expr) -> str:
    """Return the name that a chain of attributes, items and calls begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_library(value: object, imported: bool) -> bool:
    """Whether what a name stands for is a library, or something that was imported from one."""
    if not imported or value is None:
        return False
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    name = name if isinstance(name, str) else type(value).__module__
    return not is_user_code(name) and name.partition(".")[0] not in _WITHOUT_EFFECT


def _is_users(value: object) -> TypeGuard[FunctionType]:
    return isinstance(value, FunctionType) and is_user_code(str(value.__globals__.get("__name__") or ""))


def _chain(node: ast.AST) -> tuple[str, ...]:
    """Return the names that lead to something, as ``patches`` and ``install``; nothing if more than names do."""
    if isinstance(node, ast.Name):
        return (node.id,)
    inner = _chain(node.value) if isinstance(node, ast.Attribute) else ()
    return (*inner, node.attr) if isinstance(node, ast.Attribute) and inner else ()


def _found(namespace: dict[str, Any], chain: tuple[str, ...]) -> object:
    """Return what a chain of names leads to through modules of the user's, None if it leads elsewhere."""
    found: object = namespace.get(chain[0]) if chain else None
    for name in chain[1:]:
        if not isinstance(found, ModuleType) or not is_user_code(found.__name__):
            return None
        found = vars(found).get(name)
    return found.__wrapped__ if isinstance(found, functools._lru_cache_wrapper) else found


def _told(node: ast.stmt, namespace: dict[str, Any]) -> Iterator[bytes]:
    """Yield a statement, without its layout, and what its names stand for, as far as that is the same everywhere."""
    yield compact(b"$statement:", ast.unparse(_without_docstring(node)).encode(errors="surrogatepass"))
    chains = sorted({_chain(each) for each in ast.walk(node)} - {()})
    for chain in chains:
        if len(chain) == 1:
            yield from _constant(chain[0], namespace.get(chain[0]))
    yield from _run_by(filter(_is_users, (_found(namespace, chain) for chain in chains)))


def _without_docstring(node: ast.stmt) -> ast.stmt:
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or ast.get_docstring(node) is None:
        return node
    own = {name: getattr(node, name) for name in node._fields}
    return type(node)(**{**own, "body": node.body[1:] or [ast.Pass()]}, lineno=node.lineno)


def _constant(name: str, value: object) -> Iterator[bytes]:
    if (text := literal(value)) and "/" not in text and "\\" not in text:  # a folder is another elsewhere
        yield frame(b"$named:", [name.encode(), text.encode()])


def _run_by(functions: Iterable[FunctionType]) -> Iterator[bytes]:
    """Yield what functions of the user's do, and those that they name: their code, and constants that nobody fills."""
    waiting, seen = list(functions), set[FunctionType]()
    rebound: dict[str, set[str]] = {}
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        yield frame(b"$run:", [shape(function.__code__).body])
        for name, value in [*_named(function, rebound), *_given(function)]:
            if _is_users(value):
                waiting.append(value)
            elif value is not None and isinstance(value, CONSTANT_TYPES):
                yield from _constant(name, value)


def _named(function: FunctionType, rebound: dict[str, set[str]]) -> Iterator[tuple[str, object]]:
    """Yield what a function's code names, but for variables that have another value in each process."""
    namespace = function.__globals__
    for each in shape(function.__code__).references:
        owner = namespace
        for end in range(len(each.attributes) + 1):
            chain = (each.name, *each.attributes[:end])
            found, module = _found(namespace, chain), str(owner.get("__name__"))
            if module not in rebound:
                rebound[module] = _rebound_in(owner)
            if chain[-1] not in rebound[module]:
                yield ".".join(chain), found
            if not isinstance(found, ModuleType) or not is_user_code(found.__name__):
                break
            owner = vars(found)


def _rebound_in(namespace: dict[str, Any]) -> set[str]:
    """Return the variables of a module that its functions rebind."""
    own = [each for each in list(namespace.values()) if isinstance(each, FunctionType)]
    return {name for each in own if each.__globals__ is namespace for name, _ in shape(each.__code__).global_writes}


def _given(function: FunctionType) -> Iterator[tuple[str, object]]:
    """Yield a function's arguments that have a default, and the free variables that it does not rebind."""
    yield from defaults(function)
    if function.__closure__ is None:
        return
    stored = {each.argval for each in dis.get_instructions(function.__code__) if each.opname == "STORE_DEREF"}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True):
        with contextlib.suppress(ValueError):  # not set yet
            if name not in stored:
                yield name, cell.cell_contents
