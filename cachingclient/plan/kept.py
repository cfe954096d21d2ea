"""The results that are kept, by step name, to compare steps with."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np

from cachingclient.hashing.code.names import find_named
from cachingclient.hashing.keys import CONTAINER
from cachingclient.plan.changes import UPSTREAM, Made, argument_changes, code_distance, made_of_info, noted, texts
from cachingclient.plan.steps import CODE
from cachingclient.storage import EntryInfo, Store

MOST_COMPARED = 1000
"""How many kept results of a step's name are compared with it, the newest."""
MOST_COMPARED_FAR = 200
"""How many of a store that takes longer than `QUICK_STORE` seconds for an answer."""
QUICK_STORE = 0.001
MOST_NOTES = 500
"""How many notes are gone through for a function that has another name now."""
MOST_LEVELS = 4
"""How many steps back two kept steps are compared to tell whether they stand at the same place of a graph."""


class Kept:
    """The results that are kept, by step name; of a store only those of the names that are asked for are read.

    Parameters
    ----------
    store
        The store.
    planned
        The step keys of the steps to explain: their own results are no earlier ones.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> Kept(open_store("memory://kept")).of_name("select")
    []
    """

    def __init__(self, store: Store, planned: Collection[str] = ()) -> None:
        self.store = store
        self._planned = planned if isinstance(planned, (set, frozenset)) else frozenset(planned)
        self._outlines = list(store.survey(times=False))
        self._most = MOST_COMPARED if store.latency < QUICK_STORE else MOST_COMPARED_FAR
        self._by_name: dict[str, list[Made]] = {}
        self._notes: dict[str, EntryInfo | None] = {}
        self._behind: dict[str, Made | None] = {}
        self._distances: dict[tuple[str, str], int] = {}

    def of_name(self, name: str) -> list[Made]:
        """Return what the kept results of a step's name were made of, the newest first."""
        found = self._by_name.get(name)
        if found is None:
            infos = sorted(self._infos("result", name, self._most), key=lambda info: -info.created)
            earlier = [info for info in infos if self._planned.isdisjoint((info.key, *info.keys))]
            self.notes(key for info in earlier for key in noted(info))
            found = self._by_name[name] = [self.made_of(info) for info in earlier]
        return found

    def former_name(self, made: Made) -> str:
        """Return the name that the first function of a step had before, if the same body is kept under another."""
        body = next((digest for label, digest in made.ingredients.items() if label.startswith("body ")), None)
        if body is None:
            return ""
        for info in self._infos("code", None, MOST_NOTES):
            for label, digest in texts(info.details.get("ingredients")).items():
                if digest == body and label.startswith("body ") and label not in made.ingredients:
                    module, _, name = label.removeprefix("body ").rpartition(".")
                    first = next(label for label in made.ingredients if label.startswith("body "))
                    if module == first.removeprefix("body ").rpartition(".")[0] and find_named(module, name) is None:
                        return f"{module}.{name}"
        return ""

    def made_of(self, info: EntryInfo) -> Made:
        """Return what the step of an entry was made of."""
        return made_of_info(info, self.notes(noted(info)))

    def notes(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        """Return the notes under these keys: what code is made of."""
        keys = list(dict.fromkeys(keys))
        if unknown := [key for key in keys if key not in self._notes]:
            self._notes |= dict.fromkeys(unknown) | {
                key: info for key, info in self.store.find(unknown).items() if info.kind == CODE
            }
        return {key: info for key in keys if (info := self._notes[key]) is not None}

    def behind(self, encoded: str) -> Made | None:
        """Return what the kept step is made of whose result an argument is."""
        key = encoded.removeprefix(UPSTREAM)
        if key not in self._behind:
            info = self.store.find([key]).get(key)
            self._behind[key] = self.made_of(info) if info is not None else None
        return self._behind[key]

    def nearest(self, made: Made, distance: Callable[[Made, Made], tuple[int, ...]] | None = None) -> Made | None:
        """Return what the nearest kept result of a step's name was made of; equal steps are its own entries."""
        others = [each for each in self.of_name(made.name) if not _is_same(each, made) and is_comparable(each, made)]
        return min(others, key=lambda before: (distance or self.distance)(before, made), default=None)

    def distance(self, before: Made, now: Made) -> tuple[int, ...]:
        """Return how many arguments, results of other steps and ingredients two steps do not share.

        What a step works on tells its place in the graph, so arguments count before code.
        """
        own, taken = abs(len(before.arguments) - len(now.arguments)), 0
        for _, old, new in argument_changes(before, now):
            of_steps = is_of_steps(old) and is_of_steps(new)
            own, taken = own + (not of_steps), taken + of_steps
        return own, taken, self._code_distance(before, now)

    def deep_distance(self, before: Made, now: Made, levels: int = MOST_LEVELS) -> tuple[int, ...]:
        """Return the same of kept steps with those before them."""
        arguments, code = abs(len(before.arguments) - len(now.arguments)), self._code_distance(before, now)
        for _, old, new in argument_changes(before, now):
            both = levels and old.startswith(UPSTREAM) and new.startswith(UPSTREAM)
            one, other = (self.behind(old), self.behind(new)) if both else (None, None)
            if one is None or other is None or one.name != other.name:
                arguments += 1
                continue
            more, of_code = self.deep_distance(one, other, levels - 1)
            arguments, code = arguments + more, code + of_code
        return arguments, code

    def _code_distance(self, before: Made, now: Made) -> int:
        both = before.code, now.code
        if both not in self._distances:
            self._distances[both] = code_distance(before, now)
        return self._distances[both]

    def _infos(self, kind: str, name: str | None, most: int) -> Iterator[EntryInfo]:
        """Yield the newest entries of a kind and a name; one that is filed under several keys once."""
        own: dict[bytes, tuple[float, str]] = {}
        for outline in self._outlines:
            meant = [sort[0] == kind and name in (None, sort[1]) for sort in outline.sorts]
            if any(meant):
                chosen = outline.where(np.array(meant)[outline.rows["sort"]])
                created = chosen.rows["created"].tolist()
                for key, when, of in zip(chosen.all_keys(), created, chosen.rows["own"].tolist(), strict=True):
                    own[of] = when, key
        newest = sorted(own.values(), reverse=True)[:most]
        yield from self.store.find([key for _, key in newest]).values() if newest else ()


def is_of_steps(encoded: str) -> bool:
    """Tell whether an argument is the result of a step, or a container with such in it, known by its digest alone.

    Examples
    --------
    >>> is_of_steps(UPSTREAM + "0f" * 16), is_of_steps("6932")
    (True, False)
    """
    return encoded.startswith((UPSTREAM, CONTAINER.hex()))


def is_comparable(before: Made, now: Made) -> bool:
    """Tell whether two steps of one name may be two versions of one, and not of two programs with one store.

    Their code has to have a function of one name in common, or the same body under two names. If it is in another file,
    and the first is still there, half of the parts have to be the same: a copy that is edited, not another program.

    Examples
    --------
    >>> one, other = (Made("select", name, (), {f"body {name}.cut": "0f"}) for name in ("top", "higgs"))
    >>> is_comparable(one, other), is_comparable(one, Made("select", "", (), {"body higgs.cut": "0e"}))
    (True, False)
    """
    if now.code and not before.code and not before.arguments:
        return False  # a call inside a task, of which nothing is noted
    old, new = (_of_user(made) for made in (before, now))
    if before.code == now.code or not old or not new:
        return True
    shared = old.keys() & new.keys()
    if not shared:
        return not {*old.values()}.isdisjoint(new.values())
    both = next(
        (label for label in shared if label.startswith("function ") and label in before.places and label in now.places),
        None,
    )
    if both is None or before.places[both][0] == now.places[both][0] or not os.path.exists(before.places[both][0]):
        return True
    return 2 * sum(old[label] == new[label] for label in shared) >= len(new)


def _of_user(made: Made) -> dict[str, str]:
    return {label: told for label, told in made.ingredients.items() if not label.startswith("package ")}


def _is_same(before: Made, now: Made) -> bool:
    return (before.code, before.arguments, before.bound) == (now.code, now.arguments, now.bound)
