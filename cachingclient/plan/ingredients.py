"""What changed among the named parts of code: bodies, defaults, variables, attributes, libraries."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cachingclient.hashing.digest import digest
from cachingclient.hashing.without_order import split
from cachingclient.plan.hidden import HIDDEN, SECRET
from cachingclient.plan.values import change, written

Places = Mapping[str, tuple[str, int, str]]
"""The file, the line and the name of the code of functions, by their labels."""
OF_A_SET = "as does in each process what is made of a set, unless by sorted(...)"
"""How the order of a variable may have changed though nobody edited it."""
_MOST_TOLD = 6
"""Of more changes than these the others are counted."""


class Label(NamedTuple):
    """An ingredient's label, taken apart.

    Attributes
    ----------
    kind
        ``"body"``, ``"default"``, ``"variable"``, ``"attribute"``, ``"setting"``, ``"settings"``, ``"package"``,
        ``"function"``, ``"class"`` or ``"module"``.
    owner
        The function that it belongs to; of a package its name; else empty.
    name
        Its name; of a package its version.
    """

    kind: str
    owner: str
    name: str


def split_label(label: str) -> Label:
    """Take a label apart.

    Examples
    --------
    >>> split_label("variable cuts.passes:CUT")
    Label(kind='variable', owner='cuts.passes', name='CUT')
    >>> split_label("package numpy 2.4.6")
    Label(kind='package', owner='numpy', name='2.4.6')
    """
    kind, _, rest = label.partition(" ")
    if kind == "package":
        owner, _, name = rest.partition(" ")
    else:
        owner, _, name = rest.rpartition(":")
    return Label(kind, owner, name)


def ingredient_changes(before: Mapping[str, str], now: Mapping[str, str], places: Places) -> Iterator[str]:
    """Yield what changed of some code, what is certain alone if there is any.

    The digest of a function has those of all that it refers to in it, and an order of theirs. So a body, a default, a
    small value or a version that changed is told; a value that is known by its digest only if none of these did; and a
    function or a class as a whole only if none of all these did.

    Examples
    --------
    >>> before = {"function cuts.cut": "ab", "body cuts.cut": "cd", "variable cuts.cut:PT": "=691e"}
    >>> now = {"function cuts.cut": "ef", "body cuts.cut": "cd", "variable cuts.cut:PT": "=6923"}
    >>> list(ingredient_changes(before, now, {"function cuts.cut": ("/home/ada/cuts.py", 7, "cut")}))
    ['PT in cuts.py changed: 30 -> 35']
    """
    for told in (_certain, _by_digest, _as_a_whole):
        found = list(dict.fromkeys(told(before, now, places)))
        if found:
            yield from found[:_MOST_TOLD]
            if len(found) > _MOST_TOLD:
                yield f"and {len(found) - _MOST_TOLD} more"
            return


def _certain(before: Mapping[str, str], now: Mapping[str, str], places: Places) -> Iterator[str]:
    renamed = dict(_renamed(before, now))
    for old, new in renamed.items():
        yield f"{_what(old, places)} is now called {_called(new)}"
    has_bodies = any(label.startswith("body ") for label in before)
    for label, value in now.items():
        kind, _, name = split_label(label)
        earlier = before.get(label)
        if kind == "package" or label in renamed.values():
            continue
        if earlier is None:
            if kind not in ("body", "default") and has_bodies and not _is_of_new(label, before, now):
                yield f"{_what(label, places)} is new to it"
        elif ingredients_differ(earlier, value):
            where, shown = place(f"function {name}", places), _shown(earlier, value)
            if kind == "body":
                yield f"{_what(label, places)} changed{f' ({where})' if where else ''}"
            elif differ_in_order(earlier, value):
                yield f"{_what(label, places)} changed in its order alone, {OF_A_SET}{f': {shown}' if shown else ''}"
            elif shown:
                yield f"{_what(label, places)} changed: {shown}{_as_one(label, places)}"
    yield from _package_changes(before, now)
    for label in before.keys() - now.keys() - renamed.keys():
        if split_label(label).kind not in ("package", "body", "default") and not _is_of_new(label, now, before):
            yield f"it no longer uses {_what(label, places)}"


def _by_digest(before: Mapping[str, str], now: Mapping[str, str], places: Places) -> Iterator[str]:
    for label, value in now.items():
        of_values = split_label(label).kind in ("variable", "attribute", "setting", "settings", "default")
        if of_values and label in before and ingredients_differ(before[label], value):
            yield f"{_what(label, places)} changed{_as_one(label, places)}"


def _as_a_whole(before: Mapping[str, str], now: Mapping[str, str], places: Places) -> Iterator[str]:
    for label, value in now.items():
        kind, _, name = split_label(label)
        if kind in ("function", "class", "module") and label in before and ingredients_differ(before[label], value):
            has_body = f"body {name}" in now and f"body {name}" in before
            yield f"{'what ' if has_body else ''}{_what(label, places)} {'refers to ' if has_body else ''}changed"


def _package_changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    old, new = (
        {split_label(label).owner: split_label(label).name for label in labels if label.startswith("package ")}
        for labels in (before, now)
    )
    for name, version in new.items():
        if name not in old:
            yield f"it now uses {name} {version}"
        elif old[name] != version:
            yield f"{name} changed from {old[name]} to {version}"
    yield from (f"it no longer uses {name}" for name in old if name not in new)


def _renamed(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the labels of functions and variables that have another name now, and that name's."""
    for kind, of_value in (("function ", "body "), ("variable ", "variable ")):
        gone = [label for label in before if label.startswith(kind) and label not in now]
        come = [label for label in now if label.startswith(kind) and label not in before]
        for old in gone:
            same = [
                new
                for new in come
                if before.get(old.replace(kind, of_value, 1)) == now.get(new.replace(kind, of_value, 1))
                and (kind == "function " or split_label(old).owner == split_label(new).owner)
                and before.get(old.replace(kind, of_value, 1)) is not None
            ]
            if len(same) == 1:
                yield old, same[0]


