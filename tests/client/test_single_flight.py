"""Of several clients that need the same expensive step at the same time, one runs it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import dask
import pytest

from cachingclient import DiracClient
from cachingclient.storage import Store, run_or_wait
from cachingclient.worker.process import process
from tests.support.waiting import until


class Gate:
    """Counts the runs of a step, and holds each until it is opened. It is no part of the step's identity."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.runs = 0

    def __cache_token__(self) -> str:
        return "gate"

    def __reduce__(self) -> str:
        return "GATE"

    def pass_through(self) -> None:
        self.runs += 1
        self.entered.set()
        if not self.open.wait(300):
            raise TimeoutError("nobody opened the gate")


GATE = Gate()


def guarded(number: int) -> int:
    GATE.pass_through()
    return number + 1


@pytest.fixture(autouse=True)
def _fresh_gate() -> None:
    """Nobody has run the step, and this process does not know it for a quick one."""
    GATE.__init__()  # type: ignore[misc]
    process().typical.pop("guarded", None)


def test_the_second_client_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that another client is running is not run again: its result is loaded when it is kept."""
    options = {"processes": False, "dashboard_address": ":0", "cache": (tmp_path / "cache").as_uri(), "policy": "all"}
    asked: list[str] = []

    def ask(store: Store, key: str, **more: Any) -> Any:
        asked.append(key)
        return run_or_wait(store, key, **more)

    monkeypatch.setattr("cachingclient.worker.others.run_or_wait", ask)
    with DiracClient(**options) as first, DiracClient(**options) as second:
        one = first.submit(guarded, 1)
        assert GATE.entered.wait(300)
        two = second.submit(guarded, 1)
        until(lambda: len(asked) == 2, "the second asks who runs the step")
        GATE.open.set()
        assert (one.result(timeout=300), two.result(timeout=300)) == (2, 2)
    assert GATE.runs == 1


def test_without_patience_both_run(tmp_path: Path) -> None:
    """`single-flight: 0` lets every client run what it needs."""
    options = {"processes": False, "dashboard_address": ":0", "cache": (tmp_path / "cache").as_uri(), "policy": "all"}
    impatient = dask.config.set({"cachingclient.timeouts.single-flight": 0})
    with impatient, DiracClient(**options) as first, DiracClient(**options) as second:
        one = first.submit(guarded, 2)
        assert GATE.entered.wait(300)
        GATE.entered.clear()
        two = second.submit(guarded, 2)
        assert GATE.entered.wait(300)
        GATE.open.set()
        assert (one.result(timeout=300), two.result(timeout=300)) == (3, 3)
    assert GATE.runs == 2
