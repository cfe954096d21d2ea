"""What users say of the identity of their own: tokens of objects and classes, and hashers of types."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.walk import Walk
from tests.support.copies import digest


class Holder:
    def __init__(self, value: object) -> None:
        self.value = value


def test_a_token_stands_for_the_state() -> None:
    """A method __cache_token__ says what counts of an object."""

    class Model:
        def __init__(self, version: int) -> None:
            self.version = version
            self.lock = threading.Lock()

        def __cache_token__(self) -> int:
            return self.version

    assert digest(Model(1)) == digest(Model(1))
    assert digest(Model(1)) != digest(Model(2))


def test_a_token_on_a_class_stands_for_its_code() -> None:
    """A constant __cache_token__ says that a class with other methods is the same; its instances still differ."""

    def make(version: str, answer: int) -> type:
        body = {"__cache_token__": version, "answer": lambda self: answer, "__module__": __name__}
        return type("Model", (), body)

    assert digest(make("v1", 1)) == digest(make("v1", 2))
    assert digest(make("v1", 1)) != digest(make("v2", 1))
    one, other = make("v1", 1)(), make("v1", 1)()
    other.threshold = 30
    assert digest(one) != digest(other)


def test_a_registered_hasher_says_what_counts() -> None:
    """What a hasher leaves out does not count, and a subclass needs one of its own unless told otherwise."""

    class Counted(Holder):
        seen = 0

    class Sub(Counted):
        pass

    @register_hasher(Counted)
    def encode_counted(obj: Counted, walk: Walk) -> bytes:
        return walk.encode(obj.value)

    one, other = Counted(1), Counted(1)
    other.seen = 5
    assert digest(one) == digest(other)
    assert digest(one) != digest(Counted(2))
    sub = Sub(1)
    sub.seen = 5
    assert digest(Sub(1)) != digest(sub)


def test_a_hasher_may_be_registered_by_name() -> None:
    """A library's type is named without importing it."""

    class Named(Holder):
        pass

    @register_hasher(f"{Named.__module__}.{Named.__qualname__}", subclasses=True)
    def encode_named(obj: Named, walk: Walk) -> bytes:
        return b"always the same"

    assert digest(Named(1)) == digest(Named(2))


def test_a_hasher_that_fails_is_a_reason() -> None:
    """An error in a hasher makes a value uncacheable; it does not stop the analysis."""

    class Odd(Holder):
        pass

    @register_hasher(Odd)
    def encode_odd(obj: Odd, walk: Walk) -> bytes:
        raise ZeroDivisionError("odd")

    with pytest.raises(Unidentifiable, match=r"Odd that could not be looked at \(ZeroDivisionError\('odd'\)\)"):
        identify(Odd(1))


def test_register_hasher_names_what_it_takes() -> None:
    """A wrong argument is named with what was expected."""
    with pytest.raises(TypeError, match=r"kind must be a type or its full name.*got 3"):
        register_hasher(3)  # type: ignore[arg-type]


def test_plugins_are_loaded_when_needed() -> None:
    """Importing the walk and encoding plain values imports no library."""
    program = (
        "import sys\nfrom cachingclient.hashing.identify import identify\nidentify([1, {'a': (2.0, {3})}])\n"
        "print(sorted({'pandas', 'pyarrow', 'awkward', 'coffea', 'uproot', 'numba'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    run = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"
