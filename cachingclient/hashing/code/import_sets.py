"""Whether what runs on import can set something in a library: stores, calls for nothing, and functions that do such."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from types import FunctionType, ModuleType
from typing import Any

from cachingclient.hashing.code.held_classes import library_holds
from cachingclient.hashing.code.import_runs import run_by
from cachingclient.hashing.code.import_statements import (
    Running,
    Source,
    chain,
    evaluated,
    found,
    functions_of,
    is_library,
    is_users,
    is_users_class,
    reached,
    root,
    targets_of,
)

_SETTERS = frozenset({"setattr", "delattr"})
_HOOKS = ("__init_subclass__", "__new__", "__init__", "__call__")
SourceOf = Callable[[str], Source]


@dataclass
class Scope:
    """What names stand for in a module, or in a function of it.

    Attributes
    ----------
    namespace
        The module's variables.
    imported
        The names that were imported from somewhere, into the module or the function.
    own
        The names that the function gives itself: none of the module's.
    parts
        The names that were given a part of a library, such as ``rc = matplotlib.rcParams``.
    given
        Those that were given what a function of a library returns, such as ``context = decimal.getcontext()``: what is
        set on it by an attribute is set in the library, while items and methods rather fill something new.
    """

    namespace: dict[str, Any]
    imported: frozenset[str]
    own: frozenset[str] = frozenset()
    parts: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)

    def leads_into_library(self, name: str) -> bool:
        """Tell whether a name stands for a library or a part of one."""
        if name in self.parts:
            return True
        if name in self.own:
            return name in self.imported  # in a function, where nobody knows what it has imported
        return name in self.imported and is_library(self.namespace.get(name))

    def follow(self, nodes: Iterable[ast.AST]) -> Scope:
        """Note which names are given a part of a library."""
        for node in nodes:
            names = [each.id for each in targets_of(node) if isinstance(each, ast.Name)]
            value = getattr(node, "value", None)
            if not names or value is None or not self.leads_into_library(root(value)):
                continue
            if not any(isinstance(each, ast.Call) for each in ast.walk(value)):
                self.parts.update(names)
            elif isinstance(value, ast.Call) and _is_function(self.namespace, value.func):
                self.given.update(names)
        return self


def _is_function(namespace: dict[str, Any], node: ast.expr) -> bool:
    """Whether a chain through modules leads to a function, in C or not: what a class makes is new."""
    names = chain(node)
    value = namespace.get(names[0]) if names else None
    for name in names[1:]:
        value = vars(value).get(name) if isinstance(value, ModuleType) else None
    return callable(value) and not isinstance(value, type)


def sets(what: Running, scope: Scope, source_of: SourceOf) -> bool:
    """Tell whether a statement can set something in a library.

    Parameters
    ----------
    what
        The statement.
    scope
        The module's names.
    source_of
        Gives the source of a module by its name.
    """
    node = what.node
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = map(chain, ast.walk(node.value.func))  # as setup of setup(1).go()
        if any(is_users(found(scope.namespace, each)) for each in called):
            return True
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not what.in_class and _is_registered(node, scope):
        return True
    parts = list(evaluated(node))
    return any(_stores(part, scope) for part in parts) or _runs_what_sets(node, parts, scope, source_of)


def _is_registered(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> bool:
    """Whether a library's decorator gives back the function itself: it is kept for who asks by another name."""
    roots = {root(each) for each in node.decorator_list}
    given = {each for each in roots if scope.namespace.get(each) not in (functools, functools.wraps)}
    return is_users(scope.namespace.get(node.name)) and any(map(scope.leads_into_library, given))


def _stores(part: ast.AST, scope: Scope) -> bool:
    """Whether a node stores into a library, or calls something of it for nothing but what that does."""
    if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
        return scope.leads_into_library(root(part.value.func))
    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in _SETTERS and part.args:
        return scope.leads_into_library(root(part.args[0])) or root(part.args[0]) in scope.given
    for target in targets_of(part):
        if isinstance(target, (ast.Attribute, ast.Subscript)):
            name = root(target)
            if scope.leads_into_library(name) or (isinstance(target, ast.Attribute) and name in scope.given):
                return True
    return False


