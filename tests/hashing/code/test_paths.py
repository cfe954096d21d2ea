"""Of a container only the parts count that code takes by constant subscripts; where that can't be said, all of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cachingclient.hashing.identify import identify

CONFIG = {"global": {"BINS": 25, "TITLE": "pt"}, "samples": ["ttbar", "wjets"], "unused": {"lumi": 41.5}, 3: "three"}
SETTINGS = """
from dataclasses import dataclass, field
from types import SimpleNamespace

@dataclass
class Settings:
    cut: float = 30.0
    bins: dict = field(default_factory=lambda: {"low": 0, "high": 200})
    label: str = "pt"

class Computed:
    def __init__(self):
        self.cut = 30.0
        self.label = "pt"
    @property
    def half(self):
        return self.cut / 2
    def __getattr__(self, name):
        return self.label

settings, plain, computed = Settings(), SimpleNamespace(cut=30.0, label="pt"), Computed()
"""
UNUSED = "CONFIG['unused']['lumi'] = 59.7"
ONE_PART: dict[str, tuple[str, str]] = {
    "a subscript": ("CONFIG['global']['BINS']", "CONFIG['global']['BINS'] = 50"),
    "a branch": ("CONFIG['global']", "CONFIG['global']['TITLE'] = 'mass'"),
    "of a list": ("CONFIG['samples'][0]", "CONFIG['samples'][0] = 'zjets'"),
    "from the end": ("CONFIG['samples'][-1]", "CONFIG['samples'].append('zjets')"),
    "a number": ("CONFIG[3]", "CONFIG[3] = 'four'"),
    "get": ("CONFIG.get('global')", "CONFIG['global']['BINS'] = 50"),
    "get with another value": ("CONFIG.get('era', 2018)", "CONFIG['era'] = 2017"),
    "what is not there": ("'x' if x else CONFIG['era']", "CONFIG['era'] = 2017"),
    "beyond the end": ("CONFIG['samples'][2]", "CONFIG['samples'].append('zjets')"),
    "in a comprehension": ("[CONFIG['global']['BINS'] for _ in range(x)]", "CONFIG['global']['BINS'] = 50"),
    "in a function inside": ("(lambda: CONFIG['global']['BINS'])()", "CONFIG['global']['BINS'] = 50"),
    "a method of a part": ("CONFIG['global'].items()", "CONFIG['global']['TITLE'] = 'mass'"),
    "a part twice": ("CONFIG['global']['BINS'] + CONFIG[3]", "CONFIG[3] = 'four'"),
}
ALL = {
    "passed on": "len(CONFIG)",
    "passed on with a text": "dict.get(CONFIG, 'global')",
    "gone through": "[key for key in CONFIG]",
    "a computed key": "CONFIG[x]",
    "a key that is chosen": "CONFIG['global' if x else 'samples']",
    "one of two": "[CONFIG if x else {}][0]['global']",
    "asked for": "'global' in CONFIG",
    "compared": "CONFIG == x",
    "all of it": "CONFIG['global'] if x else CONFIG",
    "all values": "CONFIG.values()",
    "get of a computed key": "CONFIG.get(x)",
    "get with a computed value": "CONFIG.get('era', CONFIG)",
    "given a name": "(config := CONFIG)['global']",
    "written to": "CONFIG.setdefault('global', {})['BINS']",
    "by its variables": "locals() and CONFIG['global']",
    "in a text for a library": "x.query('@CONFIG[0]') or CONFIG['global']",
}


def digests(source: str, *edits: str, setup: str = "") -> list[str]:
    """The identity of a function of one expression, before and after each edit of the variables that it reads."""
    found = []
    for closed in (False, True):
        names: dict[str, Any] = {"__name__": "__main__", "CONFIG": copy.deepcopy(CONFIG)}
        exec(setup, names)
        if closed:
            given = ", ".join(
                name for name in names if (not name.startswith("__") and name[0].islower()) or name == "CONFIG"
            )
            exec(f"def make({given}):\n    def f(x):\n        return {source}\n    return f\nf = make({given})", names)
        else:
            exec(f"def f(x):\n    return {source}", names)
        own = [identify(names["f"]).digest]
        for edit in edits:
            exec(edit, names)
            own.append(identify(names["f"]).digest)
        found.append(own)
    assert [own[0] == each for own in found for each in own] == 2 * [found[0][0] == each for each in found[0]]
    return found[0]


@pytest.mark.parametrize("how", ONE_PART)
def test_a_part_counts_alone(how: str) -> None:
    """What code does not take may change; what it takes may not. That holds for globals and for closures."""
    source, edit = ONE_PART[how]
    before, other, now = digests(source, UNUSED, edit)
    assert before == other
    assert now != before


@pytest.mark.parametrize("how", ALL)
def test_all_counts_where_the_part_is_not_known(how: str) -> None:
    """A container that is passed on, gone through, or asked for by a computed key."""
    before, other = digests(ALL[how], UNUSED)
    assert before != other


def test_writing_to_a_container_makes_all_of_it_count() -> None:
    """A statement that changes an item looks at the container first."""
    names: dict[str, Any] = {"__name__": "__main__", "CONFIG": copy.deepcopy(CONFIG)}
    for statement in ("CONFIG['era'] = x", "CONFIG['three'] += 1", "del CONFIG['global']", "c = CONFIG; c['global']"):
        exec(f"def f(x):\n    {statement}\n    return CONFIG['global']", names)
        before = identify(names["f"]).digest
        names["CONFIG"]["unused"]["lumi"] += 1
        assert identify(names["f"]).digest != before


@pytest.mark.parametrize(
    ("source", "edit", "counts"),
    [
        ("settings.cut", "settings.label = 'mass'", False),
        ("settings.cut", "settings.cut = 35.0", True),
        ("settings.bins['high']", "settings.bins['low'] = 10", False),
        ("settings.bins['high']", "settings.bins['high'] = 300", True),
        ("settings.bins.copy()", "settings.bins['low'] = 10", True),
        ("plain.cut", "plain.label = 'mass'", False),
        ("plain.cut", "plain.cut = 35.0", True),
        ("computed.cut", "computed.label = 'mass'", False),
        ("computed.half", "computed.cut = 35.0", True),
        ("computed.missing", "computed.label = 'mass'", True),
        ("repr(settings)", "settings.label = 'mass'", True),
        ("settings.cut", "Settings.cut = property(lambda self: self.label); settings.label = 'mass'", True),
    ],
)
def test_attributes_of_plain_objects(source: str, edit: str, counts: bool) -> None:
    """What stands in an object's own dictionary counts alone; what its class makes of it does not."""
    before, now = digests(source, edit, setup=SETTINGS)
    assert (now != before) is counts


