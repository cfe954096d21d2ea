"""Bad input and broken stores: clear errors for the first, and right results with a warning for the second."""

from __future__ import annotations

import os
import subprocess
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client

from cachingclient import DiracClient, step


def increment(x: Any) -> Any:
    return x + 1


def block(number: int) -> np.ndarray:
    return np.full(100_000, number)


def count_up(x: int) -> Any:
    return (number for number in range(x))


def lock_of(x: int) -> Any:
    return threading.Lock()


def total(numbers: Any) -> int:
    return sum(numbers)


def is_lock(value: Any) -> bool:
    return hasattr(value, "acquire")


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


def results_kept(client: DiracClient) -> list[str]:
    """The names of the results in the store."""
    client.flush()
    assert client.cache is not None
    return [info.name for info in client.cache.scan() if info.kind == "result"]


def negate_in_place(values: np.ndarray) -> float:
    values *= -1
    return float(values.sum())


def sort_in_place(values: list[int]) -> list[int]:
    values.sort()
    return values


def numbers() -> list[int]:
    return [3, 1, 2]


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[None]:
    """A small file system of its own, where the machine allows that."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", folder], capture_output=True)
    if made.returncode:
        pytest.skip("file systems can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


# ---- what the user gets wrong ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": "most"}, "policy is 'most'; it takes 'auto', 'all' or a CachePolicy"),
        ({"mode": "write"}, "mode is 'write'; it takes 'readwrite', 'read', 'refresh', 'off'"),
        ({"cache": "gopher://host/cache"}, "gopher"),
    ],
    ids=["policy", "mode", "scheme"],
)
def test_unknown_names(arguments: dict[str, Any], message: str, cluster: Any, store_url: str) -> None:
    """An unknown policy, mode or URL scheme is an error that names it and what there is, before anything starts."""
    with pytest.raises(ValueError, match=message):
        DiracClient(cluster.scheduler_address, **({"cache": store_url} | arguments))


@pytest.mark.parametrize("policy", [3, object()])
def test_policy_of_a_wrong_type(policy: Any, cluster: Any, store_url: str) -> None:
    """A policy that is neither a name nor a CachePolicy is an error that says what it is."""
    with pytest.raises(TypeError, match="policy is of type"):
        DiracClient(cluster.scheduler_address, cache=store_url, policy=policy)


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_store_path_is_a_file(tmp_path: Path, cluster: Any, below: str) -> None:
    """A store cannot be a file, or lie below one."""
    (tmp_path / "file").write_text("a plot")
    with pytest.raises(ValueError, match="a store takes a folder"):
        DiracClient(cluster.scheduler_address, cache=(tmp_path / "file" / below).as_uri())
    assert (tmp_path / "file").read_text() == "a plot"


# ---- modes ----


@pytest.mark.parametrize("off", [{"cache": False}, {"mode": "off"}], ids=["cache=False", "mode=off"])
def test_off_is_a_plain_client(
    make_client: Callable[..., DiracClient], cache_folder: Path, off: dict[str, Any]
) -> None:
    """Without a cache it is a plain client: nothing is planned, kept or reported."""
    client = make_client(**off)
    assert client.submit(increment, 1).result() == 2
    assert dask.delayed(increment)(2).compute() == 3
    assert client.cache is None
    assert client.report is None
    client.flush()
    assert not cache_folder.exists()
    with pytest.raises(ValueError, match="no cache"):
        client.plan(dask.delayed(increment)(2))


def test_read_mode_keeps_nothing_new(make_client: Callable[..., DiracClient]) -> None:
    """``mode="read"`` loads what is there and adds nothing."""
    writer = make_client()
    writer.submit(increment, 1).result()
    writer.close()
    reader = make_client(mode="read")
    assert reader.submit(increment, 1).result() == 2
    assert reader.submit(increment, 5).result() == 6
    assert results_kept(reader) == ["increment"]
    assert sum(report.summary().total.loaded for report in reader.reports) == 1


def test_refresh_mode_runs_and_overwrites(make_client: Callable[..., DiracClient]) -> None:
    """``mode="refresh"`` runs everything and replaces what was kept."""
    writer = make_client()
    writer.submit(increment, 1).result()
    writer.flush()
    assert writer.cache is not None
    (before,) = (info for info in writer.cache.scan() if info.kind == "result")
    writer.close()
    fresh = make_client(mode="refresh")
    assert fresh.submit(increment, 1).result() == 2
    assert results_kept(fresh) == ["increment"]
    assert fresh.cache is not None
    (after,) = (info for info in fresh.cache.scan() if info.kind == "result")
    assert after.created > before.created
    assert fresh.report is not None
    assert fresh.report.summary().total.ran == 1


# ---- steps that go wrong ----


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


@pytest.mark.parametrize(("function", "use", "expected"), [(count_up, total, 10), (lock_of, is_lock, True)])
def test_unserialisable_results(
    client: DiracClient, function: Callable[..., Any], use: Callable[..., Any], expected: Any
) -> None:
    """A result that can't be serialised is kept nowhere; the steps after it are right, and there is one warning."""
    things = [dask.delayed(function)(5) for _ in range(6)]
    with warnings.catch_warnings(record=True, action="always") as seen:
        results = client.compute([dask.delayed(use)(thing) for thing in things], sync=True)
        client.flush()
    assert results == [expected] * 6
    assert len([warning for warning in seen if "can't be serialised" in str(warning.message)]) == 1
    assert set(results_kept(client)) <= {use.__name__}


