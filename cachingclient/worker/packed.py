"""Results of other steps that a library packed into bytes, which a merge takes: looked into where there is need to.

coffea compresses what each chunk gives. Taking twenty of these apart, for a key that names the merge by what they hold,
takes as long as merging them, and hardly ever finds anything: all of them would have to come out equal after an edit.
Their steps' keys name the merge as well. What they refer to is seen while the step unpickles them. Where that is
code of the user's, by which the merge depends on more than its key says, they are looked into after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from cachingclient.hashing.content_keys import look_at_call
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.registry import is_packed
from cachingclient.worker.context import Context
from cachingclient.worker.observe import Observed

MOST_BYTES = 4 << 20
"""What is looked into beforehand: some 10 ms."""


class Attempt(Protocol):
    """A run of a step, as far as this module knows it."""

    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    content: str | None
    seen: Observed | None
    looked_at: list[tuple[object, Identity | str]]
    codes: tuple[bytes, ...]


class Step(Protocol):
    """A step, as far as this module knows it."""

    @property
    def step_key(self) -> bytes | None:
        """Its step key."""

    @property
    def dependencies(self) -> int:
        """How many steps it takes results from."""

    @property
    def codes(self) -> tuple[bytes, ...]:
        """The code of the user's among its arguments, as the client has it."""


def are_left_alone(step: Step, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether what a step is given is not looked into before its run: a merge of much that is packed."""
    return step.dependencies > 1 and step.step_key is not None and not step.codes and are_much(args, kwargs)


def are_much(args: Iterable[Any], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether all that a step is given are packed results, and more of them than are looked into.

    Examples
    --------
    >>> are_much(([b"pt > 30"] * 1_000_000,), {}), are_much((1,), {})
    (False, False)
    """
    nbytes = 0
    for each in _parts([*args, *kwargs.values()]):
        if type(each) is not bytes or not is_packed(each):
            return False
        nbytes += len(each)
    return nbytes > MOST_BYTES


def holds_packed(value: Any) -> bool:
    """Tell whether a value is, or has in it, what a library packed into bytes.

    Examples
    --------
    >>> holds_packed({"pt": [b"0.5"]})
    False
    """
    return any(type(each) is bytes and is_packed(each) for each in _parts([value]))


def look_after_run(attempt: Attempt, function: Any, context: Context) -> None:
    """Look into the arguments of a run, which are bytes and so as they were, if there is code of the user's in them."""
    unpacked_users = attempt.seen is not None and attempt.seen.unpacked_users
    if unpacked_users and attempt.content is None and are_much(attempt.arguments, attempt.keywords):
        merkle = context.merkle()
        call = look_at_call(function, attempt.arguments, attempt.keywords, merkle)
        attempt.looked_at, attempt.codes = merkle.looked_at, call.codes


def _parts(values: Iterable[Any]) -> Iterator[Any]:
    for each in values:
        if type(each) in (list, tuple, dict):
            yield from _parts(each.values() if type(each) is dict else each)
        else:
            yield each
