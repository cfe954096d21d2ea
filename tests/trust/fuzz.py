"""Bytes that were right and are changed at random, by the million: nothing comes of them but a value or our own error.

::

    python -m tests.trust.fuzz --minutes 10               # all harnesses in turns, each in a process of its own
    python -m tests.trust.fuzz --only payload --minutes 1

With atheris installed the changes are guided by what code they reach, else they are random. Inputs that reached new
code are kept in the folder of ``--corpus``, from which the next run starts; an input that fails is printed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import re
import subprocess
import sys
import time
import traceback
from contextlib import nullcontext
from pathlib import Path

NAMES = (
    "payload",
    "description",
    "raw description",
    "trace",
    "signature",
    "index",
    "inventory",
    "DIRAC reply",
    "HTTP listing",
    "tunnel frame",
)
GUIDED = importlib.util.find_spec("atheris") is not None
if GUIDED:
    import atheris


def changed(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """Return bytes of which some are others: flipped, exchanged, moved, left out, or another input's."""
    out = bytearray(data or b"\0")
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        start = chance.randrange(len(out) + 1)
        match chance.randrange(6):
            case 0:
                out[start : start + 1] = bytes([chance.randrange(256)])
            case 1:
                out[start : start + 4] = chance.choice(WORDS)
            case 2:
                del out[start : start + chance.choice((1, 2, 8, 64))]
            case 3:
                out[start:start] = out[chance.randrange(len(out) + 1) :][: chance.choice((1, 4, 32))]
            case 4:
                other = chance.choice(others)
                out[start:start] = other[chance.randrange(len(other) + 1) :][: chance.choice((1, 8, 64))]
            case _:
                out[start : start + 1] = chance.choice(PIECES)
    return bytes(out)


WORDS = b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"1e99", b"-1, ", b"null", b"[[[["
PIECES = *(bytes([each]) for each in b'"{}[],:-'), b"\\ud800", b"\\u0000", b"Infinity", b"NaN", b"true", b"0" * 40


def run(name: str, seconds: float, corpus: Path) -> int:
    """Run one harness; return how many inputs it was given. An input that fails is printed, and ends the process."""
    with atheris.instrument_imports(include=["cachingclient"]) if GUIDED else nullcontext():
        from tests.trust.harnesses import HARNESSES
    from cachingclient.storage.limits import Limits, set_by

    harness, seeds = HARNESSES[name]
    set_by(lambda: Limits(nbytes=64 << 20, count=100_000))
    if GUIDED:
        folder = corpus / name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (folder / f"seed-{number}").write_bytes(seed)
        options = [
            f"-max_total_time={int(seconds)}",
            "-print_final_stats=1",
            "-rss_limit_mb=4096",
            "-max_len=4096",
            f"-artifact_prefix={folder}-",
        ]
        atheris.Setup([sys.argv[0], *options, str(folder)], harness)
        atheris.Fuzz()
    chance, known, count, until = random.Random(os.urandom(8)), list(seeds), 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(100):
            data = changed(chance.choice(known), chance, seeds)
            try:
                harness(data)
            except BaseException:
                traceback.print_exc()
                print(f"failed: {data!r}")
                raise SystemExit(1) from None
            count += 1
            if chance.random() < 0.001 and len(known) < 1000 and len(data) < 10_000:
                known.append(data)  # changes of changes
    return count


def main() -> None:
    """Run the harnesses, each in a process of its own, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="in all")
    parser.add_argument("--only", action="append", help="these harnesses")
    parser.add_argument("--corpus", type=Path, default=Path("corpus"), help="where inputs are kept, with atheris")
    parser.add_argument("--one", nargs=2, metavar=("HARNESS", "SECONDS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(f"stat::number_of_executed_units: {run(arguments.one[0], float(arguments.one[1]), arguments.corpus)}")
        return
    names = arguments.only or list(NAMES)
    total, failed = 0, []
    for name in names:
        seconds = 60 * arguments.minutes / len(names)
        command = [
            sys.executable,
            "-m",
            "tests.trust.fuzz",
            "--corpus",
            str(arguments.corpus),
            "--one",
            name,
            str(seconds),
        ]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"stat::number_of_executed_units: +(\d+)", ran.stdout + ran.stderr)
        count = int(found[1]) if found else 0
        total += count
        print(f"{name:16} {count:12,}{'' if ran.returncode == 0 else '  FAILED'}", flush=True)
        if ran.returncode:
            failed.append(name)
            print((ran.stdout + ran.stderr)[-3000:])
    print(f"{'in all':16} {total:12,} executions{', guided' if GUIDED else ''}; failed: {', '.join(failed) or 'none'}")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
