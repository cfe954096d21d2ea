"""A planned step, the actions on it, and what constrains them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cachingclient.graph import GraphNode, Key
from cachingclient.hashing.keys import Step
from cachingclient.hashing.step_keys import Merkle
from cachingclient.storage import EntryInfo

CODE = "code"
"""The kind of the entries that keep the ingredients of a function."""
MOST_COMPARED = 10
"""How many steps of one name and code are compared with what is kept; they stand for the others."""
Elsewhere = Callable[[Merkle, Mapping[Key, Step]], Mapping[Key, str]]
Find = Callable[[Iterable[str]], Mapping[str, EntryInfo]]


class Action(StrEnum):
    """What is done about a step."""

    LOAD = "load"
    RUN = "run"
    PRUNED = "pruned"
    HELD = "held"
    DATA = "data"
    ALIAS = "alias"


@dataclass(slots=True)
class PlannedStep:
    """One step of a plan.

    Attributes
    ----------
    key, name
        Its key in the graph, and its name.
    action
        What is done about the step.
    step_key
        32 hexadecimal characters; None if the step is uncacheable.
    reason
        Why it is uncacheable, else empty.
    info
        The entry that it is loaded from.
    keep
        Whether its result may be kept.
    dependencies
        The keys of the steps whose results it takes.
    unread
        Whether its entry is read only when a later task or the user takes the result.
    miss
        Why an entry that was found is not loaded, else empty.
    classes
        What the worker that loads it needs of the classes that its result refers to, as `user_classes.packed` has it.
    unkept
        Why its result will not be kept although it has an identity, else empty.
    """

    key: Key
    name: str
    action: Action
    step_key: str | None
    reason: str
    info: EntryInfo | None
    keep: bool
    dependencies: frozenset[Key]
    unread: bool = False
    miss: str = ""
    classes: bytes | None = None
    unkept: str = ""


@dataclass(frozen=True, slots=True)
class Constraints:
    """What is known of single steps before anything is looked up.

    Attributes
    ----------
    impure
        Steps that the user called not pure: they have no identity.
    unkept
        Steps that the user wants neither loaded nor kept (``cache=False``). Those after them may be.
    held
        Keys whose results, or whose computation, the scheduler already has.
    lost
        Keys whose entries were found to be lost: they run.
    drawn
        The steps so far that may differ from call to call, and the key each was first called by.
    seen
        The digests of functions that the store is known to have seen; what is found is added.
    objection
        Tells why an entry must not be loaded for a node, such as a class in it that has changed since; else empty.
    elsewhere
        Tells which steps workers may run with other code than this, and why: those are known by their contents alone.
    untold
        Held keys of which nobody knows yet what they depend on: the steps that take them are not looked up.
    """

    impure: frozenset[Key] = frozenset()
    unkept: frozenset[Key] = frozenset()
    held: frozenset[Key] = frozenset()
    lost: frozenset[Key] = frozenset()
    drawn: MutableMapping[bytes, Key] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    objection: Callable[[EntryInfo, GraphNode], str] = lambda info, node: ""
    elsewhere: Elsewhere = lambda merkle, steps: {}
    untold: frozenset[Key] = frozenset()

    def objecting(self, objection: Callable[[EntryInfo, GraphNode], str], elsewhere: Elsewhere) -> Constraints:
        """Return the same constraints with other ways to object.

        Examples
        --------
        >>> Constraints(frozenset({"a"})).objecting(lambda info, node: "no", lambda merkle, steps: {}).impure
        frozenset({'a'})
        """
        return replace(self, objection=objection, elsewhere=elsewhere)


def compared(steps: Mapping[Key, PlannedStep], details: Mapping[Key, Step]) -> Iterator[Key]:
    """Yield the steps to compare with what is kept: of those that run and have one name and code, the first few.

    Examples
    --------
    >>> list(compared({}, {}))
    []
    """
    counts: dict[tuple[str, bytes], int] = {}
    for key, step in steps.items():
        if step.action is not Action.RUN or step.step_key is None or step.miss or key not in details:
            continue
        code = details[key].code
        kind = step.name, code.digest if code is not None else b""
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= MOST_COMPARED:
            yield key
