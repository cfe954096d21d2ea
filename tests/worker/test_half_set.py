"""Classes of a script that another thread unpickles while a worker in the client's process looks at them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import cloudpickle
import pytest

from cachingclient.storage import Store
from cachingclient.worker.context import Context
from cachingclient.worker.half_set import PAUSES
from tests.worker.running import Heard, code_of, find, step

SCRIPT = """
class Cuts:
    low = 30

    def limit(self, x):
        low = Cuts.low  # unpickled first, with the method that the gate then keeps from being whole
        return low * x if GATE else 0

def before(x):
    return Cuts().limit(x) if GATE else 0

def after(x):
    found = [Cuts().limit(x) if GATE else 0]
    GATE.unpickle()
    found[0] += 1
    return found[0]
"""


class Gate:
    """Holds up a thread that unpickles a method, until the code that names the gate was looked at some times."""

    def __init__(self) -> None:
        self.looks, self.opens_at = 0, 0
        self.reached, self.opened = threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None
        self.packed = b""

    def __reduce__(self) -> Any:
        return _through, ()

    def __cache_token__(self) -> str:
        self.looks += 1
        if self.looks == self.opens_at and self.thread is not None:
            self.open()
        return "gate"

    def unpickle(self) -> None:
        """Unpickle in another thread, until the class has its method and the method not yet its globals."""
        self.thread = threading.Thread(target=cloudpickle.loads, args=(self.packed,), daemon=True)
        self.thread.start()
        assert self.reached.wait(60)

    def open(self) -> None:
        self.opened.set()
        if self.thread is not None:
            self.thread.join()


_gates: list[Gate] = []


def _through() -> Gate:
    _gates[-1].reached.set()
    _gates[-1].opened.wait()
    return _gates[-1]


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that lets everything through at the end."""
    _gates.append(Gate())
    yield _gates[-1]
    _gates.pop().open()


@pytest.fixture
def script(gate: Gate) -> dict[str, Any]:
    """What a script defines."""
    namespace: dict[str, Any] = {"__name__": "__main__", "GATE": gate}
    exec(SCRIPT, namespace)
    gate.packed = cloudpickle.dumps(namespace["Cuts"].limit)
    return namespace


def test_a_class_that_is_half_set_is_looked_at_again(
    store: Store, context: Context, heard: Heard, gate: Gate, script: dict[str, Any]
) -> None:
    """A method is for a moment not whole: that is not the code that runs, so the result is kept."""
    code = code_of(script["before"]).digest
    gate.unpickle()
    assert code_of(script["before"]).digest != code
    made = step(script["before"], context, code=code)
    gate.opens_at = gate.looks + 2
    assert made(2) == 60
    (record,) = heard.take()
    assert (record.note, record.kept) == ("", True)
    assert find(store) is not None


def test_a_class_that_is_half_set_when_the_step_ends_was_not_changed_by_it(
    context: Context, heard: Heard, gate: Gate, script: dict[str, Any]
) -> None:
    """Nor is it a variable that the step changed."""
    made = step(script["after"], context)
    gate.opens_at = gate.looks + 3  # the first is before the run
    assert made(2) == 61
    (record,) = heard.take()
    assert (record.note, record.kept) == ("", True)


def test_other_code_is_looked_at_a_few_times(
    context: Context, heard: Heard, gate: Gate, script: dict[str, Any]
) -> None:
    """Where the class stays another one than the client's, the result is not kept, and the note says so."""
    made = step(script["before"], context, code=b"\0" * 16)
    before = gate.looks
    assert made(2) == 60
    (record,) = heard.take()
    assert (record.kept, "is not the client's" in record.note) == (False, True)
    assert gate.looks - before == 1 + len(PAUSES)
