"""Methods as steps: what they read of their object counts, and nothing else of it."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pytest

from cachingclient import step
from cachingclient.hashing.code.bound_methods import what_it_reads
from cachingclient.hashing.code.reads import reads_of_code
from tests.support.counting import (  # noqa: F401 - fixtures are found by their names
    count_from_zero,
    counter,
    in_plain_python,
)


class Analysis:
    """An object with more attributes than one method reads."""

    threshold = 5

    def __init__(self) -> None:
        self.cut = 30
        self.label = "jets"
        self.opaque = (line for line in "ab")

    @step
    def select(self, pt: Any) -> Any:
        """Read an attribute, a class attribute, a property and another method."""
        counter()
        return pt[self.passes(pt) & (pt > self.threshold) & (pt < self.highest)]

    def passes(self, pt: Any) -> Any:
        """Read one attribute more."""
        return pt > self.cut

    @property
    def highest(self) -> int:
        """Read another."""
        return 10 * self.cut


def test_a_method_depends_on_what_it_reads() -> None:
    """Neither other attributes nor one without identity counts; what is read, directly or not, does."""
    pt = np.arange(100)
    analysis = Analysis()
    first = analysis.select(pt)
    analysis.label = "muons"
    analysis.opaque = (line for line in "c")
    assert analysis.select(pt).tolist() == first.tolist()
    assert Analysis().select(pt).tolist() == first.tolist()
    assert counter.count == 1
    analysis.cut = 40
    assert analysis.select(pt).tolist() == list(range(41, 100))
    analysis.threshold = 50
    assert analysis.select(pt).tolist() == list(range(51, 100))
    assert counter.count == 3


def test_what_other_methods_do_counts() -> None:
    """A method that is called through self counts with its code, from a subclass too."""

    class Tighter(Analysis):
        def passes(self, pt: Any) -> Any:
            return pt > self.cut + 10

    pt = np.arange(100)
    assert Analysis().select(pt)[0] == 31
    assert Tighter().select(pt)[0] == 41
    assert counter.count == 2


def test_a_step_of_a_method_counts_with_its_code() -> None:
    """A step that calls another step of the same object depends on that one's code."""

    def make(factor: int) -> Any:
        class Pair:
            @step
            def inner(self, value: int) -> int:
                return value * factor

            @step
            def outer(self, value: int) -> int:
                return int(self.inner(value)) + 1

        return Pair()

    assert (make(2).outer(1), make(3).outer(1)) == (3, 4)


USES: dict[str, tuple[Callable[..., Any], set[str] | None]] = {
    "attribute": (lambda self: self.cut, {"cut"}),
    "attribute of an attribute": (lambda self: self.cut.real, {"cut"}),
    "nested function": (lambda self: [self.cut + i for i in range(3)], {"cut"}),
    "lambda": (lambda self: (lambda: self.label)(), {"label"}),
    "both": (lambda self, x: self.cut + self.passes(x), {"cut", "passes"}),
    "passed on": (lambda self: repr(self), None),
    "by name": (lambda self: getattr(self, "cut"), None),  # noqa: B009
    "returned": (lambda self: self, None),
    "passed on by a lambda": (lambda self: (lambda: repr(self))(), None),
    "nothing": (lambda: 1, None),
}


@pytest.mark.parametrize("use", USES)
def test_reads_are_found_in_the_code(use: str) -> None:
    """Attributes are found where that is all that is done with self."""
    function, names = USES[use]
    read = reads_of_code(function.__code__)
    assert (None if read is None else set(read)) == names


def writes(self: Any) -> None:
    """Write an attribute."""
    self.cut = 3


def adds(self: Any) -> None:
    """Add to an attribute."""
    self.cut += 3


def rebinds(self: Any) -> Any:
    """Let self be another."""
    self = self.other
    return self.cut


@pytest.mark.parametrize("function", [writes, adds, rebinds])
def test_who_writes_depends_on_all(function: Callable[..., Any]) -> None:
    """Code that writes to its object, or has self stand for another, depends on the whole object."""
    assert reads_of_code(function.__code__) is None


class Base:
    """A class whose method is extended."""

    factor = 2

    def value(self) -> int:
        """Read a class attribute."""
        return self.factor


class Derived(Base):
    """A class that calls its base's method, answers to every name, and caches."""

    def value(self) -> int:
        """Use super(), which reads self without naming it."""
        return super().value() + 1

    @functools.cached_property
    def slow(self) -> int:
        """Read an attribute when first asked."""
        return self.factor * 10

    def uses_slow(self) -> int:
        """Read the cached property."""
        return self.slow

    def uses_class(self) -> Any:
        """Read what every object has."""
        return self.__class__

    def uses_missing(self) -> Any:
        """Read what is not there."""
        return self.missing  # type: ignore[attr-defined]


class Answering(Base):
    """A class that answers to every name."""

    def __getattr__(self, name: str) -> str:
        return name

    def uses_missing(self) -> Any:
        """Read what is not there."""
        return self.missing


class Slotted:
    """A class with slots."""

    __slots__ = ("cut", "other")

    def uses(self) -> Any:
        """Read a slot."""
        return self.cut


def test_reads_are_resolved_as_the_interpreter_does() -> None:
    """Class attributes, cached properties, slots and missing names are found; where that fails all of it counts."""
    derived, answering, slotted = Derived(), Answering(), Slotted()
    slotted.cut = 3
    assert what_it_reads(derived, Base.value) == (("factor", 2),)
    assert what_it_reads(derived, Derived.value) is derived
    assert dict(what_it_reads(derived, Derived.uses_slow))["factor"] == 2  # type: ignore[call-overload]
    assert derived.slow == 20
    assert what_it_reads(derived, Derived.uses_slow) == (("slow", 20),)
    assert what_it_reads(derived, Derived.uses_class) is derived
    assert what_it_reads(derived, Derived.uses_missing) == (("missing (not there)", None),)
    assert what_it_reads(answering, Answering.uses_missing) is answering
    assert what_it_reads(slotted, Slotted.uses) == (("cut", 3),)


def test_bound_steps_travel() -> None:
    """A bound step is pickled with its object and gives the same."""
    by_value = cloudpickle.loads(cloudpickle.dumps(Analysis.__new__(Analysis)))
    by_value.cut = 30
    bound = pickle.loads(cloudpickle.dumps(by_value.select))
    assert bound.__name__ == "select"
    assert bound(np.arange(40)).tolist() == list(range(31, 40))


def test_static_and_class_methods_may_be_steps() -> None:
    """A step under staticmethod or classmethod is called as Python does."""

    class Kinds:
        @staticmethod
        @step
        def plain(value: int) -> int:
            return value + 1

        @classmethod
        @step
        def named(cls, value: int) -> str:
            return f"{cls.__name__} {value}"

    assert (Kinds.plain(1), Kinds().plain(1)) == (2, 2)
    assert (Kinds.named(1), Kinds().named(1)) == ("Kinds 1", "Kinds 1")
