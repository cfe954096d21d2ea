"""The options of a store: names that whoever they are for does not take, and flags that are neither true nor false.

Libraries take any keyword, and drop or pass on what they don't know: a misspelled ``endpoint_url`` is another server.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class UnknownOption(TypeError):
    """An option that nobody takes.

    Parameters
    ----------
    name
        The option.
    known
        What could have been meant.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no option {name!r}")
        self.name, self.known = name, sorted(known)


def names_taken(*takers: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments of functions, and of classes with all their bases.

    Examples
    --------
    >>> class Server:
    ...     def __init__(self, port: int, **options: object) -> None: ...
    >>> class Quick(Server):
    ...     def __init__(self, *, threads: int, **options: object) -> None: ...
    >>> sorted(names_taken(Quick))
    ['port', 'threads']
    """
    functions = []
    for taker in takers:
        bases = inspect.getmro(taker) if isinstance(taker, type) else ()
        functions += [vars(each)["__init__"] for each in bases if each is not object and "__init__" in vars(each)]
        functions += [] if bases else [taker]
    given = (inspect.signature(function).parameters.values() for function in functions)
    return {each.name for parameters in given for each in parameters if each.kind in NAMED} - {"self"}


def refuse_unknown(options: Iterable[str], known: Iterable[str]) -> None:
    """Raise `UnknownOption` for the first option that is not among the known ones.

    Examples
    --------
    >>> refuse_unknown({"prot": 1}, ["port"])
    Traceback (most recent call last):
    cachingclient.storage.options.UnknownOption: no option 'prot'
    """
    known = set(known)
    for name in options:
        if name not in known:
            raise UnknownOption(name, known)


def check_flags(options: Mapping[str, Any], *flags: str) -> None:
    """Raise a ValueError for a flag that is neither true nor false: any text would be true.

    Examples
    --------
    >>> check_flags({"shared": "no"}, "shared")
    Traceback (most recent call last):
    ValueError: shared='no': takes True or False
    """
    for name in flags:
        if not isinstance(options.get(name, False), bool):
            raise ValueError(f"{name}={options[name]!r}: takes True or False")
