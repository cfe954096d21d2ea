"""What the page on engines says of pools, and that no other test runs."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, get_worker

from cachingclient.vine import VineCluster
from tests.vine.pools import POOLS, OutOfBeam, end_process, place_for

pytestmark = pytest.mark.services


@pytest.fixture(scope="module", params=POOLS)
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VineCluster]:
    """A worker in the pool of an engine that has one."""
    name: str = request.param
    with place_for(name, tmp_path_factory.mktemp(name)), VineCluster({"RAL": 1}, engine=name) as cluster:
        yield cluster


@pytest.fixture
def there(pool: VineCluster) -> Iterator[Client]:
    """distributed's own client on it."""
    with Client(pool, set_as_default=False) as client:
        client.wait_for_workers(1)
        yield client


def text(length: int) -> str:
    return "x" * length


def fails_by_a_variable(run: int) -> None:
    try:
        raise KeyError(contextvars.ContextVar("beam"))
    except KeyError as error:
        raise OutOfBeam(run, "no beam") from error


def dies(note: Path) -> None:
    with note.open("a") as file:
        file.write("ran\n")
    end_process()


def test_a_process_that_dies_is_run_four_times(there: Client, tmp_path: Path) -> None:
    """Once, and again three times at most."""
    with pytest.raises(RuntimeError, match="exit code"):
        there.submit(dies, tmp_path / "note", pure=False).result(timeout=300)
    assert (tmp_path / "note").read_text() == "ran\n" * 4


def test_small_results_are_no_files(pool: VineCluster, there: Client) -> None:
    """Up to 16 kB they travel with the record of their task; handles stand for larger ones."""
    small, large = there.map(text, [16_000, 17_000], pure=False)
    assert [len(each) for each in there.gather([small, large])] == [16_000, 17_000]
    whole = {each.stat().st_size for each in Path(pool.engine.folder).rglob("*") if each.is_file()}
    assert not [size for size in whole if 16_000 <= size < 17_000]
    assert [size for size in whole if 17_000 <= size < 18_000]


def test_what_runs_in_the_proxy_and_what_is_not_to_be_had(there: Client) -> None:
    """`Client.run` is in the client's process, where a site's dask worker is; tasks have no worker, nor actors one."""
    assert list(there.run(os.getpid).values()) == [os.getpid()]
    assert there.submit(os.getpid, pure=False).result() != os.getpid()
    with pytest.raises(ValueError, match="No worker found"):
        there.submit(get_worker, pure=False).result()


def test_an_error_that_comes_of_what_can_not_be_sent_is_the_users_own(there: Client) -> None:
    """What it was raised from, which can't be pickled, is told in a note."""
    with pytest.raises(OutOfBeam, match="no beam") as raised:
        there.submit(fails_by_a_variable, 5, pure=False).result()
    assert raised.value.run == 5
    assert "KeyError: <ContextVar name='beam'" in "".join(raised.value.__notes__)
    assert raised.traceback[-1].name == "fails_by_a_variable"
