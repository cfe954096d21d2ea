"""Containers and objects: equal by value means equal encoding, anything a program can see differs."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import logging
import operator
import pathlib
import pickle
import random
import re
import subprocess
import sys
import threading
import types
import uuid
import weakref
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.walk import Walk
from tests.support.copies import COPIES, digest


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Mode(enum.IntFlag):
    READ = 1
    WRITE = 2


@dataclass
class Cut:
    name: str
    threshold: float = 30.0
    tags: list[str] = field(default_factory=list)


Point = collections.namedtuple("Point", "x y")
Other = collections.namedtuple("Other", "x y")


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a: object, b: object) -> None:
        self.a, self.b = a, b


class Holder:
    def __init__(self, value: object) -> None:
        self.value = value


class Bag(set[Any]):
    """A set with an attribute."""


def samples() -> list[Any]:
    """Return one value of each kind that has an identity; a second call gives equal ones."""
    return [
        *([1, 2], (1, 2), [1, [2, (3,)]], {"a": 1}, {1: "a"}, {1, 2}, frozenset({1, 2}), Bag({1, 2})),
        *(range(5), slice(1, 2), memoryview(b"abc"), bytearray(b"abc")),
        *(Colour.RED, Mode.READ, Mode.READ | Mode.WRITE, Cut("pt"), Point(1, 2), Slots(1, [2]), Holder({"a": [1]})),
        *(collections.OrderedDict(a=1), collections.defaultdict(list, a=[1]), collections.Counter("aab")),
        *(collections.deque([1, 2], 5), collections.ChainMap({"a": 1}), types.SimpleNamespace(a=1)),
        *(
            datetime.datetime(2026, 1, 2, fold=1),
            datetime.date(2026, 1, 2),
            datetime.timedelta(1),
            datetime.UTC,
        ),
        *(datetime.datetime(2026, 1, 2, tzinfo=zoneinfo.ZoneInfo("Europe/London")), zoneinfo.ZoneInfo("UTC")),
        *(decimal.Decimal("1.10"), fractions.Fraction(1, 3), uuid.UUID(int=5), re.compile("a+", re.IGNORECASE)),
        *(pathlib.PurePosixPath("a/b"), pathlib.Path("nowhere/to/be.found"), random.Random(3), object()),
        *(functools.partial(max, key=abs), operator.itemgetter(1, 2), operator.methodcaller("f", 1, k=2)),
        *(io.BytesIO(b"abc"), io.StringIO("abc"), logging.getLogger("cachingclient.x"), ValueError("a", 1)),
        *(OSError(2, "no", "file"), list[int], int | None, types.MappingProxyType({"a": 1}), {"a": 1}.keys()),
        *(array_of_pairs(), Holder(Holder(None))),
    ]


def array_of_pairs() -> list[tuple[int, str]]:
    """Return a list long enough to be packed if it held one simple type."""
    return [(number, str(number)) for number in range(100)]


UNCOPYABLE = (memoryview, types.MappingProxyType, type({}.keys()))


def test_values_of_all_kinds_differ() -> None:
    """No two of the sample values share an identity."""
    digests = [digest(value) for value in samples()]
    assert len(set(digests)) == len(digests)


def test_values_made_twice_are_equal() -> None:
    """Making every sample again gives the same identities."""
    assert [digest(value) for value in samples()] == [digest(value) for value in samples()]


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_has_the_identity_of_the_original(way: str) -> None:
    """Pickling, cloudpickling and copying change no identity."""
    for value in samples():
        if not isinstance(value, UNCOPYABLE):
            assert digest(COPIES[way](value)) == digest(value), value


plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()),
    lambda children: st.one_of(
        st.lists(children),
        st.tuples(children, children),
        st.dictionaries(st.text(), children),
        st.frozensets(st.integers()),
    ),
    max_leaves=20,
)


@given(plain)
def test_any_nested_value_survives_a_pickle(value: Any) -> None:
    """The identity of nested containers is that of their pickled copy."""
    assert Walk().encode(pickle.loads(pickle.dumps(value))) == Walk().encode(value)


@given(plain, plain)
def test_nested_values_that_differ_have_different_encodings(one: Any, other: Any) -> None:
    """Two values whose text differs are told apart."""
    if repr(one) != repr(other):
        assert Walk().encode(one) != Walk().encode(other)


@given(st.lists(st.integers() | st.floats() | st.text(), min_size=30, max_size=40), st.integers(0, 29))
def test_one_changed_element_of_a_long_list_shows(values: list[Any], position: int) -> None:
    """Lists that are packed and lists that are not both notice one changed element."""
    changed = list(values)
    changed[position] = "changed!"
    if values[position] != "changed!":
        assert Walk().encode(changed) != Walk().encode(values)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1, 2], (1, 2)),
        ([[1], [2]], [[1, 2]]),
        (["ab", "c"] * 20, ["a", "bc"] * 20),
        ([1] * 40, [1.0] * 40),
        ([1] * 40, [True] * 40),
        ([1] * 40, (1,) * 40),
        ({1, 2}, frozenset({1, 2})),
        (Point(1, 2), (1, 2)),
        (Point(1, 2), Other(1, 2)),
        (Cut("pt", 30), Cut("pt", 30.0)),
        (Colour.RED, Colour.BLUE),
        (Colour.RED, 1),
        (re.compile("a"), re.compile("a", re.DOTALL)),
        (decimal.Decimal("1.1"), decimal.Decimal("1.10")),
        (datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 1, fold=1)),
        (Holder([]), Holder(())),
        (random.Random(1), random.Random(2)),
        (pathlib.PurePosixPath("a"), "a"),
        (b"x", memoryview(b"x")),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),  # each process of a run gives a test the same name
)
def test_what_a_program_can_tell_apart_differs(one: object, other: object) -> None:
    """Order, type, class and state all count."""
    assert digest(one) != digest(other)


def test_the_order_of_a_set_does_not_count() -> None:
    """Sets of values, of nested values and of functions have one identity under every hash seed."""
    program = (
        "import operator\nfrom cachingclient.hashing.identify import identify\n"
        "names = ['electron', 'muon', 'tau', 'jet']\n"
        "class C:\n    def __init__(self, name): self.name = name\n"
        "def f(): return 1\ndef g(): return 2\ndef h(): return 3\n"
        "print(identify([set(names), {(n, frozenset(names)) for n in names}, {f, g, h}, {C(n) for n in names}]).digest)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2", "3")
    }
    assert len(found) == 1


def test_a_set_whose_elements_point_back_to_it_ends() -> None:
    """A tree whose nodes know parents and a set of children has an identity, and the same one when made again."""

    def tree() -> Holder:
        parent = Holder(set())
        for _ in range(3):
            child = Holder(parent)
            parent.value.add(child)  # type: ignore[attr-defined]
        return parent

    assert digest(tree()) == digest(tree())


def test_an_object_inside_itself_ends() -> None:
    """Cycles through lists, dictionaries and objects are followed once."""

    def ring() -> list[Any]:
        items: list[Any] = [1]
        items.append({"back": items, "holder": Holder(items)})
        return items

    assert digest(ring()) == digest(ring())


def test_a_lost_attribute_shows() -> None:
    """An object without an attribute differs from one where it is None."""
    without = Holder(None)
    del without.value
    assert digest(without) != digest(Holder(None))


REFUSED: dict[str, Callable[[], Any]] = {
    "a lock": threading.Lock,
    "a thread": threading.Thread,
    "a weak reference": lambda: weakref.ref(Holder(1)),
    "an open file": lambda: open(__file__),  # noqa: SIM115  (being open is the point)
    "a generator": lambda: (x for x in [1]),
    "a list_iterator": lambda: iter([1]),
    "a map": lambda: map(abs, [1]),
    "a count": lambda: itertools.count(),
    "an open file '<stdin>'": lambda: sys.__stdin__,
    "a stack frame": sys._getframe,
    "a random generator without a state": random.SystemRandom,
    "a context": lambda: __import__("contextvars").copy_context(),
    "a logging handler": logging.NullHandler,
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:.*unclosed file:ResourceWarning")
def test_what_has_no_identity_is_named(name: str) -> None:
    """Live things are refused by a name that says what they are."""
    with pytest.raises(Unidentifiable, match=name):
        identify(REFUSED[name]())


def test_the_reason_says_where_it_was_found() -> None:
    """The way to the part without an identity is given from the inside out."""
    value = {"step": [1, Holder(threading.Lock())]}
    with pytest.raises(Unidentifiable, match="a lock in attribute 'value' of Holder at index 1 under key 'step'"):
        identify(value)


def test_an_object_that_cannot_be_taken_apart_is_refused() -> None:
    """An error inside a class's own pickling is a reason, not a failure."""

    class Broken:
        def __reduce__(self) -> str:
            raise RuntimeError("no state today")

    with pytest.raises(Unidentifiable, match="no state today"):
        identify(Broken())


def test_a_partial_is_the_same_after_a_look_at_its_attributes() -> None:
    """Asking a partial for its attributes makes it have an empty dictionary of them, which pickles show."""
    bound = functools.partial(sorted, [3, 1])
    before = identify(bound).digest
    assert vars(bound) == {}
    assert identify(bound).digest == before
