"""What runs on a worker, called here without one: steps that run and are kept, are found by content, or are loaded."""

from __future__ import annotations

import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest

import cachingclient
from cachingclient.hashing.environment.environment import Environment
from cachingclient.plan.policy import KeepAll
from cachingclient.storage import EntryLost, Store
from cachingclient.worker.context import Context
from cachingclient.worker.load import Load
from cachingclient.worker.memory_peak import reset_peak
from cachingclient.worker.process import process
from cachingclient.worker.tasks import RunAndKeep
from cachingclient.worker.writer import Job
from tests.worker.running import Heard, code_of, find, step


def increment(x: int) -> int:
    return x + 1


def failing(x: int) -> int:
    raise ValueError(f"no {x}")


def test_runs_and_keeps(store: Store, context: Context, heard: Heard) -> None:
    """A step runs, its result is kept under its key, and the record says so."""
    assert step(increment, context)(1) == 2
    (record,) = heard.take()
    assert (record.name, record.action, record.kept, record.note) == ("increment", "ran", True, "")
    info = find(store)
    assert info is not None
    assert (info.name, info.kind, store.read(info)) == ("increment", "result", 2)
    assert record.nbytes == info.nbytes


def total(values: np.ndarray[Any, Any]) -> float:
    return float(values.sum())


def test_a_result_that_waits_holds_no_arguments(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small result waits for others to be written with it, while what it was made of may be a partition."""
    waiting: list[Job] = []
    monkeypatch.setattr(process(), "keep", waiting.append)
    values = np.ones(1000)
    reference = weakref.ref(values)
    assert step(total, context, seek=True)(values) == 1000
    del values
    gc.collect()
    assert len(waiting) == 1
    assert reference() is None


def test_details_name_the_code_and_the_versions(store: Store, context: Context) -> None:
    """An entry tells which code made it, who kept it, and on which host."""
    step(increment, context)(1)
    process().writer.flush()
    info = find(store)
    assert info is not None
    assert info.details["code"] == code_of(increment).digest.hex()
    assert {"user", "host", "python"} <= info.details.keys()


def test_found_by_content(store: Store, context: Context, heard: Heard) -> None:
    """A step whose code ran before on equal inputs is loaded; the record tells the client where it is filed."""
    step(increment, context, key=1)(1)
    (ran,) = heard.take()
    assert step(increment, context, key=2, seek=True)(1) == 2
    (loaded,) = heard.take()
    assert (loaded.action, loaded.sound, loaded.fact) == ("cut off", True, ran.fact)
    assert store.find([loaded.fact])


def test_other_inputs_are_not_found(store: Store, context: Context, heard: Heard) -> None:
    """Other inputs are another content."""
    step(increment, context, key=1)(1)
    heard.take()
    assert step(increment, context, key=2, seek=True)(2) == 3
    assert [record.action for record in heard.take()] == ["ran"]


def test_no_key_keeps_by_content(store: Store, context: Context, heard: Heard) -> None:
    """A step without a key is kept by what it was given alone."""
    for _ in range(2):
        assert RunAndKeep(increment, None, code_of(increment).digest, "increment", context, seek=True)(5) == 6
        process().writer.flush()
    assert [record.action for record in heard.take()] == ["ran", "cut off"]
    assert len(list(store.scan())) == 1


def test_errors_pass(store: Store, context: Context, heard: Heard) -> None:
    """A step's own error is the user's, and nothing is kept."""
    with pytest.raises(ValueError, match="no 3"):
        step(failing, context)(3)
    assert heard.take() == []
    assert list(store.scan()) == []


def test_overwriting(store: Store, context: Context, heard: Heard) -> None:
    """In refresh mode what is there is run again and replaced."""
    step(increment, context)(1)
    heard.take()
    before = find(store)
    fresh = Context(context.run, store, KeepAll(), Environment(), "stat", overwrite=True)
    assert step(increment, fresh, seek=True)(1) == 2
    (record,) = heard.take()
    after = find(store)
    assert record.action == "ran"
    assert before is not None
    assert after is not None
    assert after.created > before.created


@pytest.mark.parametrize("with_info", [True, False])
def test_loads(store: Store, context: Context, with_info: bool, heard: Heard) -> None:
    """A kept result is read back, with or without its description at hand, and the record says so."""
    step(increment, context)(1)
    heard.take()
    info = find(store)
    assert info is not None
    assert Load(info.key, info if with_info else None, "increment", context)() == 2
    (record,) = heard.take()
    assert (record.action, record.nbytes, record.saved) == ("loaded", info.nbytes, info.seconds)


def test_loading_what_is_gone(store: Store, context: Context) -> None:
    """A result that is gone is an EntryLost with its key, which survives being pickled."""
    with pytest.raises(EntryLost) as caught:
        Load("0" * 32, None, "increment", context)()
    copied = pickle.loads(pickle.dumps(caught.value))
    assert copied.key == "0" * 32
    assert str(copied) == str(caught.value)


def test_any_fault_of_loading_is_a_lost_entry(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in a store while loading, the client can have the step run instead."""

    def broken(keys: Any) -> Any:
        raise OSError("the network is down")

    monkeypatch.setattr(context.store, "find", broken)
    with pytest.raises(EntryLost, match="the network is down"):
        Load("0" * 32, None, "increment", context)()


def test_steps_travel(store: Store, context: Context) -> None:
    """Steps are sent to workers pickled, and open their store there."""
    sent = pickle.loads(pickle.dumps(step(increment, context)))
    assert sent(1) == 2
    assert sent.context.store.url == store.url
    assert sent.__name__ == "increment"


def test_loaded_arrays_change_no_entry(store: Store, context: Context, heard: Heard) -> None:
    """An array that was loaded is writable, and writing to it leaves the entry as it was."""
    step(np.zeros, context)(300_000)
    heard.take()
    info = find(store)
    assert info is not None
    for _ in range(2):
        loaded = Load(info.key, info, "zeros", context)()
        assert loaded.sum() == 0
        loaded += 1


@cachingclient.step
def brief(x: int) -> int:
    return x + 1


def greedy_with_a_call(x: int) -> int:
    taken = len(bytearray(b"x") * 100_000_000)
    return taken + brief(x)


@pytest.mark.skipif(reset_peak() is None, reason="this kernel does not let the peak of the memory be measured")
def test_a_call_inside_a_step_leaves_its_peak_alone(store: Store, context: Context, heard: Heard) -> None:
    """What a task took before it called a step still counts: the process has one peak for both."""
    step(greedy_with_a_call, context)(1)
    heard.take()
    info = find(store)
    assert info is not None
    assert info.details["peak"] > 90_000_000
