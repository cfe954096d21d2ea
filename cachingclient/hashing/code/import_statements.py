"""The statements that run when a module is imported, and the names in them."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, TypeGuard

from cachingclient.hashing.code.names import told_by
from cachingclient.hashing.environment.environment import is_user_code

_WITHOUT_EFFECT = frozenset(
    {"sys", "os", "pathlib", "logging", "warnings", "typing", "atexit", "faulthandler", "time", "pytest"}
)
"""Libraries in which nothing can be set that a result depends on and that is not observed: variables and the working
folder are, and where modules are looked for shows in the modules that are found."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_WRAPPERS = (FunctionType, functools._lru_cache_wrapper)
_LEADS_ON = frozenset({"getattr", "vars"})


class Running(NamedTuple):
    """A statement that runs on import, or the head of one that has others in it, and the heads of those around it."""

    node: ast.stmt | ast.expr
    around: tuple[ast.expr, ...] = ()
    in_class: bool = False


def running(body: Iterable[ast.stmt], around: tuple[ast.expr, ...] = (), in_class: bool = False) -> Iterator[Running]:
    """Yield what runs when a module is imported, class bodies included, and the functions that are decorated."""
    for node in body:
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.decorator_list:
                yield Running(node, around, in_class)
            continue
        inner = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        inner += [each.body for name in ("handlers", "cases") for each in getattr(node, name, [])]
        if isinstance(node, ast.ClassDef) or not any(inner):
            yield Running(node, around, in_class)
        heads = () if isinstance(node, ast.ClassDef) else tuple(_heads(node) if any(inner) else ())
        yield from (Running(head, around, in_class) for head in heads)
        for each in inner:
            yield from running(each, (*around, *heads), in_class or isinstance(node, ast.ClassDef))


def _heads(node: ast.stmt) -> Iterator[ast.expr]:
    """Yield what a statement asks before it runs those in it: the test of an ``if``, what a loop goes through."""
    found = [getattr(node, name, None) for name in ("test", "iter", "target", "subject")]
    yield from (each for each in found if isinstance(each, ast.expr))
    yield from (each.context_expr for each in getattr(node, "items", []))


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what of a statement is evaluated where it stands: no bodies of functions and classes."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, ast.ClassDef):
            waiting += [*each.decorator_list, *each.bases, *(keyword.value for keyword in each.keywords)]
        elif isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += [*each.decorator_list, *each.args.defaults, *filter(None, each.args.kw_defaults)]
        elif not isinstance(each, ast.Lambda):
            waiting += ast.iter_child_nodes(each)


def imported_names(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the names that import statements give."""
    found = [alias for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names]
    return frozenset((alias.asname or alias.name).partition(".")[0] for alias in found)


def targets_of(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a statement stores into or deletes, one by one where it does several."""
    own = getattr(node, "targets", None) if isinstance(node, (ast.Assign, ast.Delete)) else None
    waiting = list(own or [getattr(node, "target", None)])
    while waiting:
        each = waiting.pop()
        if isinstance(each, (ast.Tuple, ast.List)):
            waiting += each.elts
        elif isinstance(each, ast.Starred):
            waiting.append(each.value)
        elif isinstance(each, ast.expr):
            yield each


def root(node: ast.AST) -> str:
    """Return the name that a chain of attributes, items and calls begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _LEADS_ON and node.args:
            node = node.args[0]
        else:
            node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def chain(node: ast.AST) -> tuple[str, ...]:
    """Return the names that lead to something, as ``patches`` and ``install``; nothing if more than names do."""
    if isinstance(node, ast.Name):
        return (node.id,)
    inner = chain(node.value) if isinstance(node, ast.Attribute) else ()
    return (*inner, node.attr) if isinstance(node, ast.Attribute) and inner else ()


def chains(nodes: Iterable[ast.AST]) -> list[tuple[str, ...]]:
    """Return all chains of names in nodes, in an order of their own."""
    return sorted({chain(each) for each in nodes} - {()})


def found(namespace: dict[str, Any], names: tuple[str, ...]) -> object:
    """Return what a chain of names leads to through modules of the user's, None if it leads elsewhere."""
    value: object = namespace.get(names[0]) if names else None
    for name in names[1:]:
        if not isinstance(value, ModuleType) or not is_user_code(value.__name__):
            return None
        value = vars(value).get(name)
    return value.__wrapped__ if isinstance(value, functools._lru_cache_wrapper) else value


def reached(namespace: dict[str, Any], names: tuple[str, ...]) -> object:
    """Return what a chain leads to through modules, classes and objects of the user's."""
    for end in range(len(names), 0, -1):
        value = found(namespace, names[:end])
        if value is None:
            continue
        for name in names[end:]:
            if not is_users_class(value if isinstance(value, type) else type(value)):
                return None
            value = inspect.getattr_static(value, name, None)
            value = getattr(value, "__func__", value)
        return value
    return None


def is_library(value: object) -> bool:
    """Tell whether something that a module imported is a library, or was imported from one."""
    if value is None:
        return False
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    name = name if isinstance(name, str) else type(value).__module__
    return not is_user_code(name) and name.partition(".")[0] not in _WITHOUT_EFFECT


def is_users(value: object) -> TypeGuard[FunctionType]:
    """Tell whether something is a function of the user's."""
    return isinstance(value, FunctionType) and is_user_code(str(value.__globals__.get("__name__") or ""))


def is_users_class(value: object) -> TypeGuard[type]:
    """Tell whether something is a class of the user's."""
    return isinstance(value, type) and is_user_code(str(value.__module__ or ""))


def functions_of(value: object) -> list[FunctionType]:
    """Return the functions of the user's that run where something is called, or made: a class's are all of its own."""
    while not is_users(value) and isinstance(value, _WRAPPERS) and (inner := told_by(value, "__wrapped__")) is not None:
        value = inner  # as contextlib.contextmanager keeps it
    if is_users(value):
        return [value]
    if value is None or isinstance(value, (ModuleType, FunctionType)):
        return []
    kind = value if isinstance(value, type) else type(value)
    kinds = [each for each in (*kind.__mro__, type(kind)) if is_users_class(each)]
    parts = [getattr(part, "__func__", part) for each in kinds for part in vars(each).values()]
    parts += [getattr(part, "fget", None) for part in parts if isinstance(part, property)]
    return [part for part in parts if is_users(part)]


class Source:
    """A module's source, taken apart.

    Parameters
    ----------
    tree
        Its statements.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree

    @functools.cached_property
    def imported(self) -> frozenset[str]:
        """The names that its import statements give."""
        return imported_names(each.node for each in running(self.tree.body))

    @functools.cached_property
    def _functions(self) -> dict[int, list[ast.AST]]:
        lines: dict[int, list[ast.AST]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, _FUNCTIONS):
                decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
                lines.setdefault(min([node.lineno, *(each.lineno for each in decorators)]), []).append(node)
        return lines

    def definition(self, function: FunctionType) -> list[ast.AST]:
        """Return where a function is defined: by its first line, on which there may be several."""
        return self._functions.get(function.__code__.co_firstlineno, [])
