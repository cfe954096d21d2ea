"""Stores in S3 buckets of real servers."""

from __future__ import annotations

import itertools
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.auth
import dask
import numpy as np
import pytest

from cachingclient import DiracClient
from cachingclient.storage import StoreError, StoreUnavailable, open_store, prune, verify
from cachingclient.storage.files.access_log import AccessLog
from cachingclient.storage.files.s3 import S3Folder
from cachingclient.storage.files.store import FileSystemStore
from tests.services.s3 import Ceph, Rclone, S3Service, only_on
from tests.storage.contract import BIG, StoreContract
from tests.support.entries import entry, new_key

_numbers = itertools.count()


@pytest.fixture
def url(s3_service: S3Service) -> str:
    """A bucket of its own for each test, and in it a name that needs care."""
    bucket = f"bucket-{next(_numbers)}"
    s3_service.make_bucket(bucket)
    return f"s3://{bucket}/my cache+#é"


@pytest.fixture
def options(s3_service: S3Service) -> dict[str, Any]:
    return s3_service.options


class TestS3Store(StoreContract):
    """The contract on S3."""

    @pytest.fixture
    def url(self, url: str) -> str:
        return url

    @pytest.fixture
    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        return options

    def test_threads_that_race_for_a_key_agree(self, store: Any, s3_service: S3Service) -> None:
        """Where the server honours conditional writes exactly one wins; elsewhere what is read is one of theirs."""
        if not isinstance(s3_service, Rclone):
            super().test_threads_that_race_for_a_key_agree(store)
            return
        key = new_key()
        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(store.write, [entry(np.full(BIG, n), key) for n in range(4)]))
        value = store.read(store.find([key])[key])
        assert any(won)
        assert (value == value[0]).all()


def test_many_keys_are_looked_up_by_listing(url: str, options: dict[str, Any]) -> None:
    """A thousand keys of which a few are there are found, wherever they lie in the listings."""
    store = open_store(url, **options)
    kept = [entry(n) for n in range(10)]
    for each in kept:
        store.write(each)
    keys = [new_key() for _ in range(1000)] + [each.keys[0] for each in kept]
    assert store.find(keys).keys() == {each.keys[0] for each in kept}


@pytest.mark.parametrize("fast", [True, False], ids=["obstore", "s3fs"])
def test_many_entries_are_read_at_once(url: str, options: dict[str, Any], fast: bool) -> None:
    """With obstore where it is installed, else with s3fs: the same is found."""
    store = open_store(url, **options)
    assert isinstance(store, FileSystemStore)
    assert isinstance(store.folder, S3Folder)
    if fast:
        pytest.importorskip("obstore")
    store.folder._asked_for_fast = not fast  # as if obstore were not there
    kept = [entry(n) for n in range(80)]
    for each in kept:
        store.write(each)
    found = store.find([each.keys[0] for each in kept] + [new_key() for _ in range(20)])
    assert [store.read(found[each.keys[0]]) for each in kept] == list(range(80))
    assert (store.folder._fast is not None) == fast


def test_large_results_go_and_come_in_parts(url: str, options: dict[str, Any]) -> None:
    """More than two parts, the last one short, with frames that don't end where parts do."""
    store = open_store(url, **options)
    value = [np.arange(6_000_000), np.arange(8_000_000) * 0.5, b"x" * 77]
    kept = entry(value)
    store.write(kept)
    back = store.read(store.find(kept.keys)[kept.keys[0]])
    assert all(np.array_equal(one, other) for one, other in zip(back, value, strict=True))


def test_a_large_result_that_changed_meanwhile_leaves_nothing(url: str, options: dict[str, Any]) -> None:
    """A multipart upload with the wrong digest is aborted."""
    store = open_store(url, **options)
    array = np.zeros(14_000_000)
    kept = entry(array)
    array[-1] = 1
    with pytest.raises(StoreError, match="changed by a later step"):
        store.write(kept)
    assert store.totals()["blobs"] == (0, 0)


def test_a_store_is_copied_from_a_disk_to_a_bucket_and_back(url: str, options: dict[str, Any], tmp_path: Path) -> None:
    """With any tool that copies files: all that was kept is found, looked after and added to."""
    kept = [entry(1, new_key(), new_key()), entry(np.arange(BIG)), entry("text")]
    disk = open_store(tmp_path / "disk")
    for each in kept[:2]:
        disk.write(each)
    disk.flush()
    far: Any = open_store(url, **options)
    files = far.folder.fs
    files.put(f"{tmp_path}/disk/v1/", f"{far.folder.root}/v1/", recursive=True)
    assert verify(far).sound
    assert far.write(kept[2])
    assert not far.write(kept[0])
    files.get(f"{far.folder.root}/v1/", f"{tmp_path}/back/v1/", recursive=True)
    back = open_store(tmp_path / "back")
    assert verify(back).sound
    found = back.find([key for each in kept for key in each.keys])
    assert [back.read(found[each.keys[-1]]) for each in (kept[0], kept[2])] == [1, "text"]
    assert back.read(found[kept[1].keys[0]])[3] == 3
    for store in (far, back):
        assert sum(len(outline.rows) for outline in store.survey()) == 3
        assert prune(store, older_than=0, grace=-10).entries == 3
        assert store.totals()["blobs"] == (0, 0)


