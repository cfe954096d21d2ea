"""A warning names the user's own line: the call that it came of, also where a thread of dask's or ours warns."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask

from cachingclient import DiracClient
from cachingclient.warn_once import CacheWarning, warn_user
from tests.support.waiting import until


def line() -> int:
    """Return the line that calls this."""
    frame: Any = inspect.currentframe()
    return int(frame.f_back.f_lineno)


def drawn(x: int) -> bool:
    return random.random() < x


def increment(x: int) -> int:
    return x + 1


def test_what_workers_tell_names_the_call_that_sent_the_step(client: DiracClient) -> None:
    """The client hears of it in its event loop, where no frame of the user's is."""
    with warnings.catch_warnings(record=True, action="always") as told:
        future, sent = client.submit(drawn, 3), line()
        assert future.result() is True
        until(lambda: any("step drawn" in str(each.message) for each in told), "nobody said that it is not kept")
    assert {each.category for each in told} == {CacheWarning}
    assert {(each.filename, each.lineno) for each in told} == {(__file__, sent)}


def test_what_a_store_tells_names_the_call_that_looked(
    make_client: Callable[..., DiracClient], cache_folder: Path
) -> None:
    """Between the user's call and the store lie frames of dask's and of ours."""
    writer = make_client(cache=str(cache_folder))
    assert dask.delayed(increment)(1).compute() == 2
    writer.close()
    for entry in cache_folder.glob("v1/steps/*/*"):
        entry.write_bytes(b"torn")
    make_client(cache=str(cache_folder))
    with warnings.catch_warnings(record=True, action="always") as told:
        result, asked = dask.delayed(increment)(1).compute(), line()
    assert result == 2
    damaged = [each for each in told if "a damaged entry" in str(each.message)]
    assert damaged
    assert {(each.filename, each.lineno) for each in damaged} == {(__file__, asked)}


def test_frames_of_libraries_are_no_place() -> None:
    """Whoever calls by way of the standard library or an installed one still called from here."""
    with warnings.catch_warnings(record=True, action="always") as told:
        _, called = dask.delayed(warn_user)("the disk is full").compute(scheduler="sync"), line()
    (warning,) = told
    assert (warning.filename, warning.lineno, warning.category) == (__file__, called, UserWarning)
