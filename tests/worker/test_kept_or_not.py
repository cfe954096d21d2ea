"""Results of steps that are not kept, and why: other code, files that change, policies, globals that are rebound."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.inputs.trace import Surroundings
from cachingclient.hashing.keys import Step
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.explain import notes_for
from cachingclient.plan.policy import Auto, CachePolicy, Cost
from cachingclient.storage import Store
from cachingclient.worker.context import Context
from cachingclient.worker.observe import unobserved
from tests.worker.running import Heard, code_of, find, step


def increment(x: int) -> int:
    return x + 1


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


def test_other_code_than_the_clients(store: Store, context: Context, heard: Heard) -> None:
    """If the code on the worker is not the client's, the result is right and not kept, and the note says why."""
    assert step(increment, context, code=b"\0" * 16)(1) == 2
    (record,) = heard.take()
    assert record.kept is False
    assert "is not the client's" in record.note
    assert find(store) is None


REMEMBERED: dict[str, int] = {}


def remembering(x: int) -> int:
    return REMEMBERED.setdefault("factor", 3) * x


def test_a_variable_that_an_earlier_step_filled(
    store: Store, context: Context, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step leaves in a variable may change the next one's result: it is not kept, and the note names it."""
    code = code_of(remembering)
    for entry in notes_for(code.functions, private=True):  # as a client does
        store.write(entry)
    monkeypatch.setitem(REMEMBERED, "factor", 3)
    assert step(remembering, context, code=code.digest)(2) == 6
    (record,) = heard.take()
    assert not record.kept
    assert "REMEMBERED of tests.worker.test_kept_or_not.remembering is not as it is in the client" in record.note
    assert "functools.cache" in record.note


class Table:
    rows: dict[str, int] | None = None

    @classmethod
    def row(cls, name: str) -> int:
        if cls.rows is None:
            cls.rows = {"factor": 3}
        return cls.rows[name]


def reading_a_row(x: int) -> int:
    return Table.row("factor") * x


def test_an_attribute_of_a_class_that_an_earlier_step_filled(
    store: Store, context: Context, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a table that a class keeps the note says its full name, and no function that it were a variable of."""
    code = code_of(reading_a_row)
    for entry in notes_for(code.functions, private=True):  # as a client does
        store.write(entry)
    monkeypatch.setattr(Table, "rows", {"factor": 3})
    assert step(reading_a_row, context, code=code.digest)(2) == 6
    (record,) = heard.take()
    assert not record.kept
    assert "on the worker, tests.worker.test_kept_or_not.Table.rows is not as it is in the client" in record.note


class Corrections:
    @cached_property
    def factors(self) -> dict[str, int]:
        return {"factor": len("jet")}


CORRECTIONS = Corrections()


def correcting(x: int) -> int:
    return CORRECTIONS.factors["factor"] * x


def test_a_cached_property_that_an_earlier_step_filled(store: Store, context: Context, heard: Heard) -> None:
    """The code that fills it counts no more once it is filled, and the note does not tell of other code."""
    vars(CORRECTIONS).clear()
    code = code_of(correcting)
    for entry in notes_for(code.functions, private=True):  # as a client does
        store.write(entry)
    assert correcting(1) == 3
    assert step(correcting, context, code=code.digest)(2) == 6
    (record,) = heard.take()
    assert not record.kept
    held = "CORRECTIONS.factors['factor'] of tests.worker.test_kept_or_not.correcting"
    assert f"on the worker, {held} is not as it is in the client" in record.note
    assert "functools.cache" in record.note


NAMES = [f"sample_{number}_of_the_signal" for number in range(40)]
XSEC = {name: float(len(name)) for name in ("ttbar", "wjets", "zjets")}


def gone_through(x: int) -> list[str]:
    return [*XSEC, *NAMES][3 - x : 3 + x]


def test_tables_of_another_order_on_the_worker(
    store: Store, context: Context, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a module makes of a set differs by its order alone: the note says so, and of a larger change it does not."""
    code = code_of(gone_through)
    for entry in notes_for(code.functions, private=False):  # as a client does
        store.write(entry)
    monkeypatch.setitem(globals(), "NAMES", NAMES[::-1])
    monkeypatch.setitem(globals(), "XSEC", dict(reversed(XSEC.items())))
    assert step(gone_through, context, code=code.digest)(1) == ["ttbar", "sample_39_of_the_signal"]
    monkeypatch.setitem(globals(), "NAMES", [*NAMES[1:], "another"])
    assert step(gone_through, context, code=code.digest)(1) == ["ttbar", "sample_38_of_the_signal"]
    turned, changed = heard.take()
    here = "of tests.worker.test_kept_or_not.gone_through"
    assert f"NAMES {here}, XSEC {here} differs in its order alone from what it is in the client" in turned.note
    assert (turned.kept, changed.kept) == (False, False)
    assert "order" not in changed.note
    assert f"NAMES {here}, XSEC {here} is not as it is in the client" in changed.note


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
