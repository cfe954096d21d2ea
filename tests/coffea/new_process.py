"""Steps that find the store of a test, in a process that remembers nothing."""

from __future__ import annotations

from collections.abc import Iterator

import dask
import pytest

from cachingclient.warn_once import NoteKeeper
from cachingclient.worker import direct_call
from cachingclient.worker.context import configured_context
from cachingclient.worker.process import process
from cachingclient.worker.recent_results import recent_results

pytest.importorskip("coffea.processor")

from coffea.nanoevents import NanoAODSchema


@pytest.fixture(autouse=True)
def as_in_a_new_process(monkeypatch: pytest.MonkeyPatch, store_url: str) -> Iterator[None]:
    """Steps use this test's store, here and in the processes of pools, with nothing remembered."""
    monkeypatch.setattr(NanoAODSchema, "warn_missing_crossrefs", False)
    monkeypatch.setattr(direct_call, "_notes", NoteKeeper())
    monkeypatch.setenv("DASK_CACHINGCLIENT__STORE", store_url)
    monkeypatch.setenv("DASK_CACHINGCLIENT__POLICY", "all")
    with dask.config.set({"cachingclient.store": store_url, "cachingclient.policy": "all"}):
        forget()
        yield
    forget()


def forget() -> None:
    """Forget what a process remembers; what is in the store stays."""
    process().writer.flush()
    configured_context.cache_clear()
    recent_results().clear()
    process().not_worth.clear()
