"""What no client can compute: a `DiracClient` says of it what dask's own says, and goes on."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from operator import add
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, Future, LocalCluster

from cachingclient import CacheWarning, DiracClient

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """A cluster of the test's own."""
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster:
        yield cluster


def increment(number: int) -> int:
    return number + 1


def one() -> int:
    return 1


def two() -> int:
    return 2


def fail(number: int) -> int:
    raise KeyError(number)


def slow(number: int) -> int:
    time.sleep(0.05)
    return number


def said(call: Callable[[], Any]) -> str:
    """What a call returns or raises, without what differs from call to call."""
    try:
        text = repr(call())
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    return re.sub(r"0x[0-9a-f]+|[0-9a-f]{32}|[0-9a-f-]{36}", "*", text)


def result_of(future: Future[Any]) -> Any:
    return future.result(timeout=60)


def in_turn(client: Client) -> list[Any]:
    """Other code under a key that is still held, and once more when it is free."""
    first, second = client.submit(one, key="same"), client.submit(two, key="same")
    found = [first.result(), second.result(), client.submit(increment, second).result()]
    client.cancel([first, second])
    return found


def cancelled(client: Client) -> list[Any]:
    """Some calls cancelled while they run, with one that needs them, and others that don't."""
    futures = client.map(slow, range(30))
    total = client.submit(sum, futures)
    client.cancel(futures[:10])
    return [futures[0].status, said(lambda: result_of(total)), *map(result_of, futures[10:])]


def restarted(client: Client) -> list[Any]:
    """The cluster restarted while it works."""
    futures = client.map(slow, range(30))
    total = client.submit(sum, futures)
    client.restart()
    return [futures[0].status, said(lambda: result_of(total)), client.submit(increment, 41).result()]


def closed(client: Client) -> list[str]:
    """Every way of asking for something after the end."""
    client.close()
    asked = (lambda: client.submit(increment, 1), lambda: client.map(increment, [1]), lambda: client.get({"a": 1}, "a"))
    return [said(each) for each in asked]


def scheduler_gone(client: Client) -> list[str]:
    """Every way of asking for something when the cluster is no more."""
    futures = client.map(slow, range(10))
    client.cluster.close()
    with dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
        return [said(lambda: result_of(futures[5])), *closed(client)]