@pytest.mark.parametrize(
    ("s3_service", "in_parts"),
    [
        ("ceph", False),
        pytest.param("ceph", True, marks=pytest.mark.matrix),
        *[("moto", False), ("moto", True), ("rclone", False)],  # it copies no parts
    ],
    indirect=["s3_service"],
)
def test_files_are_moved_together(
    url: str, options: dict[str, Any], in_parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what is too large to be copied in one go, as files above 5 GB are; what is not there is left out."""
    if in_parts:
        monkeypatch.setattr("cachingclient.storage.files.s3.MOST_COPIED", 0)
        monkeypatch.setattr("cachingclient.storage.files.s3_multipart.COPIED", 5 << 20)
    folder = S3Folder(url, **options)
    names = {f"v1/blobs/{number}": f"v1/tmp/{number}" for number in range(5)}
    contents = {name: name.encode() for name in names} | {"v1/blobs/0": bytes(12_000_000)}
    for name, content in contents.items():
        folder.put([name], [memoryview(content)])
    assert folder.move_all({**names, "v1/blobs/none": "v1/tmp/none"}) == list(names)
    assert {status.name for status in folder.walk("v1")} == set(names.values())
    assert all(folder.fetch([new])[new] == contents[name] for name, new in names.items())
    with pytest.raises(FileNotFoundError):
        folder.move("v1/blobs/none", "v1/tmp/none")


@only_on("ceph", "moto")
def test_an_unknown_bucket_is_named(s3_service: S3Service) -> None:
    """It is not taken for an empty store."""
    with pytest.raises(StoreUnavailable, match="no-such-bucket"):
        open_store("s3://no-such-bucket/cache", **s3_service.options)


@only_on("ceph")
def test_wrong_credentials_are_refused_when_opening(s3_service: Ceph) -> None:
    """With an error that says so."""
    s3_service.make_bucket("guarded")
    with pytest.raises(StoreUnavailable, match="refuses us"):
        open_store("s3://guarded/cache", **{**s3_service.options, "secret": "wrong"})


@only_on("ceph")
def test_a_clock_that_is_wrong_is_told(s3_service: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers refuse what seems to be signed long ago, and say so in their own words."""
    s3_service.make_bucket("skewed")
    now = botocore.auth.get_current_datetime
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *arguments: now(*arguments) + timedelta(hours=1))
    with pytest.raises(StoreUnavailable, match=r"refuses us: .*RequestTimeTooSkewed"):
        open_store("s3://skewed/cache", **s3_service.options)


def test_an_unreachable_host_is_given_up_in_time() -> None:
    """Opening fails with a StoreUnavailable that names the store."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match="s3://bucket/cache"):
            open_store("s3://bucket/cache", endpoint_url=endpoint, key="k", secret="s")


@only_on("ceph")
def test_what_may_not_be_removed_is_told(s3_service: Ceph) -> None:
    """S3 answers such a request with success, and says in it what failed."""
    s3_service.make_bucket("kept")
    kept = entry(1)
    open_store("s3://kept/cache", **s3_service.options).write(kept)
    s3_service.let_read("kept", "visitor", "visitorkey", "visitorsecret")
    visitor = open_store("s3://kept/cache", **{**s3_service.options, "key": "visitorkey", "secret": "visitorsecret"})
    with pytest.raises(StoreUnavailable, match=r"can't be removed|refuses us"):
        visitor.delete(kept.keys)
    assert visitor.find(kept.keys)


def test_what_short_lived_workers_read_counts_as_used(url: str, options: dict[str, Any]) -> None:
    """Uses are written minutes apart, and at the latest when a worker or a client ends."""
    store: Any = open_store(url, **options)
    step = dask.delayed(np.arange)(BIG)
    for _ in ("cold", "warm"):
        with DiracClient(n_workers=1, cache=store, policy="all", dashboard_address=":0") as client:
            assert client.compute(step, sync=True)[-1] == BIG - 1
    used = AccessLog(store.folder).read()
    assert store.find(used)
