"""What a client says to what it does not take, and after its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster
from fsspec.registry import _registry

from cachingclient import CacheWarning, DiracClient, open_store, register_hasher, step
from cachingclient.config import ConfigurationError


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cachingclient.polcy", "cachingclient.policy"),
        ("cachingclient.timeouts.flsh", "cachingclient.timeouts.flush"),
        ("cachingclient_store", "cachingclient.store"),  # DASK_CACHINGCLIENT_STORE
        ("cachingclint.store", "cachingclient"),
    ],
)
def test_a_name_that_no_setting_has_is_an_error_with_the_nearest(name: str, meant: str) -> None:
    """Else an analysis would run all day with a setting that has no effect."""
    with (
        dask.config.set({name: "all"}),
        pytest.raises(ConfigurationError, match=rf"is no setting; did you mean {meant}"),
    ):
        DiracClient("tcp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("DASK_CACHINGCLIENT__STOER", "did you mean cachingclient.store (DASK_CACHINGCLIENT__STORE)?"),
        ("DASK_CACHINGCLIENT_STORE", "did you mean cachingclient.store (DASK_CACHINGCLIENT__STORE)?"),
        ("CACHINGCLIENT__STORE", "did you mean DASK_CACHINGCLIENT__STORE?"),
    ],
)
def test_a_misspelled_variable_is_an_error_with_the_right_one(variable: str, said: str, tmp_path: Path) -> None:
    """Of the command line too, which would look at another store; the right one is used."""
    look = [sys.executable, "-m", "cachingclient.cli", "list"]
    told = subprocess.run(look, env={variable: tmp_path.as_uri()}, capture_output=True, text=True, check=False)
    assert (told.returncode, said in told.stderr) == (2, True), told.stderr
    right = {"DASK_CACHINGCLIENT__STORE": tmp_path.as_uri()}
    assert tmp_path.as_uri() in subprocess.run(look, env=right, capture_output=True, text=True, check=False).stderr


def test_a_misspelled_keyword_is_an_error_with_the_nearest() -> None:
    """Before a cluster is started; what clusters and workers take is theirs."""
    with pytest.raises(TypeError, match="DiracClient has no argument 'polcy'; did you mean 'policy'"):
        DiracClient(polcy="all")
    with pytest.raises(TypeError, match="has no argument 'adress'; did you mean 'address'"):
        DiracClient(adress="tcp://127.0.0.1:1")
    with pytest.raises(TypeError, match=r"has no argument 'keep_budget'; it is the setting cachingclient.keep-budget"):
        DiracClient(keep_budget="10%")


def test_keywords_of_clusters_and_workers_are_handed_on(store_url: str) -> None:
    """Also those of a worker's bases."""
    words = {
        "n_workers": 1,
        "threads_per_worker": 1,
        "memory_limit": "1GB",
        "local_directory": None,
        "death_timeout": 60,
    }
    with DiracClient(processes=False, dashboard_address=None, cache=store_url, **words) as client:
        assert client.submit(pow, 2, 5).result() == 32


@pytest.mark.parametrize("cache", [True, 5, ["file:///scratch"]])
def test_a_cache_that_is_no_place_is_named(cache: Any) -> None:
    """With what it takes."""
    with pytest.raises(TypeError, match=r"cache is .*; it takes a URL, a path, a Store, or False for none"):
        DiracClient("tcp://127.0.0.1:1", cache=cache)


@pytest.mark.parametrize("url", ["s3:/bucket", "s3//bucket", "S3//bucket"])
def test_a_url_that_lacks_something_is_no_path(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be a folder in the working folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is no path; did you mean 's3://bucket'"):
        DiracClient("tcp://127.0.0.1:1", cache=url)
    assert not list(tmp_path.iterdir())


def test_an_unknown_option_of_a_store_is_named(store_url: str) -> None:
    """With the nearest."""
    with pytest.raises(TypeError, match=f"store '{store_url}' takes no option 'trus'; did you mean 'trust'"):
        open_store(store_url, trus="signed")


def test_a_library_that_lacks_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip takes it."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules, "cachingclient.storage.files.s3", raising=False)
    monkeypatch.delitem(_registry, "s3", raising=False)  # another test may have used it
    with pytest.raises(ImportError, match=r"store 's3://nowhere/x': .*pip install 'cachingclient\[s3\]'"):
        open_store("s3://nowhere/x")


@pytest.mark.parametrize("resources", [["cores"], 3, "cores"])
def test_resources_that_are_no_dict_are_named(resources: Any) -> None:
    """With an example."""
    with pytest.raises(TypeError, match=r"resources is .*; it takes a dict, such as \{'cores': 2"):
        step(resources=resources)


def test_an_unknown_option_of_an_annotation_is_a_warning_with_the_nearest(
    cluster: LocalCluster, store_url: str
) -> None:
    """The graph runs all the same."""
    client = DiracClient(cluster, cache=store_url)
    with client, dask.annotate(cache={"tll": 3}), pytest.warns(CacheWarning, match="has 'tll'; did you mean 'ttl'"):
        assert client.submit(pow, 2, 6).result() == 64


def test_an_annotation_that_is_neither_flag_nor_options_is_a_warning(cluster: LocalCluster, store_url: str) -> None:
    """Around `submit`, as in a graph: cache="no" would keep results."""
    client = DiracClient(cluster, cache=store_url)
    with client, dask.annotate(cache="no"), pytest.warns(CacheWarning, match="cache is 'no'; it takes True, False or"):
        assert client.submit(pow, 2, 8).result() == 256


def test_what_a_client_can_not_tell_of_is_named(cluster: LocalCluster, store_url: str) -> None:
    """Also what comes in the place of a plan, of a module, or of a path."""
    told = dask.delayed(pow)(2, 3)
    with DiracClient(cluster, cache=store_url) as client:
        calls: list[tuple[Callable[[], Any], str]] = [
            (client.plan, "plan takes dask collections, got nothing"),
            (lambda: client.plan(told, 3), "plan takes dask collections, got Delayed, int"),
            (lambda: client.explain(told, 3), "plan is a int; it takes what"),
            (lambda: client.explain("pow", told), "plan is a Delayed; it takes what"),
            (lambda: client.ship(token=3), "credentials: the token is 3; it takes the path"),
            (lambda: client.plan(told).picture(3), "path is 3; it takes that of a file"),
        ]
        for call, said in calls:
            with pytest.raises(TypeError, match=said):
                call()
        with pytest.raises(ValueError, match="modules has 3; it takes modules with a file, or their names"):
            client.ship(3)


def test_a_hasher_of_nothing_is_named() -> None:
    """A name without its module is that of no type."""
    with pytest.raises(TypeError, match=r"kind must be a type or its full name as 'module.Type', got 'Cut'"):
        register_hasher("Cut")
    with pytest.raises(TypeError, match="register_hasher marks a function"):
        register_hasher(Callable)(3)  # type: ignore[arg-type, type-var]


def test_after_close_everything_says_so(cluster: LocalCluster, store_url: str) -> None:
    """Whatever is asked of the scheduler or the workers; reports are still there."""
    client = DiracClient(cluster, cache=store_url)
    future = client.submit(pow, 2, 7)
    assert future.result() == 128
    client.close()
    calls: list[Callable[[], Any]] = [
        client.flush,
        client.ship,
        client.who_has,
        lambda: client.scatter([1]),
        lambda: client.plan(dask.delayed(pow)(2, 3)),
        lambda: client.explain(future),
    ]
    for call in calls:
        with pytest.raises(RuntimeError, match="this client is closed; its reports are still there"):
            call()
    assert "1 of 1 steps ran" in str(client.report)
