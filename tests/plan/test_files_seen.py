"""Where the memory of files is."""

from __future__ import annotations

from pathlib import Path

import dask

from cachingclient.plan.files_seen import PLACE, memory_of
from cachingclient.storage import open_store


def test_it_lies_beside_a_private_store(tmp_path: Path) -> None:
    """Else beside the configured one, which is the user's; a setting that names none fails nothing."""
    own = open_store(tmp_path.joinpath("own").as_uri())
    with dask.config.set({"cachingclient.store": tmp_path.joinpath("configured").as_uri()}):
        assert memory_of(own) == tmp_path / "own" / PLACE
        assert memory_of(open_store("memory://files-seen")) == tmp_path / "configured" / PLACE
    for wrong in (5, ["a"], "memory://x"):
        with dask.config.set({"cachingclient.store": wrong}):
            assert memory_of(own) == tmp_path / "own" / PLACE
            assert memory_of(open_store("memory://files-seen")) is None
