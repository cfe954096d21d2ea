"""What went wrong once between clients, schedulers and the store, each case on its own."""

from __future__ import annotations

import warnings

import pytest


@pytest.mark.filterwarnings("ignore::cachingclient.CacheWarning")
def test_lost_entry_of_a_future_in_a_variable(make_client, cache_folder, monkeypatch) -> None:
    """A lost entry is computed again under a key that a variable holds too."""
    from distributed import Variable

    from tests.test_recovery import Losing, block

    cold = make_client()
    cold.submit(block, 3).result()
    cold.close()
    warm = make_client()
    monkeypatch.setattr(warm, "_find", Losing(warm, cache_folder, "blobs"))
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
    from tests.test_recovery import Losing, block

    cold = make_client()
    cold.submit(block, 3).result()
    cold.close()
    warm = make_client()
    monkeypatch.setattr(warm, "_find", Losing(warm, cache_folder, "blobs"))
    with warnings.catch_warnings(action="error"):
        assert int(warm.submit(block, 3).result(timeout=300)[0]) == 3
