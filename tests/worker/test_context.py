"""What the steps of a graph share: it is sent with each of them, so it is packed once for all graphs of a client."""

from __future__ import annotations

import dataclasses
import pickle

from cachingclient import config
from cachingclient.plan.policy import KeepAll
from cachingclient.storage import open_store
from cachingclient.worker.context import Context


def test_packed_once_for_all_runs() -> None:
    """Contexts of several runs arrive as they were sent, and share the store that they arrive with."""
    store = open_store("memory://test_context")
    packed = Context("", store, KeepAll(), config.environment(), config.inputs(), True, False, 3.0).pack()
    runs = [dataclasses.replace(packed, run=name) for name in ("one", "two")]
    for arrived, sent in zip(pickle.loads(pickle.dumps(runs)), runs, strict=True):
        assert (arrived.run, arrived.store.url, type(arrived.policy)) == (sent.run, store.url, KeepAll)
        assert (arrived.overwrite, arrived.keep, arrived.patience) == (True, False, 3.0)
        assert arrived.environment == sent.environment
    one, two = (pickle.loads(pickle.dumps(each)) for each in runs)
    assert one.store is two.store


def test_a_context_that_was_not_packed() -> None:
    """A context pickles also where nobody packed it."""
    context = Context("run", open_store("memory://test_context"), KeepAll(), config.environment(), config.inputs())
    assert pickle.loads(pickle.dumps(context)).run == "run"
