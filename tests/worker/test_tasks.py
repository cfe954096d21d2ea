"""What runs on a worker, called here without one: steps that run and are kept, are found by content, or are loaded."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cachingclient
from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.inputs.trace import Surroundings
from cachingclient.hashing.keys import Code, Step
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.policy import Auto, CachePolicy, Cost, KeepAll
from cachingclient.plan.record import StepRecord
from cachingclient.storage import EntryInfo, EntryLost, Store, open_store
from cachingclient.worker.context import Context
from cachingclient.worker.load import Load
from cachingclient.worker.memory_peak import reset_peak
from cachingclient.worker.observe import unobserved
from cachingclient.worker.process import process
from cachingclient.worker.tasks import RunAndKeep


def increment(x: int) -> int:
    return x + 1


def failing(x: int) -> int:
    raise ValueError(f"no {x}")


def lines_of(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def generator(x: int) -> Any:
    return (number for number in range(x))


class Never(CachePolicy):
    def keep(self, cost: Cost) -> bool:
        return False


class Broken(CachePolicy):
    def keep(self, cost: Cost) -> bool:
        raise RuntimeError("a bug in a policy")


@pytest.fixture
def store(store_url: str) -> Store:
    """A fresh file store."""
    return open_store(store_url)


@pytest.fixture
def context(store: Store) -> Context:
    """What the steps of one run share."""
    return Context(f"test-{uuid.uuid4().hex}/1", store, KeepAll(), Environment(), "stat")


def code_of(function: Callable[..., Any]) -> Code:
    code = Merkle({}).code(function)
    assert isinstance(code, Code)
    return code


def step(function: Callable[..., Any], context: Context, key: int = 1, **options: Any) -> RunAndKeep:
    options = {"code": code_of(function).digest} | options
    return RunAndKeep(function, bytes([key] * 16), name=function.__name__, context=context, **options)


class Heard:
    """What was recorded, which outside a worker has nowhere to go."""

    def __init__(self) -> None:
        self.all: list[StepRecord] = []

    def __call__(self, records: Mapping[str, list[StepRecord]]) -> None:
        for made in records.values():
            self.all += made

    def take(self) -> list[StepRecord]:
        """The records since the last time, once all is written."""
        process().writer.flush()
        taken, self.all = self.all, []
        return taken


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Listens to the records of this process."""
    heard = Heard()
    monkeypatch.setattr(process(), "tell", heard)
    return heard


def find(store: Store, key: int = 1) -> EntryInfo | None:
    """The entry that a step of this key has kept: it is under its content key until a client files it."""
    name = bytes([key] * 16).hex()
    found = next((info for info in store.scan() if name in info.keys), None)
    return None if found is None else store.find([found.key])[found.key]


def test_runs_and_keeps(store: Store, context: Context, heard: Heard) -> None:
    """A step runs, its result is kept under its key, and the record says so."""
    assert step(increment, context)(1) == 2
    (record,) = heard.take()
    assert (record.name, record.action, record.kept, record.note) == ("increment", "ran", True, "")
    info = find(store)
    assert info is not None
    assert (info.name, info.kind, store.read(info)) == ("increment", "result", 2)
    assert record.nbytes == info.nbytes


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


def test_other_code_than_the_clients(store: Store, context: Context, heard: Heard) -> None:
    """If the code on the worker is not the client's, the result is right and not kept, and the note says why."""
    assert step(increment, context, code=b"\0" * 16)(1) == 2
    (record,) = heard.take()
    assert record.kept is False
    assert "is not the client's" in record.note
    assert find(store) is None


def test_results_that_cannot_be_serialised(store: Store, context: Context, heard: Heard) -> None:
    """What no codec takes is handed on, and not kept."""
    assert list(step(generator, context)(3)) == [0, 1, 2]
    (record,) = heard.take()
    assert "can't be serialised" in record.note
    assert find(store) is None


@pytest.mark.parametrize(("policy", "note"), [(Never(), ""), (Broken(), "a bug in a policy")])
def test_policies_that_keep_nothing(
    store: Store, context: Context, policy: CachePolicy, note: str, heard: Heard
) -> None:
    """A policy that says no, or breaks, costs the keeping and nothing else."""
    own = Context(context.run, store, policy, Environment(), "stat")
    assert step(increment, own)(1) == 2
    (record,) = heard.take()
    assert (record.kept, note in record.note) == (False, True)
    assert find(store) is None


def interrupted(path: str) -> list[str]:
    """Read a file that somebody else replaces meanwhile."""
    lines = lines_of(path)
    with unobserved():
        Path(path).write_text("one\ntwo\nthree\n")
    return lines


def test_an_input_that_changes_while_the_step_runs(
    store: Store, context: Context, tmp_path: Path, heard: Heard
) -> None:
    """A result is not kept if a file that it was computed from changed meanwhile, and the record says so."""
    path = tmp_path / "events.txt"
    path.write_text("one\ntwo\n")
    assert step(interrupted, context)(str(path)) == ["one", "two"]
    (record,) = heard.take()
    assert "changed while the step ran" in record.note
    assert record.sound is False
    assert find(store) is None


def test_the_file_counts_as_the_step_read_it(store: Store, context: Context, tmp_path: Path, heard: Heard) -> None:
    """A file that was another when the graph was planned is what it was when the step ran."""
    path = tmp_path / "events.txt"
    path.write_text("one\ntwo\n")
    identity: Step = Merkle({}).value(str(path))
    path.write_text("one\ntwo\nthree\n")
    assert step(lines_of, context, inputs=identity.inputs)(str(path)) == ["one", "two", "three"]
    (record,) = heard.take()
    assert record.sound
    assert Surroundings().difference(record.trace) == ""
    path.write_text("one\n")
    assert str(path) in Surroundings().difference(record.trace)


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


_model: int | None = None


def load_model() -> None:
    global _model
    _model = 7


def with_model(x: int, load: bool) -> int:
    if load:
        load_model()
    return x + (_model or 0)


def test_a_result_is_kept_only_if_the_run_left_globals_as_they_were(
    context: Context, store: Store, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that rebound a global is that of other code than was identified, and so are those after it."""
    monkeypatch.setattr(f"{__name__}._model", None)
    before = code_of(with_model).digest
    results = [(1, False, 1), (2, True, 9), (3, False, 10)]
    records = []
    for x, load, result in results:
        assert step(with_model, context, x, code=before)(x, load) == result
        records += heard.take()
    assert [record.kept for record in records] == [True, False, False]
    assert "rebinds the global variable '_model'" in records[1].note
    assert [find(store, key) is not None for key in (1, 2, 3)] == [True, False, False]


def test_a_merge_of_many_is_kept_after_merges_of_few(store: Store, context: Context, heard: Heard) -> None:
    """That a step is not worth keeping with one input tells nothing of the same step with thirty."""
    own = Context(context.run, store, Auto(), Environment(), "stat")
    for key in range(1, 7):
        step(increment, own, key, dependencies=1)(key)
    step(increment, own, 7, dependencies=30)(7)
    assert [record.kept for record in heard.take()] == [False] * 6 + [True]


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
