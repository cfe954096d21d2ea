"""What functions of the user's run that are called while a module is imported, and the constants in them."""

from __future__ import annotations

import contextlib
import dis
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from cachingclient.hashing.code.bytecode import shape
from cachingclient.hashing.code.import_statements import found, functions_of, is_users, is_users_class
from cachingclient.hashing.code.names import defaults
from cachingclient.hashing.digest import frame
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.scalars import CONSTANT_TYPES, literal


def constant(name: str, value: object) -> Iterator[bytes]:
    """Yield a small value and its name, unless it may be a folder: that is another elsewhere."""
    if (text := literal(value)) and "/" not in text and "\\" not in text:
        yield frame(b"$named:", [name.encode(), text.encode()])


def run_by(functions: Iterable[FunctionType]) -> list[FunctionType]:
    """Return functions of the user's and those that they name, classes' among them."""
    return [function for function, _ in _followed(functions)]


def told_of(functions: Iterable[FunctionType]) -> Iterator[bytes]:
    """Yield what functions of the user's do, and those that they name: their code, and constants that nobody fills."""
    for function, values in _followed(functions):
        yield frame(b"$run:", [shape(function.__code__).body])
        for name, value in values:
            if value is not None and isinstance(value, CONSTANT_TYPES):
                yield from constant(name, value)


def constants_of(kind: type) -> Iterator[tuple[str, object]]:
    """Yield the constants in a class of the user's."""
    for each in kind.__mro__:
        if is_users_class(each):
            yield from ((f"{each.__name__}.{name}", value) for name, value in vars(each).items() if name[:2] != "__")


def _followed(functions: Iterable[FunctionType]) -> Iterator[tuple[FunctionType, list[tuple[str, object]]]]:
    waiting, seen = list(functions), set[FunctionType]()
    rebound: dict[str, set[str]] = {}
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        values = [*_named(function, rebound), *_given(function)]
        for _, value in list(values):
            kind = value if isinstance(value, type) else type(value)
            if is_users(value):
                waiting.append(value)
            elif is_users_class(kind):
                waiting += functions_of(kind)
                values += constants_of(kind)
        yield function, values


def _named(function: FunctionType, rebound: dict[str, set[str]]) -> Iterator[tuple[str, object]]:
    """Yield what a function's code names, but for variables that have another value in each process."""
    namespace = function.__globals__
    for each in shape(function.__code__).references:
        owner = namespace
        for end in range(len(each.attributes) + 1):
            chain = (each.name, *each.attributes[:end])
            value, module = found(namespace, chain), str(owner.get("__name__"))
            if module not in rebound:
                rebound[module] = _rebound_in(owner)
            if chain[-1] not in rebound[module]:
                yield ".".join(chain), value
            if not isinstance(value, ModuleType) or not is_user_code(value.__name__):
                break
            owner = vars(value)


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
