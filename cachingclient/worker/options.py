"""What a user said about a step with `cachingclient.step`, as workers need to know it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """What the user said about a step; see `step`."""

    version: object = None
    ignore: tuple[str, ...] = ()
    cache: bool = True
    ttl: float | None = None
    resources: tuple[tuple[str, float | str], ...] = ()
    outputs: tuple[str, ...] = ()
    unobserved: tuple[str, ...] = ()
    rows: bool = False


class Marked:
    """A function that its user marked with options: a task runs `function` itself, without a second look-up."""

    function: Callable[..., Any]
    options: Options


def unmarked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function without its mark.

    Examples
    --------
    >>> unmarked(abs)
    <built-in function abs>
    """
    return function.function if isinstance(function, Marked) else function


def options_of(function: Callable[..., Any]) -> Options:
    """Return the options that a function was marked with; the defaults if it was not.

    Examples
    --------
    >>> options_of(abs).ttl is None
    True
    """
    return function.options if isinstance(function, Marked) else Options()
