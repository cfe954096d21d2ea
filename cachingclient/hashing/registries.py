"""What users add to libraries by name, out of sight of the code that then uses it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import chain
from operator import is_
from typing import Any

from cachingclient.hashing.environment import is_user_code

Pairs = list[tuple[Any, Any]]


_seen: tuple[tuple[Any, ...], Pairs] = ((), [])


def awkward_overloads() -> Pairs:
    """Return the overloads that users gave to all awkward arrays of a name.

    `vector` registers hundreds of its own: they are gone through again when one of them is another object than before.
    """
    global _seen
    behavior = getattr(sys.modules.get("awkward"), "behavior", {})
    if 2 * len(behavior) != len(_seen[0]) or not all(map(is_, chain(behavior, behavior.values()), _seen[0])):
        held = (*behavior, *behavior.values())
        _seen = held, [pair for pair in behavior.items() if is_user_code(str(getattr(pair[1], "__module__", "")))]
    return _seen[1]


REGISTRIES: dict[str, Callable[[], Pairs]] = {"awkward": awkward_overloads}
"""By distribution: what users added to it, as names and code."""


def added_by_users(distributions: Iterable[str]) -> Pairs:
    """Return what users added to some libraries, in an order that doesn't depend on when.

    Examples
    --------
    >>> added_by_users(["numpy"])
    []
    """
    found = [pair for name in sorted(distributions) if name in REGISTRIES for pair in REGISTRIES[name]()]
    return sorted(found, key=repr)
