"""Why the steps of a plan run: each with its own reason, or the steps that it follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from cachingclient.graph import Key
from cachingclient.plan.changes import (
    Made,
    argument_changes,
    code_changes,
    count_change,
    made_of_step,
    written_argument,
)
from cachingclient.plan.explain import argument_change
from cachingclient.plan.hidden import for_description
from cachingclient.plan.kept import Kept, is_of_steps
from cachingclient.plan.plan import Plan
from cachingclient.plan.source import changed_lines, sources_of
from cachingclient.plan.steps import Action, PlannedStep, compared
from cachingclient.storage import Store
from cachingclient.units import plain

NEW = "new: no result for these arguments is kept"
NOT_COMPARED = "not compared one by one"
"""Instead of a reason: of very many steps of one code a few are compared, and these had no reason in common."""
_HERE = "of steps"


@dataclass(frozen=True, slots=True)
class Because:
    """Why a step runs.

    Attributes
    ----------
    text
        Its own reason; empty if it only follows others.
    follows
        The names of the steps before it that run.
    is_first
        Whether no result of its name was kept before.
    lines
        The lines of its source that changed, where that is kept.
    shown
        Its arguments, if they are what is new.
    """

    text: str
    follows: tuple[str, ...] = ()
    is_first: bool = False
    lines: tuple[str, ...] = field(default=(), compare=False)
    shown: str = field(default="", compare=False)

    def __str__(self) -> str:
        follows = f"follows {', '.join(self.follows)}" if self.follows else ""
        return follows or "no result was kept before" if self.is_first else self.text or follows


class Reasons:
    """Why each step of a plan runs, by the nearest results that are kept of its place in the graph.

    Parameters
    ----------
    plan
        The plan.
    store
        Where to look.
    """

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        keys = {step.step_key for step in plan.steps.values() if step.step_key is not None}
        self._kept = Kept(store, keys)
        self._running = {key: None for key, step in plan.steps.items() if step.action is Action.RUN}
        found = (Action.LOAD, Action.PRUNED)
        self._found = {step.name for step in plan.steps.values() if step.action in found}
        self._places: dict[str, set[tuple[str, ...]]] = {}
        self.by_key: dict[Key, Because] = dict(self._all())

    def _all(self) -> Iterator[tuple[Key, Because]]:
        """Yield the reason of each step that runs; of many alike some are compared, and stand for the others."""
        sample = set(compared(self._plan.steps, self._plan.details))
        told: dict[tuple[str, Any], dict[Key, Because]] = {}
        others: list[Key] = []
        for key in self._running:
            step = self._plan.steps[key]
            known = self._known(key, step)
            if known is not None:
                yield key, known
            elif key in sample:
                told.setdefault(self._kind(key), {})[key] = self._compare(key, step)
            else:
                others.append(key)
        for kind, found in told.items():
            told[kind] = shared = _shared(found)
            yield from shared.items()
        for key in others:
            alike = set(told.get(self._kind(key), {}).values())
            yield key, alike.pop() if len(alike) == 1 else Because(NOT_COMPARED, self._before(key))

    def _kind(self, key: Key) -> tuple[str, Any]:
        details = self._plan.details.get(key)
        return self._plan.steps[key].name, details.code.digest if details is not None and details.code else None

    def _known(self, key: Key, step: PlannedStep) -> Because | None:
        """Return a reason that the plan has."""
        text = step.reason or step.miss or self._plan.differences.get(step.step_key or "", "")
        if text or step.step_key is None:
            return Because(text, self._before(key))
        if key in self._plan.lost:
            return Because("its result is kept, and can't be read")
        return None if key in self._plan.details else Because("", self._before(key))

    def _before(self, key: Key) -> tuple[str, ...]:
        """Return the names of the steps before one that run."""
        steps = self._plan.steps
        names: set[str] = set()
        seen: set[Key] = set()
        waiting = list(steps[key].dependencies)
        while waiting:
            one = waiting.pop()
            if one in steps and one not in seen:
                seen.add(one)
                if one in self._running:
                    names.add(steps[one].name)
                elif steps[one].action in (Action.ALIAS, Action.DATA):
                    waiting.extend(steps[one].dependencies)
        return tuple(sorted(names))

    def _compare(self, key: Key, step: PlannedStep) -> Because:
        now = made_of_step(step.name, self._plan.details[key], self._plan.shown)
        follows = self._before(key)
        before = self._kept.nearest(now)
        if before is None:
            return self._without_another(now, follows)
        told = list(code_changes(before, now))
        own = [each for each in self._own_arguments(before, now) if not any(each.endswith(text) for text in told)]
        if own and self._is_another_place(before, now):
            return Because(plain("; ".join(told)), follows) if told else Because(NEW, follows, shown=self._shown(now))
        if len(before.arguments) != len(now.arguments):
            own.append(count_change(before, now))
        elif not follows and any(is_of_steps(new) for _, _, new in argument_changes(before, now)):
            steps = (self._plan.steps.get(one) for one in step.dependencies)
            held = sorted({each.name for each in steps if each is not None and each.action is Action.HELD})
            own.append(f"it takes other results of {', '.join(held) or 'the steps before it'}")
        text = plain("; ".join([*told, *own]))
        lines = self._lines(before, key) if told else ()
        return Because(text or ("" if follows else "nothing that is known of it changed"), follows, lines=lines)

    def _lines(self, before: Made, key: Key) -> tuple[str, ...]:
        """Return the lines that changed of the functions of a step whose source was kept."""
        code = self._plan.details[key].code
        parts = (*code.functions, *code.values) if code is not None and before.sources else ()
        now = {name: text for part in parts for name, text in sources_of(part).items()}
        return tuple(map(plain, changed_lines(before.sources, now)))

    def _without_another(self, now: Made, follows: tuple[str, ...]) -> Because:
        """Return the reason of a step to which no earlier result of its name can be compared."""
        if now.name in self._found:
            if follows:
                return Because("", follows)
            return Because(NEW, shown=self._shown(now))
        if former := self._kept.former_name(now):
            return Because(plain(f"{former} is now called {now.name}"), follows)
        return Because(f"no other result of a step named {now.name} is kept", follows, is_first=True)

    def _shown(self, now: Made) -> str:
        """Return the arguments of a step that are small."""
        covered = for_description(map(bytes.fromhex, now.arguments), private=True, names=False)
        shown = [text for each in covered if (text := written_argument(each, now.shown))]
        return f" ({', '.join(shown[:3])})" if shown else ""  # as in select (1, 2.5)

    def _own_arguments(self, before: Made, now: Made) -> Iterator[str]:
        """Yield what changed of the arguments that are no results of steps."""
        if len(before.arguments) == len(now.arguments):
            for name, old, new in argument_changes(before, now):
                if not (is_of_steps(old) and is_of_steps(new)):
                    yield argument_change(self._kept, before, now, name, old, new, self._plan.values)

    def _is_another_place(self, before: Made, now: Made) -> bool:
        """Tell whether a kept result is that of another step of the plan: the same arguments, another version of it."""
        if now.name not in self._places:
            self._places[now.name] = {
                _signature(tuple(part.hex() for part in self._plan.details[key].parts))
                for key, step in self._plan.steps.items()
                if step.name == now.name and key in self._plan.details
            }
        own = _signature(before.arguments)
        return own in self._places[now.name] and own != _signature(now.arguments)

    def roots(self, key: Key) -> dict[str, str]:
        """Return the reasons at the root of a step that follows others, by the names of the steps that have them."""
        found: dict[str, str] = {}
        seen, waiting = {key}, list(self._plan.steps[key].dependencies)
        while waiting:
            one = waiting.pop()
            if one in seen or one not in self._plan.steps:
                continue
            seen.add(one)
            because = self.by_key.get(one)
            if because is not None and because.text:
                found.setdefault(self._plan.steps[one].name, because.text)
            waiting.extend(self._plan.steps[one].dependencies if one in self._running or because is None else ())
        return found

    def why(self, key: Key) -> str:
        """Return why one step runs, at the root of it."""
        because = self.by_key.get(key)
        if because is None:
            return "it does not run"
        upstream = [f"{name} before it runs again: {text}" for name, text in sorted(self.roots(key).items())]
        own = [because.text + because.shown] if because.text else []
        lines = "".join(f"\n    {line}" for line in because.lines)
        return because.text if because.is_first else "; ".join([*upstream, *own]) + lines

    def by_name(self) -> dict[str, str]:
        """Return the most frequent reason of each step name, for a table; nothing if all run for the first time."""
        if all(because.is_first or not because.text for because in self.by_key.values()):
            return {}
        found: dict[str, Counter[str]] = {}
        for key, because in self.by_key.items():
            if str(because) and self._plan.steps[key].step_key is not None:
                found.setdefault(self._plan.steps[key].name, Counter())[str(because)] += 1
        for texts in found.values():
            if len(texts) > 1:
                texts.pop(NOT_COMPARED, None)
        return {name: _with_more(texts) for name, texts in found.items()}


def _shared(found: dict[Key, Because]) -> dict[Key, Because]:
    """Return the reasons of steps alike; if all have something in common, that alone.

    Of very many steps the one that stands at the same place may not be among those that are compared. What tells one
    place from another then looks like a change; but it differs from step to step.
    """
    parts = [each.text.split("; ") for each in found.values()]
    common = [part for part in parts[0] if part and all(part in others for others in parts[1:])]
    if len({each.text for each in found.values()}) == 1 or not common:
        return found
    return {key: replace(each, text="; ".join(common)) for key, each in found.items()}


def _with_more(texts: Counter[str]) -> str:
    (text, _), *others = texts.most_common()
    return f"{text}; {len(others)} more reasons" if len(others) > 1 else f"{text}; {others[0][0]}" if others else text


def _signature(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_HERE if is_of_steps(each) else each for each in arguments)
