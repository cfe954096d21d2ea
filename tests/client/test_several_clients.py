"""Several clients on one scheduler, caching ones and plain ones, and futures that go from one to another."""

from __future__ import annotations

from collections.abc import Callable

from distributed import (
    Client,
    Queue,
    Variable,
)

from cachingclient import DiracClient
from tests.client.chains import chain, double, increment


def test_plain_and_caching_client_on_one_scheduler(
    make_client: Callable[..., DiracClient], plain_client: Client
) -> None:
    """A plain client's futures of the same keys are shared, not spoilt."""
    caching = make_client()
    theirs, ours = plain_client.submit(increment, 1), caching.submit(increment, 1)
    assert (theirs.result(), ours.result()) == (2, 2)
    loaded = make_client()
    assert loaded.submit(double, loaded.submit(increment, 1)).result() == 4


def test_two_caching_clients_with_the_same_graph(make_client: Callable[..., DiracClient]) -> None:
    """Two caching clients that compute the same at once get the same."""
    first, second = make_client(), make_client()
    collection = chain()[2]
    futures = [client.compute(collection) for client in (first, second)]
    assert [future.result() for future in futures] == [12, 12]


def test_variables_and_queues(client: DiracClient) -> None:
    """Futures that travel through variables and queues are inputs as ever."""
    future = client.submit(increment, 1)
    variable, queue = Variable(client=client), Queue(client=client)
    variable.set(future)
    queue.put(future)
    assert client.submit(double, variable.get()).result() == 4
    assert client.submit(double, queue.get()).result() == 4
    variable.delete()
    queue.close()


def test_future_of_another_client_is_never_guessed(make_client: Callable[..., DiracClient]) -> None:
    """A key whose step this client does not know makes what follows uncacheable by key, with the reason."""
    owner, guest = make_client(), make_client()
    variable = Variable("shared", client=owner)
    variable.set(owner.submit(increment, 1))
    received = Variable("shared", client=guest).get()
    assert guest.submit(double, received).result() == 4
    assert guest.report is not None
    step = guest.report.plan.steps[guest.submit(double, received).key]
    assert step.step_key is None
    assert "increment" in step.reason
    variable.delete()


def test_published_data_sets(make_client: Callable[..., DiracClient]) -> None:
    """A published collection can be computed on by another client."""
    owner, guest = make_client(), make_client()
    persisted = owner.persist(chain()[2])
    owner.publish_dataset(persisted, name="chain")
    try:
        assert guest.get_dataset("chain").compute() == 12
    finally:
        owner.unpublish_dataset("chain")
