"""What a worker's log says of a lost entry: one line, and no error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster

from cachingclient import CacheWarning, DiracClient
from tests.client.test_recovery import Losing, block, summed
from tests.support.waiting import until


def fails(x: int) -> float:
    return x / 0


class Log(logging.Handler):
    """The messages that workers of this process log, with their levels."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append((record.levelname, record.getMessage()))

    def of(self, word: str) -> list[tuple[str, str]]:
        return [(level, message) for level, message in self.told if word in message]


@pytest.fixture
def log() -> Iterator[Log]:
    logger, log = logging.getLogger("distributed.worker"), Log()
    logger.addHandler(log)
    yield log
    logger.removeHandler(log)


def test_a_lost_entry_is_no_error_in_the_log(cache_folder: Path, monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    """The run recovers, so nothing failed; what fails is an error in the log as ever."""
    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0", silence_logs=False) as cluster:
        with DiracClient(cluster, cache=str(cache_folder), policy="all") as cold:
            cold.submit(block, 1).result()
        with DiracClient(cluster, cache=str(cache_folder), policy="all") as warm:
            monkeypatch.setattr(warm._submission, "find", Losing(warm, cache_folder, "blobs"))
            with pytest.warns(CacheWarning, match="lost"):
                total = warm.submit(summed, warm.submit(block, 1)).result()
            assert total == float(np.full(50_000, 1).sum())
            until(lambda: log.of("EntryLost"), "no worker told of the lost entry")
            assert {level for level, _ in log.of("EntryLost")} == {"INFO"}
            assert all("its blob is missing" in message and "\n" not in message for _, message in log.of("EntryLost"))
            with pytest.raises(ZeroDivisionError):
                warm.submit(fails, 1).result()
            until(lambda: log.of("Compute Failed"), "no worker told of the error")
            assert [(level, "ZeroDivisionError" in message) for level, message in log.of("Compute Failed")] == [
                ("ERROR", True)
            ]
