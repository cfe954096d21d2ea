"""A client that finds a chain, a store of one run, and what is recorded here."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from cachingclient import DiracClient
from cachingclient.hashing.environment.environment import Environment
from cachingclient.plan.policy import KeepAll
from cachingclient.storage import Store, open_store
from cachingclient.worker.context import Context
from cachingclient.worker.process import process
from tests.worker.chains import EXPECTED, chain
from tests.worker.running import Heard


@pytest.fixture
def warm(make_client: Callable[..., DiracClient]) -> DiracClient:
    """A client whose store has all of the chain."""
    cold = make_client()
    assert cold.gather(chain(cold)[-1]) == EXPECTED
    cold.close()
    return make_client()


@pytest.fixture
def store(store_url: str) -> Store:
    """A fresh file store."""
    return open_store(store_url)


@pytest.fixture
def context(store: Store) -> Context:
    """What the steps of one run share."""
    return Context(f"test-{uuid.uuid4().hex}/1", store, KeepAll(), Environment(), "stat")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Listens to the records of this process, which no worker stands for: what a test before this one left is gone."""
    heard = Heard()
    monkeypatch.setattr(process(), "_worker", None)
    monkeypatch.setattr(process(), "tell", heard)
    return heard
