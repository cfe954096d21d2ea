"""What a plan says: for each step of a graph what is done about it, and why; and what is known before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cachingclient.graph import Key
from cachingclient.hashing.identities import Code, Step
from cachingclient.hashing.walk import Identity
from cachingclient.storage import EntryInfo

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
        What will be done.
    step_key
        32 hexadecimal characters; None if it is uncacheable.
    reason
        Why it is uncacheable, else empty.
    info
        The entry that it is loaded from.
    keep
        Whether its result may be kept.
    dependencies
        The keys it takes results from.
    unread
        Whether it is loaded only when somebody takes its result.
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


@dataclass
class Plan:
    """What will happen to each step of a graph. It prints as a table, in a notebook too.

    Attributes
    ----------
    steps
        Every step of the graph that the wanted keys depend on.
    wanted
        The keys that were asked for.
    needed
        The keys that are loaded, run or held: all that no entry makes superfluous.
    lost
        The keys whose entries could not be had: what is computed again replaces them.
    codes
        The code of the steps to run, by digest, where it is known.
    known_codes
        The digests of those codes that the store has seen before.
    new_functions
        The functions in them that it has not.
    details
        For each step its identity, as `Merkle` gave it.
    """

    steps: dict[Key, PlannedStep]
    wanted: frozenset[Key]
    needed: set[Key] = field(default_factory=set)
    lost: frozenset[Key] = frozenset()
    codes: dict[bytes, Code] = field(default_factory=dict)
    known_codes: frozenset[bytes] = frozenset()
    new_functions: tuple[Identity, ...] = ()
    details: Mapping[Key, Step] = field(default_factory=dict)

    def slim(self) -> None:
        """Let go of what only sending needed: a report may be kept for long."""
        self.details = {}
        self.needed = set()
        for step in self.steps.values():
            if step.info is not None and step.info.payload is not None:
                step.info = dataclasses.replace(step.info, payload=None)

    def learn(self, find: Find) -> None:
        """Look up what is known of steps that are not needed: how long they took is what is saved."""
        unknown = {
            step.step_key: step for step in self.steps.values() if step.action is Action.PRUNED and step.info is None
        }
        unknown.pop(None, None)
        for step_key, info in find([key for key in unknown if key is not None]).items() if unknown else ():
            unknown[step_key].info = dataclasses.replace(info, payload=None)

    def picture(self, path: Any) -> Any:
        """Draw the plan by step name into a PNG, SVG or PDF file."""
        from cachingclient.picture import draw

        return draw(self, path)

    def __str__(self) -> str:
        from cachingclient.summary import summarise

        return str(summarise(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from cachingclient.summary import summarise

        return summarise(self)._repr_html_()


@dataclass(frozen=True, slots=True)
class Choices:
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
    """

    impure: frozenset[Key] = frozenset()
    unkept: frozenset[Key] = frozenset()
    held: frozenset[Key] = frozenset()
    lost: frozenset[Key] = frozenset()
    drawn: MutableMapping[bytes, Key] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
