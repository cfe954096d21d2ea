"""What changed from one step to another of its name: code, arguments, and the steps that it takes results from."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cachingclient.hashing.inputs.differs import likeness
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.keys import Step
from cachingclient.plan.hidden import VALUE, is_same
from cachingclient.plan.ingredients import Places, ingredient_changes, ingredients_differ
from cachingclient.plan.values import change, written
from cachingclient.plan.variants import trace_of
from cachingclient.storage import EntryInfo
from cachingclient.storage.names import is_name

UPSTREAM = b"^".hex()
"""How the encoding of an argument begins that is the result of another step."""
OTHER_NAMES = "arguments of other names"
_NAME = b"=".hex()
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Made:
    """The ingredients of one step: its code and its arguments.

    Attributes
    ----------
    name
        The step's name.
    code
        The digest of its code; empty where it is not known.
    arguments
        The encodings of its arguments, in hexadecimal.
    ingredients
        The named parts of its code with their digests, or their encodings; empty where no note of them is kept.
    bound
        The encodings of arguments inside its code, in hexadecimal.
    shown
        How Python writes arguments that are known by their digests, by these.
    places
        The file and the line of functions among the ingredients.
    files
        What the files among its arguments look like, by path.
    sources
        The source of its functions, by their names, where that is kept.
    """

    name: str
    code: str
    arguments: tuple[str, ...]
    ingredients: Mapping[str, str] = field(default_factory=dict)
    bound: tuple[str, ...] = ()
    shown: Mapping[str, str] = field(default_factory=dict)
    places: Places = field(default_factory=dict)
    files: Mapping[str, Fingerprint] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


def made_of_step(name: str, step: Step, shown: Mapping[str, str] = _NOTHING) -> Made:
    """Return what a step of a plan is made of."""
    code, arguments = step.code, tuple(part.hex() for part in step.parts)
    if code is None:
        return Made(name, "", arguments, shown=shown)
    parts = (*code.functions, *code.values)
    ingredients = {label: digest for part in parts for label, digest in part.ingredients.items()}
    places = {label: place for part in parts for label, place in part.places.items()}
    bound = tuple(part.hex() for part in code.bound)
    files = {seen.url: seen for seen in step.inputs}
    return Made(name, code.digest.hex(), arguments, ingredients, bound, shown, places, files)


def made_of_info(info: EntryInfo, notes: Mapping[str, EntryInfo]) -> Made:
    """Return what the step of an entry was made of, by the notes of its code; what others wrote wrongly is left out."""
    details = info.details
    parts = [notes[digest].details for digest in noted(info) if digest in notes]
    ingredients = {label: told for part in parts for label, told in texts(part.get("ingredients")).items()}
    places = {label: place for part in parts for label, place in places_of(part.get("places")).items()}
    arguments, bound = (_encodings(details.get(name)) for name in ("arguments", "bound"))
    sources = {name: text for part in parts for name, text in texts(part.get("source")).items()}
    shown, code = texts(details.get("shown")), str(details.get("code") or "")
    return Made(info.name, code, arguments, ingredients, bound, shown, places, _files_of(info), sources)


def texts(told: Any) -> dict[str, str]:
    """Return the texts by name that a description has, whoever wrote it.

    Examples
    --------
    >>> texts({"CUT": 30}), texts([1])
    ({'CUT': '30'}, {})
    """
    return {str(name): str(text) for name, text in told.items()} if isinstance(told, Mapping) else {}


def places_of(told: Any) -> dict[str, tuple[str, int, str]]:
    """Return the places by label that a description has, none if somebody wrote them wrongly.

    Examples
    --------
    >>> places_of({"function cut": ["cuts.py", 7, "cut"]}), places_of([1])
    ({'function cut': ('cuts.py', 7, 'cut')}, {})
    """
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        return {str(label): (str(file), int(line), str(name)) for label, (file, line, name) in told.items()}
    return {}


def _encodings(told: Any) -> tuple[str, ...]:
    with contextlib.suppress(TypeError, ValueError):
        encodings = tuple(map(str, told or ()))
        return encodings if all(map(bytes.fromhex, encodings)) else ()
    return ()


def _files_of(info: EntryInfo) -> dict[str, Fingerprint]:
    try:
        return {path: seen for path, seen in trace_of(info).named.items() if seen is not None}
    except ValueError:
        return {}


def noted(info: EntryInfo) -> list[str]:
    """Return the keys of the notes on the code of an entry's step."""
    code = info.details.get("code")
    functions = info.details.get("functions")
    told = map(str, functions if isinstance(functions, list) and functions else [code] if code else [])
    return [key for key in told if is_name(key)]


def code_changes(before: Made, now: Made) -> Iterator[str]:
    """Yield what changed of the code.

    Examples
    --------
    >>> before = Made("cut", "01", (), {"function cuts.cut": "ab", "package numpy 2.3": "cd"})
    >>> list(code_changes(before, Made("cut", "02", (), {"function cuts.cut": "ef", "package numpy 2.4": "01"})))
    ['numpy changed from 2.3 to 2.4']
    """
    inside = list(_inside_changes(before, now))
    if before.code == now.code and not inside:
        return
    told = list(ingredient_changes(before.ingredients, now.ingredients, now.places))
    if not before.ingredients or not now.ingredients:
        told = [] if inside else ["its code changed (what that was made of is not kept)"]
    # An argument with code in it is another since that code is, which is told.
    told += [each for each in inside if not told or not each.endswith("is another")]
    yield from told or ["how its functions are joined changed"]


