"""What code of the user's makes again where it is unpickled: an object that reads its table anew, by ``__setstate__``.

Nobody sees what it reads then, since no step runs yet. So what came with a task is compared with what was sent: if the
file changed meanwhile, or this process remembers an older one, the result is not what the step's key says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from cachingclient.hashing.identity import Identity
from cachingclient.hashing.keys import Code
from cachingclient.hashing.scalars import PLAIN
from cachingclient.hashing.step_keys import Merkle

if TYPE_CHECKING:
    from cachingclient.worker.attempt import Attempt
    from cachingclient.worker.context import Context

ANOTHER = (
    "an object that came with it is not what was sent: its class makes it again where it is unpickled, of files that "
    "nobody sees it read; restart the workers if one was edited"
)
_LEVELS = 4


class Sent(Protocol):
    """A task, as far as the client told of it."""

    @property
    def function(self) -> Callable[..., Any]:
        """The user's function."""

    @property
    def codes(self) -> tuple[bytes, ...]:
        """The user's code among its arguments."""

    @property
    def remade(self) -> tuple[bytes, ...]:
        """What of it is made again where it is unpickled."""

    @property
    def context(self) -> Context:
        """The context of the run."""


def came_as_sent(task: Sent, code: Code, attempt: Attempt) -> bool:
    """Tell whether what came with a task is what was sent, and note why not."""
    if task.remade and (why := why_another(task.remade, code, attempt)):
        attempt.why_not = why
        return False
    return attempt.has_all_of(task.codes, task.function, task.context.merkle())


def why_another(sent: Iterable[bytes], code: Code, attempt: Attempt) -> str:
    """Return why what was unpickled here is not what was sent; empty if it is.

    Parameters
    ----------
    sent
        What of the step is made again, as it was on the client.
    code
        The code of the step as it is here.
    attempt
        The attempt, whose arguments were looked at.
    """
    looked_at = [found for _, found in attempt.looked_at if isinstance(found, Identity)]
    known = [*code.functions, *code.values, *looked_at]
    missing = [each for each in sent if not any(found.is_what_was_sent(each) for found in known)]
    if missing:  # it may lie beside results of other steps, and was looked at together with these
        inside = list(_inside((*attempt.arguments, *attempt.keywords.values())))
        missing = [each for each in missing if not any(found.is_what_was_sent(each) for found in inside)]
    return ANOTHER if missing else ""


def _inside(values: Iterable[Any], levels: int = _LEVELS) -> Iterator[Identity]:
    """Yield the identities of what lies in containers."""
    for value in values:
        if type(value) in (list, tuple, set, frozenset, dict) and levels:
            yield from _inside(value.values() if isinstance(value, dict) else value, levels - 1)
        if type(value) not in PLAIN and isinstance(found := Merkle({}).identity(value), Identity):
            yield found
