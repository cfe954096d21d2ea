"""What a plan says: for each step of a graph what is done about it, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from cachingclient.graph import Key
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.keys import Code, Step
from cachingclient.plan.picture import draw
from cachingclient.plan.steps import Action, Find, PlannedStep
from cachingclient.plan.summary import summarise


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
        The keys of the steps that are loaded, run or held.
    lost
        The keys whose entries were lost; their steps run again, and the new results replace the lost ones.
    codes
        The code of the steps to run, by digest, where it is known.
    known_codes
        The digests of those codes that the store has seen before.
    new_functions
        The functions in these codes that the store has not seen.
    details
        For each step its identity, as `hashing.step_keys` gave it.
    differences
        For step keys that have entries, none of which was made in surroundings like those now: what differs.
    unanswered
        The step keys of which the store did not say what it has.
    shown
        How Python writes small arguments of the steps to run that are known by their digests.
    values
        The identities of arguments with code of the user's in them, by their digests.
    because
        For each step name why its steps run, once that was looked up.
    is_explained
        Whether that was looked up.
    """

    steps: dict[Key, PlannedStep]
    wanted: frozenset[Key]
    needed: set[Key] = field(default_factory=set)
    lost: frozenset[Key] = frozenset()
    codes: dict[bytes, Code] = field(default_factory=dict)
    known_codes: frozenset[bytes] = frozenset()
    new_functions: tuple[Identity, ...] = ()
    details: Mapping[Key, Step] = field(default_factory=dict)
    differences: Mapping[str, str] = field(default_factory=dict)
    unanswered: Set[str] = frozenset()
    shown: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Identity] = field(default_factory=dict)
    because: Mapping[str, str] = field(default_factory=dict)
    is_explained: bool = False

    def slim(self) -> None:
        """Drop what only sending the graph needed: a report may be kept for long."""
        self.needed = set()
        for step in self.steps.values():
            step.classes = None
            if step.info is not None and step.info.payload is not None:
                step.info = dataclasses.replace(step.info, payload=None)

    def forget(self) -> None:
        """Drop what only the explanation of its misses needs."""
        self.details, self.values, self.shown = {}, {}, {}

    def learn(self, find: Find) -> None:
        """Look up the run times of the steps that are not needed: they are the time saved."""
        unknown = {
            step.step_key: step for step in self.steps.values() if step.action is Action.PRUNED and step.info is None
        }
        unknown.pop(None, None)
        for step_key, info in find([key for key in unknown if key is not None]).items() if unknown else ():
            unknown[step_key].info = dataclasses.replace(info, payload=None)

    def picture(self, path: str | Path) -> Path:
        """Draw the plan by step name into a PNG, SVG or PDF file."""
        return draw(self.steps, path)

    def __str__(self) -> str:
        return str(summarise(self.steps, because=self.because))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return summarise(self.steps, because=self.because)._repr_html_()