CASES: dict[str, Callable[[Client], Any]] = {
    "keys that depend on each other": lambda c: c.get({"a": (increment, "b"), "b": (increment, "a")}, "a"),
    "a key that depends on itself": lambda c: c.get({"a": (increment, "a")}, "a"),
    "a circle that nobody needs": lambda c: c.get({"a": (increment, "b"), "b": (increment, "a"), "c": 5}, "c"),
    "a missing key": lambda c: c.get({"a": (increment, 1)}, "b"),
    "tuples as keys": lambda c: c.get({("x", 0): 1, ("x", ("y", 2.5)): (increment, ("x", 0))}, [("x", ("y", 2.5))]),
    "bytes as a key": lambda c: c.get({b"x": (increment, 1)}, b"x"),
    "numbers as keys": lambda c: c.get({5: (increment, 1), 2.5: (increment, 5)}, [2.5, 5]),
    "None in a tuple as a key": lambda c: c.get({("x", None): (increment, 1)}, ("x", None)),
    "a set in a tuple as a key": lambda c: c.get({("x", frozenset([1])): 1}, ("x", frozenset([1]))),
    "a tuple as the key of a call": lambda c: c.submit(increment, 1, key=("k", ("l", 1))).result(),
    "a list as the key of a call": lambda c: c.submit(increment, 1, key=["k"]).result(),
    "no letters as a key": lambda c: c.submit(increment, 1, key="").result(),
    "equal keys with other code": in_turn,
    "equal keys in a map": lambda c: c.gather(c.map(increment, [1, 5], key=["e", "e"])),
    "fewer keys than calls": lambda c: c.map(increment, [1, 2, 3], key=["e", "f"]),
    "lists of other lengths": lambda c: c.gather(c.map(add, [1, 2, 3], [1])),
    "an empty map": lambda c: c.map(increment, []),
    "what can't be called": lambda c: c.submit(5, 1),
    "results of steps that fail": lambda c: c.submit(increment, c.submit(fail, 1)).result(),
    "priorities that are none": lambda c: c.submit(increment, 1, priority="high").result(),
    "cancelled in the middle": cancelled,
    "restarted in the middle": restarted,
    "a closed client": closed,
    "a scheduler that is gone": scheduler_gone,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning", "ignore::UserWarning")
def test_a_bad_graph_is_said_as_dask_says_it(case: str, store_url: str) -> None:
    """The same result or the same error in the same words, in time."""
    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": ":0"}
    options["processes"] = case.startswith("restarted")
    with Client(**options) as plain:
        expected = said(lambda: CASES[case](plain))
    with DiracClient(cache=store_url, policy="all", **options) as client:
        assert said(lambda: CASES[case](client)) == expected


def test_keys_that_depend_on_each_other_are_no_fault_of_the_cache(cluster: LocalCluster, store_url: str) -> None:
    """The warning names one of them, and the client goes on."""
    with DiracClient(cluster, cache=store_url, policy="all") as client:
        with pytest.warns(CacheWarning, match="'[ab]' depends on itself"), pytest.raises(RuntimeError, match="Cycle"):
            client.get({"a": (increment, "b"), "b": (increment, "a")}, "a")
        assert client.submit(increment, 1).result() == 2


def test_a_key_of_other_code_is_kept_as_what_it_is(store_url: str) -> None:
    """What was computed under one key from two codes is never found as the other's."""
    for _ in range(2):
        with DiracClient(processes=False, dashboard_address=":0", cache=store_url, policy="all") as client:
            assert in_turn(client) == [1, 1, 2], "as long as the first is held, its result is the key's"
        with DiracClient(processes=False, dashboard_address=":0", cache=store_url, policy="all") as client:
            assert client.submit(increment, client.submit(two)).result() == 3
            assert client.submit(increment, client.submit(one)).result() == 2


def test_many_futures_at_once(cluster: LocalCluster, store_url: str) -> None:
    """Eight thousand keys are known, finished and forgotten; cancelling takes dask the square of their number."""
    with DiracClient(cluster, cache=store_url, policy="all") as client:
        futures = client.map(increment, range(8_000))
        assert len(client.futures) == 8_000
        client.cancel(futures)
        assert sum(client.gather(client.map(increment, range(-1000, 0)))) == sum(range(-999, 1))
        del futures
        assert client.submit(increment, 1).result() == 2


@pytest.mark.parametrize("ends", ["sys.exit(3)", "raise ValueError", "os._exit(3) if os.fork() == 0 else sys.exit(3)"])
def test_a_script_ends_while_its_steps_run(tmp_path: Path, ends: str) -> None:
    """Nothing that was not closed holds up the end."""
    assert run(tmp_path, f"client.map(slow, range(1000)); {ends}").returncode in (1, 3)


def test_a_forked_child_ends(tmp_path: Path) -> None:
    """It has a client without a loop: closing it takes no longer than dask's, and the parent's client works on."""
    body = """
    child = os.fork()
    if child == 0:
        try:
            client.close(timeout=2)
        except TimeoutError:  # as from dask's
            os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), client.submit(slow, 6).result())
    client.close()
    """
    done = run(tmp_path, textwrap.dedent(body))
    assert done.stdout.split() == ["7", "6"], done.stderr


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run a script with a client of its own."""
    (folder / "script.py").write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from cachingclient import DiracClient
            from distributed import LocalCluster
            def slow(number):
                time.sleep(0.05)
                return number
            if __name__ == "__main__":
                cluster = LocalCluster(n_workers=1, dashboard_address=":0")
                client = DiracClient(cluster, cache=sys.argv[1], policy="all")
                client.submit(slow, 5).result()
            """
        )
        + textwrap.indent(body, "    ")
    )
    command = [sys.executable, str(folder / "script.py"), (folder / "cache").as_uri()]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