def _is_of_new(label: str, before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether a part belongs to a function that is itself new, which is told."""
    kind, owner, _ = split_label(label)
    whole = f"function {owner}"
    return kind == "variable" and bool(owner) and whole in now and whole not in before


def _what(label: str, places: Places) -> str:
    """Return what to call an ingredient."""
    kind, owner, name = split_label(label)
    name, owner = name.removeprefix("__main__."), owner.removeprefix("__main__.")
    if kind == "variable" and owner:
        file = _file(places.get(f"function {split_label(label).owner}", ("", 0, ""))[0])
        return f"{name} in {file}" if file else f"the variable {name} that {owner} reads"
    if kind == "default":
        return f"the default of {name} in {owner}"
    words = {
        "body": "the body of {}",
        "attribute": "the attribute {}",
        "class": "class {}",
        "setting": "the setting {}",
        "settings": "what {} sets when it is imported",
    }
    return (words | {"variable": "the variable {}", "module": "module {}"}).get(kind, "{}").format(name)


def _as_one(label: str, places: Places) -> str:
    """Return where a container is first used as a whole, and what would have a part of it count alone."""
    file, line, name = places.get(label, ("", 0, ""))
    if label.startswith("function ") or not file:
        return ""
    where = f"{_file(file)}:{line}" if _file(file) else name
    keys = "constant keys or events.metadata['dataset']" if label.startswith("attribute ") else "constant keys"
    return f" (all of it counts: {where} takes it as a whole or by a key that can't be known, not by {keys})"


def _called(label: str) -> str:
    kind, _, name = split_label(label)
    return name.rpartition(".")[2] if kind == "function" else name


def _shown(old: str, new: str) -> str:
    """Return the values behind two ingredients, if both are small."""
    one, other = map(_text, (old, new))
    return change(one, other) if one and other else ""


def _text(ingredient: str) -> str:
    return written(ingredient[1:]) if ingredient.startswith("=") else ingredient.partition(" ")[2]


def ingredients_differ(old: str | None, new: str | None) -> bool:
    """Tell whether two ingredients differ: of a value there may be the digest in one and the encoding in the other."""
    secret = f"={SECRET}"
    return secret not in (old, new) and _digest(old) != _digest(new)


def differ_in_order(old: str | None, new: str | None) -> bool:
    """Tell whether two ingredients have the same contents in another order, as what is made of a set has.

    Examples
    --------
    >>> differ_in_order("0f~ab ['a', 'b']", "0a~ab ['b', 'a']"), differ_in_order("0f~ab", "0a~cd")
    (True, False)
    """
    contents = [split((each or "").partition(" ")[0])[1] for each in (old, new)]
    return ingredients_differ(old, new) and bool(contents[0]) and contents[0] == contents[1]


def _digest(ingredient: str | None) -> str | None:
    if ingredient is None or not ingredient.startswith("="):
        return ingredient and split(ingredient.partition(" ")[0])[0]
    encoding = bytes.fromhex(ingredient[1:])
    return (encoding[1:] if encoding[:1] == HIDDEN else digest(encoding)).hex()


def place(label: str, places: Places) -> str:
    """Return where a function stands, such as ``cuts.py:12``; empty if nobody knows.

    Examples
    --------
    >>> place("function cuts.cut", {"function cuts.cut": ("/home/ada/cuts.py", 7, "cut")})
    'cuts.py:7'
    """
    file, line, name = places.get(label, ("", 0, ""))
    own = "" if re.split("[ .]", label)[-1] == name else f"{name} at "  # a wrapper has the name of what it wraps
    return f"{own}{_file(file)}:{line}" if _file(file) else ""


def _file(path: str) -> str:
    """Return the name of a source file; none of a notebook's cell or of what was made at run time."""
    return "" if path.startswith("<") or "ipykernel" in path else os.path.basename(path)
