"""A store that an earlier version of the package wrote is read: its keys and its entries stay valid.

`tests/samples/analysis.py` was run by the package as it was before its modules moved to rooms, in another folder; the
store that it left is packed beside it with the values that came out. Keys hold the bytecode of functions, so there is
one sample for a minor version of Python; they hold no library's version, by the program's settings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from cachingclient.storage import open_store

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "samples"
STORE = SAMPLES / f"store-python{sys.version_info.major}.{sys.version_info.minor}.tar.gz"


@pytest.mark.skipif(not STORE.exists(), reason="keys come from bytecode, and no store was kept for this Python")
def test_every_step_of_a_store_written_before_is_loaded(tmp_path: Path) -> None:
    """Nothing runs, nothing is added, and each value is the one that was stored."""
    with tarfile.open(STORE) as packed:
        packed.extractall(tmp_path / "store", filter="data")
    store = open_store((tmp_path / "store").as_uri())
    before = {entry.key for entry in store.scan()}
    done = subprocess.run(
        [sys.executable, SAMPLES / "analysis.py", store.url],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "CacheWarning" not in done.stderr
    told = json.loads(done.stdout)
    assert (told["ran"], told["kept"], told["loaded"]) == (0, 0, 9)
    assert told["values"] == json.loads((SAMPLES / "values.json").read_text())
    assert {entry.key for entry in open_store(store.url).scan()} == before
