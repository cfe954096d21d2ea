"""A real environment with an editable analysis: packed, unpacked elsewhere, and workers of several kinds in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cachingclient import DiracClient
from cachingclient.environments import Environment
from cachingclient.environments.environment import ENTER
from cachingclient.vine import VineCluster
from tests.environments.made import MODULE, Made, call, make
from tests.vine.pools import ENGINES, place_for

pytestmark = [pytest.mark.slow, pytest.mark.services]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="module")
def environment(made: Made) -> Environment:
    """The environment as ``cachectl env pack`` packs it."""
    done = made.run("cachectl", "env", "pack", "--folder", made.kept, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "building cuts from" in done.stderr
    assert "packing" in done.stderr
    told = json.loads(done.stdout)
    assert {name: len(commit.rstrip("+")) for name, commit in told["editable"].items()}["cuts"] == 40
    return Environment(packed=told["archive"], digest=told["digest"], modules=())


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where hosts keep it: one folder for all tests, as a site has one, that only the first unpacks into."""
    folder = tmp_path_factory.getbasetemp() / "site-of-environments"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CACHINGCLIENT_ENVIRONMENTS", str(folder))
        yield folder


def enter(environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in it as a worker is."""
    command = ["sh", "-c", ENTER, "enter.sh", *environment.entered_from(environment.place), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


def test_what_was_editable_is_in_it(environment: Environment, made: Made, site: Path) -> None:
    """Built, with its programs, of the source as it was; nothing of it is in the folders that it was made of."""
    code = "import cuts, cachingclient, dask, sys; print(cuts.__file__, cachingclient.__file__, dask.__file__)"
    done = enter(environment, "-c", f"{code}; import subprocess; subprocess.run(['pt-cut'])")
    assert done.returncode == 0, done.stderr
    *places, cut = done.stdout.split()
    unpacked = site / environment.digest
    assert all(Path(place).is_relative_to(unpacked) for place in places)
    assert (len(places), cut) == (3, "25")
    assert (made.source / ".git").exists()
    assert not (made.source / "build").exists()
    modules = [path.read_text() for path in unpacked.glob("lib/python3.*/site-packages/*.pth")]
    assert not any(str(made.source) in text for text in modules)


def test_only_a_change_packs_it_again(environment: Environment, made: Made) -> None:
    """Asked for again, it is what it was; an edit of the editable package makes another, and taken back the first."""
    auto = "from cachingclient.environments import Environment as E; e = E.auto({!r}); print(e.packed, e.digest)"
    ask = auto.format(str(made.kept))
    assert made.python(ask).split() == [environment.packed, environment.digest]
    before = made.lock()
    made.module.write_text(MODULE.replace("25", "30"))
    edited = made.lock()
    made.module.write_text(MODULE)
    assert made.lock() == before != edited


def test_what_lies_beside_distributions_counts(environment: Environment, made: Made) -> None:
    """A module that was put there by hand; a folder that only a path file names can't be packed, which is said."""
    before = made.lock()
    (packages,) = made.prefix.glob("lib/python3.*/site-packages")
    (packages / "by_hand.py").write_text("x = 1\n")
    one = made.lock()
    (packages / "by_hand.py").write_text("x = 2\n")
    assert len({before, one, made.lock()}) == 3
    (packages / "by_hand.py").rename(packages / "by_hand.pth")
    (packages / "by_hand.pth").write_text(f"{made.source.parent}\n")
    done = made.run("cachectl", "env", "pack", "--folder", made.kept)
    (packages / "by_hand.pth").unlink()
    assert done.returncode == 2
    assert f"by_hand.pth takes modules from {made.source.parent}, which is not packed" in done.stderr
    assert made.lock() == before


def test_what_comes_from_elsewhere_is_said(environment: Environment, made: Made, tmp_path: Path) -> None:
    """A library on the path that is not in the environment would be missing in the pack."""
    description = tmp_path / "weights-1.0.dist-info"
    description.mkdir()
    (description / "METADATA").write_text("Metadata-Version: 2.1\nName: weights\nVersion: 1.0\n")
    (description / "WHEEL").write_text("Wheel-Version: 1.0\n")
    done = made.run("cachectl", "env", "pack", "--folder", made.kept, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert f"takes weights from {tmp_path}, which is not packed" in done.stderr


def test_one_that_lacks_the_package_is_refused(made: Made, tmp_path: Path) -> None:
    """As is a Python that is no environment: the error says what is taken."""
    call(sys.executable, "-m", "uv", "venv", "--quiet", tmp_path / "bare")
    (packages,) = made.prefix.glob("lib/python3.*/site-packages")
    code = "from cachingclient.environments.lock import read_lock; read_lock()"
    for python, said in (
        (tmp_path / "bare" / "bin" / "python", "which is not packed"),
        (
            (made.prefix / "bin" / "python").resolve(),
            "is no environment of its own: Environment.auto() takes a virtual",
        ),
    ):
        paths = f"{packages}:{Path(__file__).parents[2]}"
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": paths})
        assert done.returncode == 1
        assert said in done.stderr


def ask_for_cuts(pt: float) -> Any:
    """A task of the editable package, by value: this module is not at the site."""

    def ask() -> tuple[bool, str, str]:
        import sys

        import cuts

        return cuts.passes(pt), cuts.__file__, sys.prefix

    return ask


@pytest.mark.parametrize("engine", ENGINES)
def test_tasks_run_in_it(engine: str, environment: Environment, site: Path, tmp_path: Path, store_url: str) -> None:
    """On each engine, at two sites: the editable package is there, and what its steps gave is kept."""
    with (
        place_for(engine, tmp_path / "place"),
        VineCluster({"RAL": 1, "Bristol": 1}, engine=engine, environment=environment) as cluster,
        DiracClient(cluster, cache=store_url, policy="all") as client,
    ):
        for name in cluster.sites:
            for pt, passes in ((20, False), (30, True)):
                found = client.submit(ask_for_cuts(pt), resources={f"site:{name}": 1}, pure=False).result()
                assert found[0] is passes
                assert Path(found[1]).is_relative_to(site / environment.digest)
                assert found[2] == str(site / environment.digest)
    assert [path.name for path in site.iterdir() if not path.name.startswith(".")] == [environment.digest]
