"""What the page on clusters of others says of modules that are sent along, at workers that have the package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import pytest
from distributed import LocalCluster

from cachingclient import CacheWarning, DiracClient
from cachingclient.client.ship import Parcel, _own_package, _zip

Module = Callable[..., object]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    """Write a module of the user's, and import it here."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "mine")])
    (tmp_path / "mine").mkdir()
    written: set[str] = set()

    def write(name: str, cut: int) -> object:
        (tmp_path / "mine" / f"{name}.py").write_text(f"def passes(pt):\n    return pt > {cut}  # {'-' * cut}\n")
        written.add(name)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """A cluster whose workers the test starts."""
    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


def where(name: str) -> tuple[str, bool]:
    """Where a worker has a module, and whether that stands at the end of its path."""
    found = str(importlib.import_module(name).__file__)
    return found, found.startswith(sys.path[-1])


def passes(name: str, pt: int) -> bool:
    return bool(importlib.import_module(name).passes(pt))


def add_worker(cluster: LocalCluster, client: DiracClient, workers: int, folder: str) -> None:
    """Start a worker without a folder on its path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [each for each in sys.path if each != folder])
        cluster.scale(workers)
        client.wait_for_workers(workers, timeout=300)


def test_modules_reach_workers_that_come_later(
    cluster: LocalCluster, module: Module, tmp_path: Path, store_url: str
) -> None:
    """Each has them in a folder of its own at the end of its path; what is sent again, edited, is what runs."""
    cuts, mine = module("cuts_of_mine", 30), str(tmp_path / "mine")
    with DiracClient(cluster, cache=store_url, policy="all") as client:
        add_worker(cluster, client, 1, mine)
        with pytest.raises(ModuleNotFoundError):
            client.run(where, "cuts_of_mine")
        client.ship(cuts)  # type: ignore[arg-type]
        add_worker(cluster, client, 2, mine)
        places = client.run(where, "cuts_of_mine").values()
        assert [at_the_end and "cachingclient-shipped" in place for place, at_the_end in places] == [True] * 2
        assert len({place for place, _ in places}) == 2
        assert set(client.run(passes, "cuts_of_mine", 32).values()) == {True}
        client.ship(module("cuts_of_mine", 35))  # type: ignore[arg-type]
        assert set(client.run(passes, "cuts_of_mine", 32).values()) == {False}


def test_what_is_installed_stays(cluster: LocalCluster, module: Module, tmp_path: Path, store_url: str) -> None:
    """A worker that has a module of the name goes on with its own, whatever is in it."""
    other = tmp_path / "installed"
    other.mkdir()
    (other / "cuts_of_theirs.py").write_text("def passes(pt):\n    return 'theirs'\n")
    cuts = module("cuts_of_theirs", 30)
    with DiracClient(cluster, cache=store_url) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(other), *sys.path])
        add_worker(cluster, client, 1, str(tmp_path / "mine"))
        client.ship(cuts)  # type: ignore[arg-type]
        assert [place for place, _ in client.run(where, "cuts_of_theirs").values()] == [
            str(other / "cuts_of_theirs.py")
        ]


def test_what_was_compiled_goes_to_the_same_python_alone(cluster: LocalCluster, tmp_path: Path, store_url: str) -> None:
    """On the same kind of machine; the others are left without, and go on."""
    here = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
    packed = _own_package()
    assert (packed["cachingclient"][1], packed["xxhash"][1]) == ("", here)
    (tmp_path / "libraries").mkdir()
    for name in ("compiled_here", "compiled_elsewhere"):
        (tmp_path / "libraries" / f"{name}.py").touch()
    sent = {
        "compiled_here": (_zip(tmp_path / "libraries/compiled_here.py"), here),
        "compiled_elsewhere": (_zip(tmp_path / "libraries/compiled_elsewhere.py"), "cpython-39-linux-riscv64"),
    }
    with DiracClient(cluster, cache=store_url) as client:
        add_worker(cluster, client, 1, "")
        client.register_plugin(Parcel(sent, {}))
        found = client.run(lambda: [importlib.util.find_spec(name) is not None for name in sent])
        assert list(found.values()) == [[True, False]]


def test_a_scheduler_that_refuses_to_run_functions_gets_nothing(module: Module, tmp_path: Path, store_url: str) -> None:
    """A warning says so; the workers get the modules all the same."""
    blocked = {"distributed.scheduler.blocked-handlers": ["run_function"]}
    with (
        dask.config.set(blocked),
        LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0") as cluster,
        DiracClient(cluster, cache=store_url) as client,
    ):
        cuts = module("cuts_for_workers", 3)
        add_worker(cluster, client, 1, str(tmp_path / "mine"))
        with pytest.warns(CacheWarning, match="nothing was sent to the scheduler, which refused it"):
            client.ship(cuts)  # type: ignore[arg-type]
        assert set(client.run(passes, "cuts_for_workers", 4).values()) == {True}
