"""What objects hold counts, also where their classes give a pickle nothing but a name to make them again by."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dask._task_spec import Task

from cachingclient.hashing.content_keys import look_at_call
from cachingclient.hashing.identify import identify
from cachingclient.hashing.step_keys import Merkle

TABLE: Any = None
"""A table that `weight` reads."""


class ByName:
    """Gives a pickle its path alone."""

    def __init__(self, path: str) -> None:
        self.path, self.factor = path, int(Path(path).read_text())

    def __getstate__(self) -> str:
        return self.path

    def __setstate__(self, path: str) -> None:
        self.__init__(path)  # type: ignore[misc]

    def __call__(self, x: int) -> int:
        return x * self.factor


class MadeAgain:
    """Is made again by its class."""

    __slots__ = ("factor", "path")

    def __init__(self, path: str) -> None:
        self.path, self.factor = path, int(Path(path).read_text())

    def __reduce__(self) -> Any:
        return type(self), (self.path,)

    def __call__(self, x: int) -> int:
        return x * self.factor


class WithoutTable(ByName):
    """Leaves its table out of a dict."""

    def __getstate__(self) -> Any:
        return {"path": self.path}

    def __setstate__(self, state: Any) -> None:
        self.__init__(state["path"])  # type: ignore[misc]


class Number(float):
    """A number that is read from a file."""

    def __new__(cls, path: str) -> Number:
        self = super().__new__(cls, Path(path).read_text())
        self.path = path
        return self

    def __getnewargs__(self) -> Any:
        return (self.path,)

    def __call__(self, x: int) -> float:
        return x * float(self)


class Outer:
    """Holds another one, which its pickle leaves out."""

    def __init__(self, path: str) -> None:
        self.path, self.inner = path, MadeAgain(path)

    def __reduce__(self) -> Any:
        return type(self), (self.path,)

    def __call__(self, x: int) -> int:
        return self.inner(x)


MAKERS = (ByName, MadeAgain, WithoutTable, Number, Outer)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file with a factor in it."""
    path = tmp_path / "sf"
    path.write_text("2")
    return path


def use(scale: Any, x: int) -> int:
    """Weigh by what is given."""
    made = scale["scales"][0] if isinstance(scale, dict) else scale
    return int(made(x))


def weight(x: int) -> int:
    """Weigh by a variable of the module."""
    return int(TABLE(x))


CALLS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "an argument": lambda scale: (use, scale, 3),
    "inside an argument": lambda scale: (use, {"scales": [scale]}, 3),
    "the function": lambda scale: (scale, 3),
    "bound to a function": lambda scale: (functools.partial(use, scale), 3),
}


def step_key(call: tuple[Any, ...]) -> bytes | None:
    """The key of a call as a client has it."""
    return Merkle({}).steps({"a": Task("a", *call)}, ["a"])["a"].key


@pytest.mark.parametrize("way", CALLS)
@pytest.mark.parametrize("made_by", MAKERS, ids=lambda kind: kind.__name__)
def test_what_an_object_was_made_from_is_part_of_the_keys(way: str, made_by: Any, table: Path) -> None:
    """After an edit of the file both keys are others, and after the edit back those that they were."""
    keys = []
    for text in ("2", "3", "2"):
        table.write_text(text)
        function, *arguments = call = CALLS[way](made_by(str(table)))
        keys.append((step_key(call), look_at_call(function, tuple(arguments), {}, Merkle({})).content_key))
        assert None not in keys[-1]
    assert keys[0] == keys[2]
    assert keys[0][0] != keys[1][0]
    assert keys[0][1] != keys[1][1]


@pytest.mark.parametrize("made_by", MAKERS, ids=lambda kind: kind.__name__)
def test_what_a_variable_of_the_code_holds_is_part_of_the_code(
    made_by: Any, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose module was imported before the edit has other code than the client."""
    digests = []
    for text in ("2", "3", "2"):
        table.write_text(text)
        monkeypatch.setattr(f"{__name__}.TABLE", made_by(str(table)))
        digests.append(identify(weight).digest)
    assert digests[0] == digests[2] != digests[1]


def test_what_has_no_identity_is_left_out(table: Path) -> None:
    """A lock or an open file that a pickle leaves out does not keep the object from having an identity."""
    one, other = WithoutTable(str(table)), WithoutTable(str(table))
    with table.open() as file:
        one.lock, other.lock, one.file = threading.Lock(), threading.Lock(), file  # type: ignore[attr-defined]
        assert identify(one).key == identify(other).key
    other.factor = 3
    assert identify(one).key != identify(other).key
    assert identify(one).digest == identify(other).digest


def test_objects_that_hold_each_other_are_looked_at_once(table: Path) -> None:
    """A circle has an end."""
    one, other, third = (ByName(str(table)) for _ in range(3))
    one.other, other.other, third.other = other, one, third  # type: ignore[attr-defined]
    assert identify(one).key != identify(third).key
    assert identify(one).key == identify(other).key


@dataclass(frozen=True, slots=True)
class Cut:
    """A class whose ``__getstate__`` `dataclasses` writes."""

    pt: float


def test_what_python_pickles_by_itself_counts_once() -> None:
    """Nothing is beside the state of a plain object or a dataclass."""
    assert identify(Cut(30)).held == ""
    assert identify(Cut(30)).key == identify(Cut(30)).digest != identify(Cut(31)).digest
