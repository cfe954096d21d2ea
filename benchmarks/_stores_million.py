"""Looking after very many small entries in a local folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from cachingclient.storage import Entry, encode, open_store
from cachingclient.storage.files import store as files
from cachingclient.storage.files.layout import INVENTORY, STEPS

COMMANDS = ("list --limit 20", "stats --totals", "stats", "prune --dry-run --older-than 1d --max-size 100MB")
PRUNES = (
    "prune --dry-run --older-than 1d",
    "prune --dry-run --max-size 100MB",
    "prune --max-size 1GB",
    "list --limit 20",
    "prune --max-size 1kB",
)


def measure(folder: Path, count: int) -> Iterator[tuple[str, float, float, float]]:
    """Each command with its seconds and megabytes, and the seconds of looking at each file once."""
    place = folder / "million"
    begin = time.perf_counter()
    fill(place, count)
    print(f"{count} entries were written, {(time.perf_counter() - begin) / count * 1e6:.0f} us each")
    for command in COMMANDS:
        yield command, *run(place, command)
    shutil.rmtree(place / INVENTORY)
    yield f"{COMMANDS[2]}, nothing known", *run(place, COMMANDS[2])


def measure_blobs(folder: Path, count: int) -> Iterator[tuple[str, float, float, float]]:
    """The same of pruning, where each result lies beside its description."""
    place = folder / "million-blobs"
    begin = time.perf_counter()
    with mock.patch.object(files, "INLINE", 0):  # results that are as large as blobs would take 64 GB
        fill(place, count, blobs=True)
    print(f"{count} entries and blobs were written, {(time.perf_counter() - begin) / count * 1e6:.0f} us each")
    for command in PRUNES:
        yield command, *run(place, command)


def run(place: Path, command: str) -> tuple[float, float, float]:
    """The seconds and megabytes of a command, and the seconds of looking at all files."""
    begin = time.perf_counter()
    look_at_files(place)
    looked = time.perf_counter()
    arguments = [sys.executable, "-m", "cachingclient.cli", *command.split(), "--store", str(place)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"cachectl {command} failed")
    return time.perf_counter() - looked, usage.ru_maxrss / 1e3, looked - begin


def look_at_files(place: Path) -> int:
    """The bytes of all descriptions."""
    return sum(file.stat().st_size for shard in os.scandir(place / STEPS) for file in os.scandir(shard.path))


def fill(place: Path, count: int, *, blobs: bool = False) -> None:
    """Keep results of a few steps, as clients do; blobs are of different results."""
    store = open_store(place)
    value = encode(3.5)
    for number in range(count):
        if blobs:
            value = encode(number)
        name = ("load_columns", "select_objects", "observe", "fill", "merge")[number % 5]
        store.write(Entry((os.urandom(16).hex(),), "result", name, 1.5, {"code": os.urandom(16).hex()}, value))
    store.close()
