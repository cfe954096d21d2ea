"""What distributed holds, used inside a task of a real cluster."""

import dask
import pytest
from distributed import (
    Client,
    Event,
    LocalCluster,
    Lock,
    Queue,
    Variable,
    as_completed,
    get_client,
    get_worker,
    span,
    wait,
    worker_client,
)

from cachingclient import DiracClient
from cachingclient.worker.observe import observing


@pytest.fixture(scope="module")
def client():
    """A cluster of one worker in a process of its own."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def read_variable():
    return Variable("pt-cut").get(timeout="10s")


def read_queue():
    return Queue("toys").get(timeout="10s")


def ask_event():
    return Event("ready").is_set()


def ask_worker():
    return get_worker().address


def ask_published():
    return get_client().list_datasets()


def take_published():
    with worker_client() as client:
        return client.datasets["cuts"]


def ask_whether_published():
    with worker_client() as client:
        return "cuts" in client.datasets


def ask_by_name():
    client = get_client()
    return client.sync(client.scheduler.variable_get, name="pt-cut", timeout="10s")


def ask_address():
    return get_client().scheduler.address


def ask_text():
    with worker_client() as client:
        return repr(client)


def ask_client_of_future():
    return get_client().submit(abs, -1, pure=False).client.id


def ask_events():
    return get_client().get_events("toys")


def gather_and_scatter():
    client = get_client()
    number = client.scatter(-1)
    future = client.submit(abs, number, pure=False)
    wait(future)
    return client.gather([future]), list(as_completed([future])), future.exception()


def compute_inside():
    with worker_client() as client:
        return client.submit(abs, -1, pure=False).result()


def compute_by_client():
    return get_client().submit(abs, -1, pure=False).result()


def lock():
    with Lock("file"):
        return 1


def ask_annotations():
    return dask.get_annotations().get("priority")


def ask_setting():
    return dask.config.get("analysis.cut", 30)


def all_annotations():
    return dict(dask.get_annotations())


def delay():
    return dask.compute(dask.delayed(abs)(-1), scheduler="sync")


def observed(function):
    with observing() as seen:
        function()
    return seen.state, seen.connections, seen.drew, seen.unknown, seen.reads, seen.writes


@pytest.mark.parametrize(
    ("function", "state"),
    [
        (read_variable, {"the distributed Variable 'pt-cut'"}),
        (read_queue, {"the distributed Queue 'toys'"}),
        (ask_event, {"the distributed Event 'ready'"}),
        (ask_worker, {"the worker that it runs on"}),
        (ask_published, {"the published data sets"}),
        (take_published, {"the published data sets"}),
        (ask_whether_published, {"the published data sets"}),
        (ask_by_name, {"what Client.sync gave", "what Client.scheduler gave"}),
        (ask_address, {"what Client.scheduler gave"}),
        (ask_text, {"what Client.__repr__ gave"}),
        (ask_client_of_future, {"what Client.id gave"}),
        (ask_events, {"what Client.get_events gave"}),
        (gather_and_scatter, set()),
        (compute_inside, set()),
        (compute_by_client, set()),
        (lock, set()),
        (dask.get_annotations, {"dask's annotations"}),
        (ask_annotations, {"dask's annotations"}),
        (delay, set()),
        (ask_setting, {"dask's setting 'analysis.cut'"}),
    ],
)
def test_what_a_task_uses_of_distributed_is_told(client, function, state):
    """By use: a task that only computes through its client, or takes a lock, depends on nothing of it."""
    Variable("pt-cut").set(20)
    Queue("toys").put(1)
    client.datasets.pop("cuts", None)
    client.publish_dataset(cuts=30)
    seen = client.submit(observed, function, pure=False).result(timeout=60)
    assert seen == (state, set(), set(), set(), {}, {})


def test_annotations_are_those_of_the_call(tmp_path):
    """A step that asks for the span that it is in, by whatever name, is told no other call's."""
    url = tmp_path.as_uri()
    with DiracClient(processes=False, n_workers=1, dashboard_address=":0", cache=url, policy="all") as client:
        for ask in (dask.get_annotations, all_annotations):
            with span("2017"):
                assert client.submit(ask).result()["span"]["name"] == ("2017",)
            client.flush()
            assert client.submit(ask).result() == {}
