"""What went wrong once between clients, schedulers and the store, each case on its own."""

from __future__ import annotations

import warnings

import pytest

from tests.support.waiting import until


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_lost_entry_of_a_future_in_a_variable(make_client, cache_folder, monkeypatch) -> None:
    """A lost entry is computed again under a key that a variable holds too."""
    from distributed import Variable

    from tests.client.test_recovery import Losing, block

    cold = make_client()
    cold.submit(block, 3).result()
    cold.close()
    warm = make_client()
    monkeypatch.setattr(warm._submission, "find", Losing(warm, cache_folder, "blobs"))
    variable = Variable(client=warm)
    future = warm.submit(block, 3)
    variable.set(future)
    try:
        assert int(future.result(timeout=300)[0]) == 3
        assert int(variable.get().result(timeout=300)[0]) == 3
    finally:
        variable.delete()


def test_lost_entry_with_warnings_as_errors(make_client, cache_folder, monkeypatch) -> None:
    """Whoever turns warnings into errors gets an error or a result, and never waits for ever."""
    from tests.client.test_recovery import Losing, block

    cold = make_client()
    cold.submit(block, 3).result()
    cold.close()
    warm = make_client()
    monkeypatch.setattr(warm._submission, "find", Losing(warm, cache_folder, "blobs"))
    with warnings.catch_warnings(action="error"):
        assert int(warm.submit(block, 3).result(timeout=300)[0]) == 3


def test_step_between_that_is_let_go_of_while_it_is_asked_for(make_client, monkeypatch) -> None:
    """A step between two of an earlier graph is sent whole, though that graph goes while this one is planned."""
    from cachingclient.client.submit import Submission

    client = make_client()
    between = {"between": (abs, -1)}
    last = client.get({**between, "last": (abs, "between")}, "last", sync=False)
    assert last.result(timeout=300) == 1
    planned = Submission._make_plan

    def while_it_goes(*args, **kwargs):
        plan = planned(*args, **kwargs)
        last.release()
        until(lambda: "last" not in client.futures, "it goes", seconds=60)
        return plan

    monkeypatch.setattr(Submission, "_make_plan", while_it_goes)
    assert client.get(between, "between") == 1
