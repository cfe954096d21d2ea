"""Looking after very many small entries in a local folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cachingclient.storage import Entry, encode, open_store
from cachingclient.storage.entry import describe, pack
from cachingclient.storage.layout import STEPS, step_name

COMMANDS = ("list --limit 20", "stats --totals", "stats", "prune --dry-run --older-than 1d --max-size 100MB")


def measure(folder: Path, count: int) -> Iterator[tuple[str, float, float]]:
    """Each command with its seconds, and those of looking at each file once."""
    place = folder / "million"
    open_store(place)
    fill(place, count)
    for command in COMMANDS:
        begin = time.perf_counter()
        look_at_files(place)
        raw = time.perf_counter() - begin
        arguments = [sys.executable, "-m", "cachingclient.cli", *command.split(), "--store", str(place)]
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        yield command, time.perf_counter() - begin - raw, raw


def look_at_files(place: Path) -> int:
    """The bytes of all descriptions."""
    return sum(file.stat().st_size for shard in os.scandir(place / STEPS) for file in os.scandir(shard.path))


def fill(place: Path, count: int) -> None:
    """Put entries of a few steps there, without the care of a store."""
    for shard in range(256):
        (place / STEPS / f"{shard:02x}").mkdir(parents=True)
    value = encode(3.5)
    payload = b"".join(value.frames)
    for number in range(count):
        key = os.urandom(16).hex()
        name = ("load_columns", "select_objects", "observe", "fill", "merge")[number % 5]
        entry = Entry((key,), "result", name, 1.5, {"code": os.urandom(16).hex()}, value)
        (place / step_name(key)).write_bytes(pack(describe(entry, payload)))
