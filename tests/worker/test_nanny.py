"""Workers that this package starts keep the memory that they free, where the user has not said otherwise."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import psutil
import pytest
from distributed import Client, LocalCluster, Security

from cachingclient import DiracClient
from cachingclient.vine.launch.launch import worker_spec
from cachingclient.vine.sites import Site
from cachingclient.worker.nanny import KEEP_MEMORY, Nanny, choose


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """The environment without the variables, which nannies leave behind."""
    before = dict(os.environ)
    for name in KEEP_MEMORY:
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


def at_start() -> dict[str, str]:
    """Return what this process started with: what dask sets afterwards the allocator does not see."""
    return {name: psutil.Process().environ()[name] for name in KEEP_MEMORY}


def faults_of_arrays() -> int:
    """Return how many pages are faulted in while ten arrays of 4 MiB after another are made and dropped."""
    held = [bytearray(b"x" * (4 << 20)) for _ in range(2)]  # the heap has grown as far as it has to
    del held
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        bytearray(b"x" * (4 << 20))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the variables are glibc's")
def test_arrays_find_the_memory_of_those_before_them(tmp_path: Path) -> None:
    """In a cluster that the client starts, hardly a page is faulted in again; dask's own nannies give each back."""
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with Client(**options) as plain:
        [theirs] = plain.run(faults_of_arrays).values()
    with DiracClient(cache=str(tmp_path), **options) as client:
        [told] = client.run(at_start).values()
        [ours] = client.run(faults_of_arrays).values()
        client.cluster.scale(2)
        client.wait_for_workers(2)
        assert [each for each in client.run(at_start).values() if each != KEEP_MEMORY] == []
    assert told == KEEP_MEMORY
    assert ours * 10 < theirs


def test_what_the_user_sets_stays() -> None:
    """By dask's configuration, whatever a nanny before has left, or by the environment."""
    os.environ |= {"MALLOC_TRIM_THRESHOLD_": KEEP_MEMORY["MALLOC_TRIM_THRESHOLD_"], "MALLOC_MMAP_THRESHOLD_": "1000000"}
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2000000}),
        LocalCluster(n_workers=1, threads_per_worker=1, worker_class=Nanny, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        [told] = client.run(at_start).values()
    assert told == {"MALLOC_TRIM_THRESHOLD_": "2000000", "MALLOC_MMAP_THRESHOLD_": "1000000"}


@pytest.mark.parametrize("options", [{"processes": False}, {"processes": 0}, {"worker_class": object}])
def test_who_wants_other_workers_gets_them(options: dict[str, object]) -> None:
    """Threads, or a class of the user's."""
    given = dict(options)
    choose(given)
    assert given == options


def test_jobs_of_batch_systems_export_them() -> None:
    """And a site's own environment comes after."""
    pytest.importorskip("dask_jobqueue")
    site = Site("RAL", how="slurm", memory_limit="1 GiB", environment={"MALLOC_TRIM_THRESHOLD_": "5"})
    cluster: Any = SimpleNamespace(environment=None, protocol="tls://", security_in_files=Security)
    prologue = worker_spec(site, cluster)["options"]["job_script_prologue"]
    assert "export MALLOC_MMAP_THRESHOLD_=33554432" in prologue
    assert "export MALLOC_TRIM_THRESHOLD_=5" in prologue
