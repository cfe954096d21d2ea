"""Clients and workers on stores that were made to harm them: each in processes of its own, at each level."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cachingclient.storage.codecs import decode
from tests.trust.client import LEVELS, MOST_BYTES
from tests.trust.conftest import contents
from tests.trust.crafting import Scene
from tests.trust.payloads import PAYLOADS

MOST_SECONDS = 300
"""Within which the processes end; all crafts at once take about ten."""


TRIED = ("shared", "signed")
SLOW = [level for level in LEVELS if level not in TRIED]


def is_data(craft: str) -> bool:
    """Whether what a craft holds is loaded without harm, wrong as it may be."""
    try:
        decode(PAYLOADS[craft](), data_only=True)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("level", [*TRIED, *(pytest.param(each, marks=pytest.mark.matrix) for each in SLOW)])
def test_a_graph(scene: Scene, level: str) -> None:
    """Whatever lies under the keys of its steps, each result is right, and nothing outside of the store is touched."""
    scene.store.rmdir()  # the client makes it
    before = contents(scene.home)
    root = Path(__file__).parents[2]
    own = {"XDG_CACHE_HOME": str(scene.home.parent / "own")}  # what a client remembers for its user is no harm
    ran = subprocess.run(
        [sys.executable, "-m", "tests.trust.client", level, str(scene.home.parent)],
        cwd=root,
        env={**os.environ, **own, "PYTHONPATH": str(root), "DASK_CACHINGCLIENT__TIMEOUTS__LOOK_UP": "2s"},
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout)
    wrong = {craft: came for craft, came in found["outcomes"].items() if set(came) != {"right"}}
    assert {craft for craft in wrong if not is_data(craft)} == set(), wrong
    assert found["other"] == "right"
    assert level in ("private", "all") or max(found["client"], found["worker"]) < 2 * MOST_BYTES
    assert contents(scene.home) == before
    assert not scene.canary.exists()
    assert "\x1b[2J" not in ran.stderr
