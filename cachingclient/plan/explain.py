"""Why a step was not found: its ingredients today, against those of the nearest step that is kept.

The ingredients of each function are kept once, as an entry of their own, when a step with it first runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cachingclient.hashing.identity import Identity
from cachingclient.hashing.keys import Code
from cachingclient.plan.changes import (
    OTHER_NAMES,
    UPSTREAM,
    Made,
    argument_changes,
    code_changes,
    count_change,
    places_of,
    texts,
    values,
)
from cachingclient.plan.hidden import VALUE, ingredients_for_description
from cachingclient.plan.ingredients import (
    OF_A_SET,
    differ_in_order,
    ingredient_changes,
    ingredients_differ,
    split_label,
)
from cachingclient.plan.kept import Kept
from cachingclient.plan.source import changed_lines, sources_of
from cachingclient.plan.steps import CODE
from cachingclient.storage import Entry, EntryInfo, Store, encode
from cachingclient.units import plain

_CODE_LABELS = ("function", "class", "module")
_VALUES = ("variable", "attribute", "default")


def explain_entry(info: EntryInfo, store: Store) -> str:
    """Say how the step of an entry differs from the nearest other one of its name that is kept.

    Parameters
    ----------
    info
        The entry.
    store
        Where to look.
    """
    kept = Kept(store, (info.key, *info.keys))
    now = kept.made_of(info)
    told = plain(_why(kept, now))
    if told.startswith(("no other", "nothing")):
        return told
    before = kept.nearest(now, kept.deep_distance)
    lines = changed_lines(before.sources, now.sources) if before is not None else ()
    return "\n".join([f"missed because {told}", *(f"    {plain(line)}" for line in lines)])


def _why(kept: Kept, now: Made, before: Made | None = None) -> str:
    """Return what changed in a kept step since another of its name, at the root of it."""
    before = before or kept.nearest(now, kept.deep_distance)
    if before is None:
        return f"no other result of a step named {now.name} is kept"
    told = list(code_changes(before, now))
    if len(before.arguments) != len(now.arguments):
        told.append(count_change(before, now))
        return "; ".join(told)
    for name, old, new in argument_changes(before, now):
        both = old.startswith(UPSTREAM) and new.startswith(UPSTREAM)
        told.append(_upstream(kept, name, old, new) if both else argument_change(kept, before, now, name, old, new))
    return "; ".join(told) or "nothing that is known of it changed"


def _upstream(kept: Kept, argument: str, old: str, new: str) -> str:
    now, before = kept.behind(new), kept.behind(old)
    if now is None:
        return f"{argument} comes from a step that changed"
    same_place = before if before is not None and before.name == now.name else None
    return f"{argument} comes from {now.name}, which runs again: {_why(kept, now, same_place)}"


def argument_change(
    kept: Kept,
    before: Made,
    now: Made,
    name: str,
    old: str,
    new: str,
    values_with_code: Mapping[str, Identity] = {},
) -> str:
    """Return what changed of an argument: its value if it is small, else its attributes and the code in it.

    Parameters
    ----------
    kept
        Has the notes of values with code of the user's in them.
    before, now
        The steps.
    name, old, new
        What to call the argument, and its encodings.
    values_with_code
        The identities of such values of a plan, by their digests.
    """
    if name == OTHER_NAMES:
        return f"it takes {name}"
    if shown := values(old, new, before, now):
        return f"{name} changed: {shown}"
    if old.startswith(VALUE) and new.startswith(VALUE):
        one, other = (digest.removeprefix(VALUE) for digest in (old, new))
        notes = kept.notes([one, other])
        theirs = texts(notes[one].details.get("ingredients")) if one in notes else {}
        identity = values_with_code.get(other)
        ours = texts(notes[other].details.get("ingredients")) if other in notes else {}
        places = places_of(notes[other].details.get("places")) if other in notes else {}
        ours, places = (identity.ingredients, identity.places) if identity is not None else (ours, places)
        if theirs and ours and (told := list(ingredient_changes(theirs, ours, places))):
            return f"{name} changed: {'; '.join(told)}"
    return f"{name} is another"


def notes_for(functions: Iterable[Identity], *, private: bool, source: bool = False) -> Iterator[Entry]:
    """Yield an entry for each function, and each value with code: its ingredients, filed under its digest.

    Examples
    --------
    >>> [entry.kind for entry in notes_for([Identity("0f" * 16, {})], private=True)]
    ['code']
    """
    for function in functions:
        name = next(iter(function.ingredients), "function").partition(" ")[2]
        details: dict[str, Any] = {"ingredients": ingredients_for_description(function.ingredients, private=private)}
        if private and function.places:
            details["places"] = function.places
        if private and source and (sources := sources_of(function)):
            details["source"] = sources
        yield Entry((function.digest,), CODE, name, 0.0, details, encode(None))


def describe_difference(here: Code | str, clients: bytes, store: Store, function: Any) -> str:
    """Say how the code on a worker differs from the client's.

    Parameters
    ----------
    here
        The code as it stands on the worker, or why it has no identity there.
    clients
        The digest of the client's.
    store
        Where the client kept its ingredients.
    function
        The function that was to be run.
    """
    where = f"{getattr(function, '__module__', None)}.{getattr(function, '__qualname__', type(function).__name__)}"
    if isinstance(here, str):
        return f"the code of {where} has no identity on this worker: {here}"
    ours = {label: digest for found in here.functions for label, digest in found.ingredients.items()}
    note = store.find([clients.hex()]).get(clients.hex())
    theirs = texts(note.details.get("ingredients")) if note is not None else {}
    different = sorted(
        label
        for label in ours.keys() | theirs.keys()
        if theirs and ingredients_differ(ours.get(label), theirs.get(label))
    )
    turned = [label for label in different if differ_in_order(ours.get(label), theirs.get(label))]
    if turned and all(split_label(label).kind in _CODE_LABELS or label in turned for label in different):
        return (
            f"on the worker, {_held(turned)} differs in its order alone from what it is in the client, {OF_A_SET}; "
            f"restart the workers if it was edited since they started"
        )
    values_alone = [label for label in different if split_label(label).kind in _VALUES]
    # What a cached property gave stands here in the place of its code, which the client alone has.
    values_alone = [label for label in values_alone if label in ours] or values_alone
    stand_here = [label for label in different if label in ours]
    if values_alone and all(split_label(label).kind in (*_VALUES, *_CODE_LABELS) for label in stand_here):
        return (
            f"on the worker, {_held(values_alone)} is not as it is in the client: an earlier step may have filled or "
            f"changed it, and the result could depend on that; use functools.cache for what is remembered, or restart "
            f"the workers if it was edited since they started"
        )
    named = different or sorted(label for label in ours if label.partition(" ")[0] in _CODE_LABELS)
    return (
        f"on the worker, the code of {where} is not the client's; restart the workers if it was edited or "
        f"upgraded since they started: {', '.join(named[:5])}"
    )


def _held(labels: Iterable[str]) -> str:
    """Return what to call the first few of some variables."""
    parts = map(split_label, list(labels)[:5])
    return ", ".join(f"{name} of {owner}" if owner else name for _, owner, name in parts)