def test_kinds_of_containers_that_do_more_are_taken_whole() -> None:
    """A subscript of theirs may run code, or change them."""
    setup = """
from collections import defaultdict, UserDict
class Own(dict):
    def __missing__(self, key):
        return self["unused"]
class Key(str):
    def __eq__(self, other):
        return True
    def __hash__(self):
        return hash("global")
counts, wrapped, own = defaultdict(int, unused=1), UserDict(unused=1), Own(unused=1)
keyed = {Key("unused"): [1]}
"""
    for name in ("counts", "wrapped", "own"):
        before, now = digests(f"{name}['global']", f"{name}['unused'] = 2", setup=setup)
        assert before != now
    before, now = digests("keyed['global']", "keyed[Key('unused')].append(2)", setup=setup)
    assert before != now


def test_a_part_without_identity_is_named() -> None:
    """Another part may have none: only what is used matters."""
    names: dict[str, Any] = {"__name__": "__main__", "CONFIG": {"log": (line for line in ()), "cut": 30}}
    exec("def f():\n    return CONFIG['cut']\ndef g():\n    return CONFIG['log']", names)
    assert identify(names["f"]).digest
    with pytest.raises(Exception, match=r"reads as \"CONFIG\['log'\]\""):
        identify(names["g"])
    assert any(label.endswith("CONFIG['cut']") for label in identify(names["f"]).ingredients)