def _runs_what_sets(node: ast.AST, parts: list[ast.AST], scope: Scope, source_of: SourceOf) -> bool:
    """Whether a function of the user's that runs here can set something in a library, or those that it names."""
    ran: list[FunctionType] = []
    for each in _called(node, parts):
        value = reached(scope.namespace, chain(each))
        ran += functions_of(value)
    if isinstance(node, ast.ClassDef):
        made = scope.namespace.get(node.name)
        if isinstance(made, type):
            if library_holds(made):
                return True
            kinds = [kind for kind in (*made.__mro__[1:], type(made)) if is_users_class(kind)]
            hooks = [vars(kind).get(name) for kind in kinds for name in _HOOKS[: None if kind is type(made) else 1]]
            ran += [hook for hook in (getattr(each, "__func__", each) for each in hooks) if is_users(hook)]
    handed = _hands_over(parts, scope)
    reached_functions = run_by(ran)
    scopes = [_scope_of(function, source_of) for function in reached_functions]
    handed = handed or any(_hands_over(nodes, inner) for nodes, inner, _ in filter(None, scopes))
    return any(each is None or _function_sets(each, handed) for each in scopes)


def _called(node: ast.AST, parts: Iterable[ast.AST]) -> Iterator[ast.expr]:
    yield from getattr(node, "decorator_list", [])
    for part in parts:
        if isinstance(part, ast.Call):
            yield part.func
            inner = part.func  # as Settings of Settings().apply()
            while isinstance(inner, (ast.Attribute, ast.Call)):
                inner = inner.func if isinstance(inner, ast.Call) else inner.value
                yield inner


def _hands_over(nodes: Iterable[ast.AST], scope: Scope) -> bool:
    """Whether a function of the user's is handed a library or a part of one, into which it may store."""
    for call in nodes:
        if isinstance(call, ast.Call) and is_users(reached(scope.namespace, chain(call.func))):
            handed = [*call.args, *(keyword.value for keyword in call.keywords)]
            if any(chain(each) and scope.leads_into_library(root(each)) for each in handed):
                return True
    return False


def _scope_of(function: FunctionType, source_of: SourceOf) -> tuple[list[ast.AST], Scope, frozenset[str]] | None:
    """Return a function's nodes, what its names stand for, and its arguments; None if its source is not known."""
    namespace = function.__globals__
    if function.__code__.co_filename.startswith("<"):  # made of a text, as dataclasses make methods
        return [], Scope(namespace, frozenset()), frozenset()
    source = source_of(str(namespace.get("__name__") or ""))
    nodes = [part for node in source.definition(function) for part in ast.walk(node)]
    if not nodes:
        return None
    local = _libraries_in(nodes)
    stored = {each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    arguments = frozenset(each.arg for each in nodes if isinstance(each, ast.arg))
    outside = {name for each in nodes if isinstance(each, ast.Global) for name in each.names}
    own = frozenset(stored | arguments | local) - outside
    scope = Scope(namespace, (source.imported - own) | local, own)
    return nodes, scope.follow(nodes), arguments


def _libraries_in(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the names by which a function imports libraries itself."""
    imports = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    found_names: set[str] = set()
    for node in imports:
        for alias in node.names:
            module = alias.name if isinstance(node, ast.Import) else node.module or ""
            if not getattr(node, "level", 0) and is_library(_Named(module)):
                found_names.add((alias.asname or alias.name).partition(".")[0])
    return frozenset(found_names)


class _Named:
    def __init__(self, module: str) -> None:
        self.__module__ = module


def _function_sets(known: tuple[list[ast.AST], Scope, frozenset[str]], handed: bool) -> bool:
    nodes, scope, arguments = known
    if handed:
        scope = replace(scope, parts=scope.parts | arguments)
    return any(_stores(node, scope) for node in nodes)
