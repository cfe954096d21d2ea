"""Steps that read ROOT files on real servers, by uproot: what is kept, and what is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import uproot

from cachingclient import DiracClient
from tests.services.s3 import Moto
from tests.services.xrootd import XRootD
from tests.support.entries import new_key

OPTIONS: dict[str, Any] = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}


def total(url: str) -> float:
    with uproot.open({url: "Events"}) as tree:
        return float(tree["pt"].array(library="np").sum())


def total_with_friend(url: str) -> float:
    return total(url) + total(url.replace("/main/", "/friend/"))


def write(path: Path, *values: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        file.mktree("Events", {"pt": "float64"}).extend({"pt": np.array(values)})


def session(store: Path, *calls: tuple[Any, ...]) -> list[tuple[float, int]]:
    """Return what each call gives in a session of their own, and how many steps ran for it."""
    with DiracClient(**OPTIONS, cache=f"file://{store}", policy="all") as client:
        found = []
        for call in calls:
            with client.reporting() as report:
                value = client.submit(*call).result()
            found.append((value, report.summary().total.ran))
    return found


@pytest.fixture(params=["root", "s3"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """The URL of a folder on a server, and a function that puts a file there."""
    name = new_key()[:8]
    if request.param == "root":
        service: XRootD = request.getfixturevalue("xrootd_service")

        def place(path: str, *values: float) -> None:
            local = service.folder / "data" / name / path
            write(local, *values)
            os.chmod(local, 0o644)

        yield f"{service.url}/{name}", place
        return
    with Moto(tmp_path / "moto") as storage:
        storage.make_bucket(bucket := f"data-{name}")
        for key, value in storage.options.items():
            monkeypatch.setitem(fsspec.config.conf.setdefault("s3", {}), key, value)
        system = fsspec.filesystem("s3")

        def send(path: str, *values: float) -> None:
            write(tmp_path / "sent.root", *values)
            system.put(str(tmp_path / "sent.root"), f"{bucket}/{path}")

        yield f"s3://{bucket}", send


def test_a_file_that_is_read_and_its_friend(home: tuple[str, Any], tmp_path: Path) -> None:
    """A step that reads the file it is given is loaded; one that reads its friend too runs, and sees its edit."""
    folder, place = home
    place("main/1.root", 1, 2)
    place("friend/1.root", 10)
    url = f"{folder}/main/1.root"
    calls = (total, url), (total_with_friend, url)
    assert session(tmp_path / "store", *calls) == [(3.0, 1), (13.0, 1)]
    place("friend/1.root", 20)
    assert session(tmp_path / "store", *calls) == [(3.0, 0), (23.0, 1)]
    place("main/1.root", 1, 2, 3)
    assert session(tmp_path / "store", *calls) == [(6.0, 1), (26.0, 1)]
