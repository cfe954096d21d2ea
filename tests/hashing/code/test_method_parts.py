"""Of a container that methods take constant parts of, these count alone; where that can't be said, all of it."""

from __future__ import annotations

from collections import UserDict, defaultdict
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from cachingclient.hashing.code.bound_methods import what_it_reads
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify


class Configured:
    """An object with a configuration, which its methods use in all ways."""

    shared: ClassVar[dict[str, Any]] = {"bins": 25, "other": 1}

    def __init__(self) -> None:
        self.config: Any = {"global": {"bins": 25, "title": "pt"}, "samples": ["ttbar"], "other": {"lumi": 41.5}}
        self.settings = SimpleNamespace(cut=30, label="pt", config=self.config)
        self.name = "other"

    @property
    def own(self) -> Any:
        return self.config

    def bins(self) -> Any:
        return self.config["global"]["bins"]

    def other(self) -> Any:
        return self.config["other"]["lumi"]

    def fills(self) -> None:
        self.config["other"] = {}


PARTS: dict[str, Callable[..., Any]] = {
    "a subscript": lambda self: self.config["global"]["bins"],
    "get": lambda self: self.config.get("global", 0)["bins"],
    "in a comprehension": lambda self: [self.config["global"]["bins"] + n for n in range(3)],
    "in a function inside": lambda self: (lambda: self.config["global"]["bins"])(),
    "by another method": lambda self: self.bins() + self.config["samples"][0],
    "of a plain object": lambda self: self.settings.config["global"]["bins"] + self.settings.cut,
    "what is not there": lambda self: self.config.get("era", 0) or self.config["global"]["bins"],
}
WHOLE: dict[str, Callable[..., Any]] = {
    "a computed key": lambda self: self.config[self.name],
    "given a name": lambda self: (config := self.config)["global"] and config,
    "returned": lambda self: self.config,
    "passed on": lambda self: dict.get(self.config, "global"),
    "unpacked": lambda self: dict(**self.config),
    "gone through": lambda self: [key + "!" for key in self.config],
    "its length": lambda self: len(self.config),
    "asked for": lambda self: "other" in self.config,
    "all values": lambda self: self.config.values(),
    "a default set": lambda self: self.config.setdefault("global", {})["bins"],
    "written by another method": lambda self: self.fills() or self.config["global"]["bins"],
    "read by another method": lambda self: self.other() + self.config["global"]["bins"],
    "by a property": lambda self: self.own["global"]["bins"],
    "one of two": lambda self: [self.config if self.name else {}][0]["global"],
    "by its variables": lambda self: locals()["self"].config["other"] or self.config["global"],
    "in a text for a library": lambda self: self.table.query("@self.config[0]") or self.config["global"],
    "by a bound method": lambda self: self.bins.__self__.config["other"] or self.config["global"],
    "another part of it": lambda self: (self.config["global"]["bins"], self.config["other"]["lumi"]),
    "of a plain object, passed on": lambda self: repr(self.settings) or self.config["global"],
}


def digest(instance: object, method: Callable[..., Any]) -> str:
    """Return the identity of what a method reads."""
    return identify(what_it_reads(instance, method)).digest


@pytest.mark.parametrize("how", PARTS)
def test_of_a_container_the_parts_count_that_are_taken(how: str) -> None:
    """Another part of it may change; that which is taken may not."""
    instance, method = Configured(), PARTS[how]
    before = digest(instance, method)
    instance.config["other"]["lumi"] = 59.7
    instance.config["more"] = instance.settings.label = "more"
    assert digest(instance, method) == before
    instance.config["global"]["bins"] = 50
    assert digest(instance, method) != before


@pytest.mark.parametrize("how", WHOLE)
def test_of_a_container_all_counts_where_the_parts_are_not_known(how: str) -> None:
    """A container that is used otherwise anywhere in the methods that a method calls."""
    instance, method = Configured(), WHOLE[how]
    before = digest(instance, method)
    instance.config["other"]["lumi"] = 59.7
    assert digest(instance, method) != before


class Own(dict[str, Any]):
    """A dict that computes what is not in it."""

    def __missing__(self, key: str) -> Any:
        return self["other"]


@pytest.mark.parametrize("kind", [Own, UserDict, lambda given: defaultdict(dict, given), MappingProxyType])
def test_of_containers_that_do_more_all_counts(kind: Callable[..., Any]) -> None:
    """A subscript of theirs may run code, change them, or stand for another's."""
    instance, method = Configured(), PARTS["a subscript"]
    instance.config = kind(instance.config)
    try:
        before: Any = digest(instance, method)
    except Unidentifiable:
        return
    instance.config["other"]["lumi"] = 59.7
    assert digest(instance, method) != before


def test_what_comes_and_goes_in_a_container_counts() -> None:
    """A key that was not there, one that is None now, an attribute instead of its class's."""
    instance, method = Configured(), lambda self: (self.config.get("era"), self.shared["bins"])
    told = [digest(instance, method)]
    instance.config["era"] = None
    told.append(digest(instance, method))
    instance.config["era"] = 2017
    told.append(digest(instance, method))
    instance.shared = {"bins": 30, "other": 1}  # type: ignore[misc]
    told.append(digest(instance, method))
    assert len(set(told)) == 4
    instance.shared["other"] = 2
    assert digest(instance, method) == told[-1]
