"""What a cluster over sites says of arguments that can't be meant, before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cachingclient.vine import Site, VineCluster
from tests.support.waiting import until


@pytest.mark.parametrize(
    ("sites", "says"),
    [
        ({}, "sites is empty"),
        ({"RAL": -1}, "workers of site RAL is -1"),
        ({"R L": 1}, "a site is named 'R L'"),
        ({"RAL": {"wokers": 1}}, "no option 'wokers'"),
        ({"RAL": {"nthreads": 0}}, "nthreads of site RAL is 0"),
        ({"RAL": {"how": "pigeon"}}, "how of site RAL is 'pigeon'"),
        ({"RAL": Site("Bristol")}, "named 'Bristol'"),
        ({"RAL": {"near": "gopher://hole"}}, "near of site RAL: unknown scheme 'gopher'"),
        ({"RAL": {"near": 3}}, "near of site RAL is 3; it takes the URL of a store"),
        ({"RAL": {"memory_limit": "lots"}}, "memory_limit of site RAL is 'lots'; it takes a size such as '4 GB'"),
        ({"RAL": {"resources": ["licence"]}}, r"resources of site RAL is \['licence'\]; it takes a dict"),
    ],
)
def test_sites_without_sense_are_named(sites: dict[str, Any], says: str) -> None:
    """Nothing is started, and the text names what is wrong."""
    with pytest.raises(ValueError, match=says):
        VineCluster(sites)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"security": "ca.pem"}, "security is 'ca.pem'; it takes a distributed.Security, True, or False"),
        ({"name": "../ttbar"}, "name is '../ttbar'; it takes letters"),
        ({"name": 3}, "name is 3; it takes letters"),
        (
            {"engine_options": {"prot": 9123}},
            "'prot', which engine dask does not take; it takes extra_files",
        ),
        ({"tunnel": "127.0.0.1"}, "tunnel is '127.0.0.1'; it takes True or False"),
        ({"engine_options": ["host"]}, r"engine_options is \['host'\]; it takes a dict"),
    ],
)
def test_arguments_without_sense_are_named(arguments: dict[str, Any], says: str) -> None:
    """A path in the place of certificates would be no encryption."""
    with pytest.raises((TypeError, ValueError), match=says):
        VineCluster({"RAL": 0}, **arguments)


def test_a_picture_without_workers_says_so(tmp_path: Path) -> None:
    """It was an error of numpy's."""
    with VineCluster({"RAL": 0}) as cluster:
        until(lambda: _told_of(cluster, tmp_path) == "there is nothing to draw: no worker has come yet")


def _told_of(cluster: VineCluster, folder: Path) -> str:
    with pytest.raises(ValueError, match="there is nothing to draw") as raised:
        cluster.plot(folder / "run.png")
    return str(raised.value)
