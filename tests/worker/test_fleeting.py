"""What is true of one run alone, found in its result."""

from __future__ import annotations

import datetime
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cachingclient.worker.fleeting import Fleeting

TIME = "the time at which it ran"


@dataclass
class Stamped:
    made: float


@pytest.mark.parametrize(
    "make",
    [
        time.time,
        time.time_ns,
        lambda: int(time.time()),
        time.ctime,
        lambda: time.strftime("%H:%M:%S"),
        lambda: time.strftime("plot-%Y%m%d-%H%M%S.pdf"),
        lambda: f"{time.time():.0f}",
        datetime.datetime.now,
        lambda: datetime.datetime.now(datetime.UTC),
        lambda: datetime.datetime.now().isoformat(),
        datetime.date.today,
        pd.Timestamp.now,
        lambda: np.datetime64("now"),
        lambda: {"made": [datetime.datetime.now()]},
        lambda: Stamped(time.time()),
        lambda: np.array([0.0, time.time()]),
        lambda: pd.DataFrame({"made": [pd.Timestamp.now()] * 1000}),
        lambda: Path("/data") / f"{int(time.time())}.root",
    ],
)
def test_the_time_of_the_run_is_found(make: Any) -> None:
    """However it is written, and in whatever it is held."""
    started = time.time()
    assert Fleeting(started).in_result(make()) == TIME


@pytest.mark.parametrize(
    "result",
    [None, True, 30, 2.5, 1e12, "232921", "era 2018", b"\x00", [1, 2] * 1000, np.arange(1000), "root://x/20200101/a"]
    + [datetime.datetime(2018, 1, 1), datetime.date(2018, 1, 1), np.datetime64("NaT"), pd.Timestamp(0), {"x": (None,)}],
)
def test_other_results_are_what_they_are(result: Any) -> None:
    """Numbers, texts and dates of the data are not the time of the run."""
    assert Fleeting(time.time() - 5, process=True).in_result(result) == ""


def test_a_date_counts_where_the_code_asks_for_the_time() -> None:
    """A folder of today among the arguments is in many a result."""
    text = f"/scratch/{datetime.date.today():%Y%m%d}/a.root"
    assert Fleeting(time.time()).in_result(text) == ""
    assert Fleeting(time.time(), asks_clock=True).in_result(text) == TIME


def test_the_process_and_names_of_temporary_files_are_found() -> None:
    """In texts and as numbers; only where they were asked for."""
    assert Fleeting(0.0, 1.0, process=True).in_result({"worker": os.getpid()}) == "the id of the process that ran it"
    assert Fleeting(0.0, 1.0, process=True).in_result(f"out-{os.getpid()}.txt") == "the id of the process that ran it"
    assert Fleeting(0.0, 1.0).in_result({"worker": os.getpid()}) == ""
    assert Fleeting(0.0, 1.0, ["x8yz99x6"]).in_result(["/tmp/tmpx8yz99x6"]) == "the name of a temporary file"
