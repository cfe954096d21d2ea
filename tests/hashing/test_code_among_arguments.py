"""The code of the user's among the arguments of a step, which a worker compares with its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from threading import Lock
from types import ModuleType
from typing import Any

import cloudpickle
import lz4.frame
import pytest
from dask._task_spec import Task, TaskRef

from cachingclient.hashing.code_among import code_among
from cachingclient.hashing.content_keys import look_at_call
from cachingclient.hashing.step_keys import Merkle


@pytest.fixture(autouse=True)
def _modules_go() -> Iterator[None]:
    """What a test made is no module of others."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
    sys.modules.pop("module_of_test", None)


def apply(what: Any, x: int = 1) -> Any:
    """Call what is given."""
    return what(x)


def made(source: str, name: str = "module_of_test") -> Any:
    """The `f` of a source, as one of a module."""
    module = sys.modules[name] = ModuleType(name)
    exec(source, vars(module))
    return vars(module)["f"]


def codes(what: Any) -> set[bytes]:
    """The code among the arguments of a step that is given something; of a call that has it at hand it is the same."""
    step = Merkle({}).steps({"a": Task("a", apply, what)}, ["a"])["a"]
    assert look_at_call(apply, (what,), {}, Merkle({})).codes == step.codes
    return set(step.codes)


@pytest.mark.parametrize(
    "wrapped", [lambda f: f, lambda f: [f], lambda f: {"by": (f,)}, partial], ids=["alone", "list", "dict", "partial"]
)
def test_a_function_counts_with_what_it_reads(wrapped: Any) -> None:
    """Its body, a variable, a helper."""
    source = "CUT = 1\ndef g(x):\n    return x\ndef f(x):\n    return g(x) + CUT"
    edits = (("CUT = 1", "CUT = 2"), ("return x", "return -x"), ("+ CUT", "- CUT"))
    sources = [source, *(source.replace(old, new) for old, new in edits)]
    found = [codes(wrapped(made(each))) for each in sources]
    assert all(found)
    assert len({frozenset(each) for each in found}) == len(sources)
    assert codes(wrapped(made(source))) == found[0]


@pytest.mark.parametrize(
    "uses",
    ["g = make(2)\ndef f(x):\n    return g(x)", "class A:\n    __call__ = make(2)\nf = A()"],
    ids=["variable", "class"],
)
def test_a_function_that_a_module_makes_counts(uses: str) -> None:
    """It does not travel with what reads it: another process has it from its own module."""
    source = f"def make(by):\n    def inner(*x):\n        return x[-1] * by\n    return inner\n{uses}"
    found = [codes(made(each)) for each in (source, source.replace("[-1] * by", "[-1] - by"), source.replace("2", "3"))]
    assert len({frozenset(each) for each in found}) == 3


def test_parts_without_an_identity_are_left_out() -> None:
    """The code beside them is that of the arguments without them; code that reads one is another."""
    function = made("def f(x):\n    return x + 1")
    lock = Lock()
    told = look_at_call(apply, ([lock, function],), {}, Merkle({}))
    assert (told.content_key, told.codes) == (None, ())
    assert set(code_among(apply, ([lock, function],), {}, Merkle({}))) == codes([1, function])
    reads = made("BY = 1\ndef f(x):\n    return x, BY")
    before = codes(reads)
    reads.__globals__["BY"] = lock
    assert not before & set(code_among(apply, (reads,), {}, Merkle({})))


def test_the_state_of_an_object_does_not_count() -> None:
    """It travels with the task; its class may be another where the task runs."""
    source = "class A:\n    def __call__(self, x):\n        return x + self.a\nf = A()"
    assert codes(made(f"{source}\nf.a = 1")) == codes(made(f"{source}\nf.a = 2")) != set()
    assert codes(made(source.replace("x + ", "x - "))) != codes(made(source))


def test_plain_values_have_none() -> None:
    """Nor has code that travels with the task; a worker need not look at these for it."""
    assert codes([1, "a", {"b": 2.0}]) == codes(abs) == codes(lambda x: x) == set()
    assert codes(made("def f(x):\n    return x", "__main__")) == set()


def test_what_a_library_packed_counts_where_it_is_taken() -> None:
    """A processor of coffea's comes by a task that hands it on, which may run on another worker."""
    pytest.importorskip("coffea.processor.executor")
    packed = lz4.frame.compress(cloudpickle.dumps(made("def f(x):\n    return x + 1")))
    nodes = {"a": Task("a", lambda x: x, packed), "b": Task("b", apply, TaskRef("a"))}
    found = Merkle({}).steps(nodes, ["b"])["b"].codes
    assert found
    assert found == look_at_call(apply, (packed,), {}, Merkle({})).codes
