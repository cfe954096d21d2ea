"""Why a step was not found: what it is made of today, against the nearest that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cachingclient.hashing.identities import Step
from cachingclient.storage import EntryInfo, Store

_UPSTREAM = b"^".hex()
_KINDS = {"function": "the body of {}", "class": "class {}", "variable": "the variable {}", "setting": "the setting {}"}


@dataclass(frozen=True, slots=True)
class Made:
    """What one step is made of.

    Attributes
    ----------
    name
        The step's name.
    code
        The digest of its code; empty where it is not known.
    arguments
        The encodings of its arguments, in hexadecimal.
    ingredients
        The named parts of its code with their digests; empty where no note of them is kept.
    """

    name: str
    code: str
    arguments: tuple[str, ...]
    ingredients: Mapping[str, str] = field(default_factory=dict)


def made_of_step(name: str, step: Step) -> Made:
    """Return what a step of a plan is made of."""
    functions = step.code.functions if step.code is not None else ()
    ingredients = {label: digest for function in functions for label, digest in function.ingredients.items()}
    code = step.code.digest.hex() if step.code is not None else ""
    return Made(name, code, tuple(part.hex() for part in step.parts), ingredients)


def made_of_entry(info: EntryInfo, store: Store) -> Made:
    """Return what the step of an entry was made of."""
    code = str(info.details.get("code") or "")
    note = store.find([code]).get(code) if code else None
    ingredients = note.details.get("ingredients", {}) if note is not None else {}
    return Made(info.name, code, tuple(info.details.get("arguments", ())), ingredients)


def explain(made: Made, key: str | None, store: Store) -> str:
    """Say why nothing was kept for a step, by the nearest result that is kept of a step of its name.

    Parameters
    ----------
    made
        What the step is made of.
    key
        Its own key, which is no other result.
    store
        Where to look: all of it is gone through.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> explain(Made("select", "", ()), None, open_store("memory://explain"))
    'no other result of a step named select is kept'
    """
    others = [
        info for info in store.scan() if info.kind == "result" and info.name == made.name and key not in info.keys
    ]
    if not others:
        return f"no other result of a step named {made.name} is kept"
    nearest = max(others, key=lambda info: (_likeness(made, info), info.created))
    told = list(differences(made_of_entry(nearest, store), made))
    return f"missed because {'; '.join(told)}" if told else f"it is made of the same as {nearest.key}"


def differences(before: Made, now: Made) -> Iterator[str]:
    """Yield what changed from one step to another of its name.

    Examples
    --------
    >>> before = Made("cut", "01", (), {"function cuts.cut": "ab", "package numpy 2.3": "cd"})
    >>> list(differences(before, Made("cut", "02", (), {"function cuts.cut": "ef", "package numpy 2.4": "01"})))
    ['the body of cuts.cut changed', 'numpy changed from 2.3 to 2.4']
    """
    if before.code != now.code:
        if not before.ingredients or not now.ingredients:
            yield "its code changed (what that was made of is not kept)"
        else:
            yield from _changes(before.ingredients, now.ingredients)
    if len(before.arguments) != len(now.arguments):
        yield f"it takes {len(now.arguments)} arguments, and took {len(before.arguments)}"
        return
    for number, (old, new) in enumerate(zip(before.arguments, now.arguments, strict=True), 1):
        if old != new:
            both = old.startswith(_UPSTREAM) and new.startswith(_UPSTREAM)
            yield f"argument {number} comes from a step that changed" if both else f"argument {number} is another"


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Yield what changed of some code."""
    versions = {name: version for kind, _, rest in map(_split, before) if kind == "package" for name, version in [rest]}
    packages = set()
    for label, digest in now.items():
        kind, what, (name, version) = _split(label)
        if kind == "package":
            packages.add(name)
            if name not in versions:
                yield f"it now uses {name} {version}"
            elif versions[name] != version:
                yield f"{name} changed from {versions[name]} to {version}"
        elif label not in before:
            yield f"{what} is new to it"
        elif before[label] != digest:
            yield f"{what} changed"
    for label in before.keys() - now.keys():
        kind, what, (name, _) = _split(label)
        if kind != "package" or name not in packages:
            yield f"it no longer uses {name if kind == 'package' else what}"


def _split(label: str) -> tuple[str, str, tuple[str, str]]:
    """Return the kind of an ingredient, what to call it, and its name and version if it is a package."""
    kind, _, rest = label.partition(" ")
    name, _, version = rest.partition(" ")
    return kind, _KINDS.get(kind, "{}").format(rest), (name, version)


def _likeness(made: Made, info: EntryInfo) -> tuple[bool, int]:
    """Return how near an entry is: one of the same code before others, and the more of its arguments are the same."""
    arguments = info.details.get("arguments", ())
    return info.details.get("code") == made.code, sum(map(str.__eq__, made.arguments, arguments))