def _inside_changes(before: Made, now: Made) -> Iterator[str]:
    """Yield what changed of the arguments inside the code: they have no order, but for their names."""
    old, new = (Counter(_named(made.bound)) for made in (before, now))
    gone, come = list((old - new).elements()), list((new - old).elements())
    for name in dict.fromkeys(name for name, _ in (*gone, *come)):
        ours, theirs = ([value for label, value in values if label == name] for values in (come, gone))
        if len(ours) == len(theirs) == 1 and is_same(theirs[0], ours[0]):
            continue
        shown = values(theirs[0], ours[0], before, now) if len(ours) == len(theirs) == 1 else ""
        what = name or "an argument inside it"
        yield f"{what} changed: {shown}" if shown else f"{what} is another"


def _named(encodings: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    name = ""
    for encoding in encodings:
        if encoding.startswith(_NAME):
            name = _text(encoding)
        else:
            yield name, encoding
            name = ""


def argument_changes(before: Made, now: Made) -> Iterator[tuple[str, str, str]]:
    """Yield what to call each argument that changed, and its encodings before and now.

    Examples
    --------
    >>> list(argument_changes(Made("fill", "", ("3d62696e73", "6932")), Made("fill", "", ("3d62696e73", "6919"))))
    [('bins', '6932', '6919')]
    """
    name, number = "", 0
    for old, new in zip(before.arguments, now.arguments, strict=False):
        if old.startswith(_NAME) or new.startswith(_NAME):
            if old != new:
                yield OTHER_NAMES, "", ""
                return
            name = _text(new)
            continue
        number += 1
        if old != new and not is_same(old, new):
            yield name or f"argument {number}", old, new
        name = ""


def count_change(before: Made, now: Made) -> str:
    """Say how a step is given other numbers of arguments than it was; their names stand among their encodings.

    Examples
    --------
    >>> one, two = Made("fill", "", ("6932",)), Made("fill", "", ("6932", "3d62696e73", "6932"))
    >>> count_change(one, two), count_change(two, one)
    ('it takes 2 arguments, and took 1', 'it takes 1 argument, and took 2')
    >>> count_change(one, Made("fill", "", ("3d62696e73", "6932")))
    'it takes arguments of other names'
    """
    took, takes = (sum(not each.startswith(_NAME) for each in made.arguments) for made in (before, now))
    if took == takes:
        return f"it takes {OTHER_NAMES}"
    return f"it takes {takes} argument{'' if takes == 1 else 's'}, and took {took}"


def _text(name: str) -> str:
    return bytes.fromhex(name)[1:].decode("utf-8", "replace")


def values(old: str, new: str, before: Made | None = None, now: Made | None = None) -> str:
    """Return the values behind two encodings, if both are small; else an empty text.

    Parameters
    ----------
    old, new
        The encodings.
    before, now
        The steps that they are arguments of, which may know values by their digests.

    Examples
    --------
    >>> values("6932", "6919")
    '50 -> 25'
    """
    texts = [
        written_argument(each, made.shown if made is not None else {}) for each, made in ((old, before), (new, now))
    ]
    shown = change(texts[0], texts[1]) if texts[0] and texts[1] else ""
    files = [_file(text, made) for text, made in zip(texts, (before, now), strict=True)]
    alike = likeness(files[0], files[1]) if files[0] is not None and files[1] is not None else ""
    return f"{shown} ({alike})" if shown and alike else shown


def _file(text: str, made: Made | None) -> Fingerprint | None:
    """Return what the file looks like that a text among the arguments names."""
    name = text.strip("'\"")
    return next((seen for path, seen in made.files.items() if name and path.endswith(name)), None) if made else None


def written_argument(encoded: str, shown: Mapping[str, str]) -> str:
    """Return the value of an encoding as Python writes it; empty if only its digest is there."""
    if encoded.startswith(VALUE):
        return str(shown.get(encoded.removeprefix(VALUE), ""))
    return written(encoded)


def arguments_in_words(info: EntryInfo) -> str:
    """Return the arguments of an entry's step as a call has them, with dots for what is known by its digest alone.

    Examples
    --------
    >>> details = {"arguments": ["5e70", "3d62696e73", "6932"]}
    >>> arguments_in_words(EntryInfo("0f" * 16, "result", "fill", "numpy", "ab" * 16, 8, 0.0, 1.5, details))
    '..., bins=50'
    """
    made, told, name = made_of_info(info, {}), [], ""
    for each in made.arguments:
        if each.startswith(_NAME):
            name = f"{_text(each)}="
            continue
        told.append(f"{name}{written_argument(each, made.shown) or '...'}")
        name = ""
    return ", ".join(told)


def code_distance(before: Made, now: Made) -> int:
    """Return how many ingredients the code of two steps does not share."""
    if before.code == now.code:
        return 0
    labels = before.ingredients.keys() | now.ingredients.keys()
    return 1 + sum(ingredients_differ(before.ingredients.get(label), now.ingredients.get(label)) for label in labels)