# ---- results that are changed ----


def test_changing_an_input_changes_no_entry(make_client: Callable[..., DiracClient]) -> None:
    """A step that changes its input in place does not change what is kept, and finds a loaded input writable."""
    for _ in range(3):
        client = make_client()
        values = client.submit(block, 2, key="values")
        assert values.result().sum() == 200_000
        client.flush()
        assert client.submit(negate_in_place, values, key="negated", pure=False).result() == -200_000
        client.close()
    last = make_client()
    assert last.submit(block, 2).result().sum() == 200_000


def test_small_inputs_changed_in_place(make_client: Callable[..., DiracClient]) -> None:
    """A list that a later step sorts in place is kept as its own step made it."""
    client = make_client()
    unsorted = dask.delayed(numbers)()
    assert dask.delayed(sort_in_place)(unsorted).compute() == [1, 2, 3]
    client.close()
    again = make_client()
    assert again.submit(numbers).result() == [3, 1, 2]


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_loaded_arrays_are_writable(make_client: Callable[..., DiracClient], size: int) -> None:
    """A loaded array can be written to, as a computed one can."""
    for _ in range(2):
        client = make_client()
        array = client.submit(np.arange, size).result()
        array += 1
        assert array[0] == 1
        assert client.submit(np.arange, size, key="second").result()[0] == 0
        client.close()


# ---- stores that go wrong ----


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_full_disk(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """On a full disk the results are right, what did not fit is run again next time, and the report says why."""
    with tmpfs(cache_folder, "2m"):
        for _ in range(2):
            client = make_client()
            results = client.gather(client.map(block, range(8)))
            assert [int(result[0]) for result in results] == list(range(8))
            assert "No space left" in str(client.report)
            assert client.report is not None
            assert client.report.summary().total.kept < 8
            client.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_folder_that_turns_read_only(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """A store on a file system that is mounted read-only is read, and nothing fails."""
    with tmpfs(cache_folder, "20m"):
        writer = make_client()
        writer.gather(writer.map(block, range(3)))
        writer.close()
        subprocess.run(["mount", "-o", "remount,ro", cache_folder], check=True)
        reader = make_client()
        assert [int(result[0]) for result in reader.gather(reader.map(block, range(5)))] == list(range(5))
        assert reader.report is not None
        assert (reader.report.summary().total.loaded, reader.report.summary().total.kept) == (3, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_folder_without_write_permission(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """A cache folder that may not be written costs a warning."""
    cache_folder.mkdir(mode=0o500)
    with pytest.warns(UserWarning, match="nothing will be kept"):
        client = make_client()
    assert client.submit(increment, 1).result() == 2


def test_folder_that_cannot_be_made(make_client: Callable[..., DiracClient]) -> None:
    """A cache folder in a place where none can be made costs a warning."""
    with pytest.warns(UserWarning, match="runs without the cache|nothing will be kept"):
        client = make_client(cache="file:///proc/cache")
    assert client.submit(increment, 1).result() == 2
    assert dask.delayed(increment)(4).compute() == 5
