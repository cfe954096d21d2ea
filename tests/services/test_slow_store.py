"""A store that stops answering in the middle of a run, and answers again later."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator

import dask
import pytest
from distributed import LocalCluster

from cachingclient import CacheWarning, DiracClient, open_store
from cachingclient.storage import Store, StoreUnavailable
from tests.services.webdav import Front, WebDAV, front
from tests.support.entries import new_key


def square(x: int) -> list[int]:
    return [x * x] * 1000


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What requests wait for: open at first, and at the end, so that nobody waits for ever."""
    gate = threading.Event()
    gate.set()
    yield gate
    gate.set()


@pytest.fixture
def store(webdav_service: WebDAV, gate: threading.Event) -> Iterator[Store]:
    with front(webdav_service.port, gate=gate) as url:
        yield open_store(f"{url}/slow-{new_key()[:8]}", **webdav_service.options)
        gate.set()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of the requests that came to the server."""
    asked: list[str] = []
    parse = Front.parse_request

    def parsed(self: Front) -> bool:
        well = parse(self)
        asked.append(self.command)
        return well

    monkeypatch.setattr(Front, "parse_request", parsed)
    return asked


def analyse(client: DiracClient, numbers: range) -> int:
    """Run a step for each number; return how many ran."""
    found = client.compute([dask.delayed(square)(number) for number in numbers], sync=True)
    assert [each[0] for each in found] == [number * number for number in numbers]
    assert client.report is not None
    return client.report.summary().total.ran


def test_a_run_goes_on_while_its_store_does_not_answer(
    cluster: LocalCluster, store: Store, gate: threading.Event
) -> None:
    """Results are there while not one request is answered, and the user is told; what was kept is found later."""
    with (
        dask.config.set({"cachingclient.timeouts.look-up": "2s"}),
        DiracClient(cluster, cache=store, policy="all") as client,
    ):
        assert analyse(client, range(5)) == 5
        client.flush()
        gate.clear()
        with warnings.catch_warnings(record=True, action="always") as seen:
            assert analyse(client, range(20)) == 20  # of the first five nobody can tell that they are kept
        assert [each for each in seen if issubclass(each.category, CacheWarning) and store.url in str(each.message)]
        gate.set()
        client.flush()
    store.folder._away_until = 0.0  # type: ignore[attr-defined]  # as if its rest of half a minute were over
    with DiracClient(cluster, cache=store, policy="all") as client:
        # Workers leave it alone still.
        plan = client.plan(*[dask.delayed(square)(number) for number in range(5)])
        assert {step.action for step in plan.steps.values()} == {"load"}


def test_a_look_up_is_given_up_once(store: Store, gate: threading.Event, asked: list[str]) -> None:
    """After the setting's time, and not tried again, which would take as long; later ones are refused at once."""
    gate.clear()
    del asked[:]
    with dask.config.set({"cachingclient.timeouts.look-up": "0.3s"}):
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=r"Read timed out. \(read timeout=0\.3\)"):
                store.find([new_key()])
    assert asked == ["GET"]
