"""Stores on an XRootD server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import StoreUnavailable, open_store
from cachingclient.storage.files.access_log import AccessLog
from tests.services.service import free_port
from tests.services.xrootd import XRootD
from tests.storage.contract import BIG, StoreContract
from tests.support.entries import entry, new_key

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(xrootd_service: XRootD) -> str:
    return f"{xrootd_service.url}/cache-{new_key()[:8]}"


class TestXRootDStore(StoreContract):
    """The contract on XRootD."""

    @pytest.fixture
    def url(self, url: str) -> str:
        return url


def test_large_results(url: str) -> None:
    """Written and read in several requests."""
    store, kept = open_store(url), entry(np.arange(4_000_000))
    store.write(kept)
    assert np.array_equal(store.read(store.find(kept.keys)[kept.keys[0]]), np.arange(4_000_000))


def test_a_writer_that_stopped_half_way_holds_nobody_up(xrootd_service: XRootD, url: str) -> None:
    """What it was writing has a name that nobody looks for, though the server keeps it open for a while."""
    from XRootD import client
    from XRootD.client.flags import OpenFlags

    store, kept = open_store(url), entry(1)
    store.write(kept)
    path = f"{url}/v1/tmp/half-way"
    half = client.File()
    assert half.open(path, OpenFlags.NEW | OpenFlags.POSC | OpenFlags.MAKEPATH, 0, 20)[0].ok
    half.write(b"half", 0, 4, 20)
    assert store.find([*kept.keys, new_key()]).keys() == set(kept.keys)
    half.close()


def test_what_a_process_used_is_known_after_its_end(url: str) -> None:
    """It is written as the interpreter exits, when no more threads can be started."""
    store: Any = open_store(url)
    kept = entry(np.arange(BIG))
    store.write(kept)
    program = f"from cachingclient.storage import open_store; open_store({url!r}).touch({list(kept.keys)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert AccessLog(store.folder).read().keys() == set(kept.keys)


def test_an_unreachable_server_is_given_up_in_time() -> None:
    """Opening fails with a StoreUnavailable that names the store."""
    url = f"root://127.0.0.1:{free_port()}//cache"
    with pytest.raises(StoreUnavailable, match="does not answer"):
        open_store(url)
