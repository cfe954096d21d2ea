"""Steps that raise: the user gets the error that a plain client gives, and nothing of it is kept."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, wait

from cachingclient import DiracClient, step
from tests.support.reported import results_kept


def increment(x: Any) -> Any:
    return x + 1


class SelectionError(Exception):
    """An exception with arguments of its own."""

    def __init__(self, name: str, cut: float) -> None:
        super().__init__(name, cut)
        self.cut = cut

    def __str__(self) -> str:
        return f"no events left by {self.args[0]}"


def failing(x: int) -> int:
    def inner(y: int) -> int:
        raise SelectionError("pt", y)

    return inner(x)


def frames_of(error: BaseException) -> list[tuple[str, str]]:
    """The frames of an error that a user sees below the test itself."""
    return [(frame.name, Path(frame.filename).name) for frame in traceback.extract_tb(error.__traceback__)][1:]


@step
def failing_step(value: int) -> None:
    """A step that raises where it is called, inside another."""
    failing(value)


def calls_a_step(value: int) -> None:
    """A task that calls a step."""
    failing_step(value)


ASKED: dict[str, Callable[[Client], Any]] = {
    "submit": lambda client: client.submit(failing, 7).result(),
    "map": lambda client: client.map(failing, [7])[0].result(),
    "gather": lambda client: client.gather([client.submit(failing, 7)]),
    "delayed": lambda client: client.compute(dask.delayed(increment)(dask.delayed(failing)(7))).result(),
}


@pytest.mark.parametrize("ask", ASKED)
def test_errors_are_those_of_a_plain_client(client: DiracClient, plain_client: Client, ask: str) -> None:
    """A step that raises gives the same exception, with the same visible traceback; nothing of it is kept."""

    def fail(client: Client) -> BaseException:
        with pytest.raises(SelectionError, match="no events left by pt") as caught:
            ASKED[ask](client)
        return caught.value

    ours, theirs = fail(client), fail(plain_client)
    assert isinstance(ours, SelectionError)
    assert (ours.args, ours.cut) == (("pt", 7), 7)
    assert frames_of(ours) == frames_of(theirs)
    assert results_kept(client) == []


@pytest.mark.parametrize("after_a_load", [False, True])
def test_tracebacks_show_users_code_alone(make_client: Callable[..., DiracClient], after_a_load: bool) -> None:
    """Below a test's own frames stand those of the user's functions: none of what looks up, loads, runs and keeps."""
    client = make_client()
    if after_a_load:
        client.submit(increment, 1).result()
        client.flush()
    value = client.submit(increment, 1) if after_a_load else 7
    with pytest.raises(SelectionError) as caught:
        client.submit(calls_a_step, value).result()
    shown = [name for name, _ in frames_of(caught.value)]
    assert shown[-4:] == ["calls_a_step", "failing_step", "failing", "inner"]


def test_error_after_good_steps_keeps_those(client: DiracClient) -> None:
    """What came before a step that raises is kept."""
    good = dask.delayed(increment)(1)
    future = client.compute(dask.delayed(failing)(good))
    with pytest.raises(SelectionError):
        future.result()
    assert results_kept(client) == ["increment"]


def test_errors_can_be_recreated_here(client: DiracClient) -> None:
    """`recreate_error_locally` runs the user's own function in this process, for a debugger to stop in."""
    future = client.compute(dask.delayed(failing)(dask.delayed(increment)(1)))
    with pytest.raises(SelectionError):
        future.result()
    with pytest.raises(SelectionError) as caught:
        client.recreate_error_locally(future)
    assert [name for name, _ in frames_of(caught.value)[-2:]] == ["failing", "inner"]


def test_tasks_can_be_recreated_here(make_client: Callable[..., DiracClient]) -> None:
    """`recreate_task_locally` gives what a step gave, also where that was found and not read yet."""
    for _ in range(2):
        client = make_client()
        future = client.submit(sum, [client.submit(increment, 1), client.submit(increment, 2)])
        wait(future)
        assert client.recreate_task_locally(future) == 5
        client.flush()
        del future
