"""What erred is given other work under its key, by the scheduler, and all that erred with it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import add
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, Event, Future, LocalCluster

from cachingclient import DiracClient
from cachingclient.graph import GraphNode, Key, Task, TaskRef
from cachingclient.scheduler.replace_tasks import install, message
from tests.support.waiting import until
from tests.worker.chains import lose


def fail(why: str, *taken: Any) -> Any:
    raise ValueError(why)


def summed(*parts: Any) -> float:
    return float(sum(np.sum(part) for part in parts))


def send(client: Client, nodes: Mapping[Key, GraphNode]) -> None:
    """Have the scheduler do something else under keys that erred."""
    client.run_on_scheduler(install)
    client._send_to_scheduler(message(nodes))


def erred(*futures: Future[Any]) -> None:
    """Wait until futures have erred."""
    until(lambda: {future.status for future in futures} == {"error"}, "they have not erred")


def finished(*futures: Future[Any]) -> list[Any]:
    """Wait until futures that erred are finished after all; their results."""
    until(lambda: {future.status for future in futures} == {"finished"}, "they are not finished")
    return [future.result() for future in futures]


def test_those_that_erred_with_it_go_on(plain_client: Client) -> None:
    """A task, one that takes its result, and another client's that takes that."""
    bad = plain_client.submit(fail, "bad", pure=False)
    after = plain_client.submit(add, bad, 1)
    with Client(plain_client.scheduler.address, set_as_default=False) as other:
        erred(bad, after)
        last = other.submit(add, Future(after.key, other), 1)
        erred(last)
        send(plain_client, {bad.key: Task(bad.key, add, 1, 1)})
        assert finished(bad, after, last) == [2, 3, 4]


def test_it_may_take_other_results(cluster: LocalCluster, plain_client: Client) -> None:
    """What it took before, and nobody else wants, is forgotten; what it takes now is there."""
    before = plain_client.submit(add, 1, 2, pure=False)
    bad = plain_client.submit(fail, "bad", before, pure=False)
    erred(bad)
    new, key = plain_client.submit(add, 10, 20), before.key
    del before
    send(plain_client, {bad.key: Task(bad.key, add, TaskRef(new.key), 1)})
    assert finished(bad) == [31]
    until(lambda: key not in cluster.scheduler.tasks, "what it took before is still there")


def test_what_one_took_before_another_may_take_now(plain_client: Client) -> None:
    """Both get other work in one message, one of them taking what the other no longer does."""
    before = plain_client.submit(add, 1, 2, pure=False)
    first = plain_client.submit(fail, "bad", before, pure=False)
    second = plain_client.submit(fail, "bad", pure=False)
    erred(first, second)
    key = before.key
    del before
    until(lambda: key not in plain_client.futures)
    send(plain_client, {first.key: Task(first.key, add, 1, 1), second.key: Task(second.key, add, TaskRef(key), 1)})
    assert finished(first, second) == [2, 4]


def test_another_error_stays(plain_client: Client) -> None:
    """What took two results that erred has the error of the one that nothing is done about."""
    lost, bad = plain_client.submit(fail, "lost", pure=False), plain_client.submit(fail, "bad", pure=False)
    erred(lost, bad)
    both = [plain_client.submit(add, *pair, pure=False) for pair in ((lost, bad), (bad, lost))]
    last = plain_client.submit(add, *both)
    erred(last)
    send(plain_client, {lost.key: Task(lost.key, add, 1, 1)})
    assert finished(lost) == [2]
    erred(*both, last)
    for future in (*both, last):
        with pytest.raises(ValueError, match="bad"):
            future.result()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_after_another(plain_client: Client, order: tuple[int, int]) -> None:
    """What took two results that erred is finished when both have something else to do."""
    lost = [plain_client.submit(fail, f"lost {number}", pure=False) for number in range(2)]
    both = plain_client.submit(add, *lost)
    last = plain_client.submit(add, both, 1)
    erred(*lost, last)
    for number in order:
        send(plain_client, {lost[number].key: Task(lost[number].key, add, number, 1)})
    assert finished(*lost, both, last) == [1, 2, 3, 4]


def test_it_waits_for_one_that_erred_too(plain_client: Client) -> None:
    """Both get other work in one message, one of them taking the other's result."""
    first, second = (plain_client.submit(fail, "lost", number, pure=False) for number in range(2))
    last = plain_client.submit(add, first, second)
    erred(first, second, last)
    send(
        plain_client,
        {
            second.key: Task(second.key, add, TaskRef(first.key), 1),
            first.key: Task(first.key, add, 1, 1),
        },
    )
    assert finished(first, second, last) == [2, 3, 5]


def test_retries_count_anew(plain_client: Client, tmp_path: Path) -> None:
    """A task that may be retried may be so again."""

    def fail_once(path: Path) -> str:
        if path.exists():
            return "done"
        path.touch()
        raise OSError("not yet")

    bad = plain_client.submit(fail, "bad", retries=1, pure=False)
    erred(bad)
    send(plain_client, {bad.key: Task(bad.key, fail_once, tmp_path / "tried")})
    assert finished(bad) == ["done"]


def test_what_can_not_be_helped_is_told_again(plain_client: Client) -> None:
    """One that would take what is not there errs as before; who asked hears of it, and of one that was helped."""
    bad, good = plain_client.submit(fail, "bad", pure=False), plain_client.submit(add, 1, 1)
    erred(bad)
    finished(good)
    for future in (bad, good):
        future._state.reset()
    send(
        plain_client,
        {
            bad.key: Task(bad.key, add, TaskRef("nowhere"), 1),
            good.key: Task(good.key, add, 5, 5),
            "never sent": Task("never sent", add, 1, 1),
        },
    )
    until(lambda: (bad.status, good.status) == ("error", "finished"), "nobody told")
    assert good.result() == 2


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_a_plain_client_s_task_waits_for_a_lost_entry(
    make_client: Callable[..., DiracClient], plain_client: Client, cache_folder: Path
) -> None:
    """It takes a result that errs for lack of an entry, which is computed again nevertheless, and then so is it."""
    cold = make_client()
    cold.submit(np.ones, 5000).result()
    cold.close()
    warm = make_client()
    gate = Event("gate of a lost entry", client=warm)
    with dask.annotate(cache=False):
        waiting = warm.submit(gate.wait, pure=False)
        total = warm.submit(summed, warm.submit(np.ones, 5000), waiting)
    until(lambda: total.key in warm.run_on_scheduler(_keys), "the task has not arrived")
    after = plain_client.submit(add, Future(total.key, plain_client), 1)
    until(lambda: after.key in warm.run_on_scheduler(_keys), "the plain client's task has not arrived")
    lose(cache_folder)
    gate.set()
    assert total.result(timeout=60) == 5001
    assert finished(after) == [5002]


def _keys(dask_scheduler: Any = None) -> list[Key]:
    return list(dask_scheduler.tasks)


def test_what_is_sent_is_known_before_any_answer(
    make_client: Callable[..., DiracClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer may come before sending returns: by then the client knows which run it is of."""
    client = make_client()
    known = []
    to_scheduler = client._send_to_scheduler

    def look(message: dict[str, Any]) -> None:
        if message["op"] == "update-graph":
            known.extend(client._registry.runs.get(key) is not None for key in message["keys"])
        to_scheduler(message)

    monkeypatch.setattr(client, "_send_to_scheduler", look)
    assert client.gather(client.map(abs, [-1, -2])) == [1, 2]
    assert known == [True, True]
