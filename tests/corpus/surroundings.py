"""Mutates what steps read and write beside their code: files, folders, variables, outputs and what is remembered.

``python -m tests.corpus.surroundings --count 2000`` prints how many mutations were tried and what was stale.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import dask

from cachingclient import step
from cachingclient.worker.context import configured_context
from cachingclient.worker.process import process
from cachingclient.worker.recent_results import recent_results

VARIABLES = ("ANA_ONE", "ANA_TWO")


def reads(folder: str, number: int) -> str:
    return Path(folder, f"in{number}").read_text()


def lists(folder: str) -> list[str]:
    return sorted(os.listdir(Path(folder, "listed")))


def asks(number: int) -> str | None:
    return os.environ.get(VARIABLES[number])


def writes(folder: str, number: int) -> str:
    path = Path(folder, "out", f"{number}.txt")
    path.write_text(f"output {number}")
    return str(path)


@functools.cache
def load(path: str) -> str:
    return Path(path).read_text()


def remembers(folder: str, number: int) -> str:
    return load(str(Path(folder, f"in{number}")))


class World:
    """A folder whose files, and an environment whose variables, change at random."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng, self.kinds = folder, random.Random(seed), Counter[str]()
        for name in ("listed", "out"):
            (folder / name).mkdir()
        for number in range(3):
            (folder / f"in{number}").write_text("0")

    def mutate(self) -> None:
        """Change one thing, or put it back."""
        kind = self.rng.choice(["file", "file", "listing", "variable", "output removed", "output changed", "other"])
        self.kinds[kind] += 1
        number = self.rng.randrange(2)
        if kind == "file":
            (self.folder / f"in{self.rng.randrange(3)}").write_text(str(self.rng.randrange(4)))
        elif kind == "listing":
            path = self.folder / "listed" / str(number)
            path.unlink() if path.exists() else path.touch()
        elif kind == "variable" and self.rng.random() < 0.3:
            os.environ.pop(VARIABLES[number], None)
        elif kind == "variable":
            os.environ[VARIABLES[number]] = str(self.rng.randrange(3))
        elif kind == "output removed":
            (self.folder / "out" / f"{number}.txt").unlink(missing_ok=True)
        elif kind == "output changed":
            (self.folder / "out" / f"{number}.txt").write_text(str(self.rng.random()))
        else:
            (self.folder / f"other{number}").write_text(str(self.rng.random()))

    def calls(self) -> list[tuple[Any, tuple[Any, ...]]]:
        """Return the steps to call, with their arguments."""
        here = str(self.folder)
        each: list[tuple[Any, tuple[Any, ...]]] = [(lists, (here,))]
        for number in range(2):
            each += [(reads, (here, number)), (asks, (number,)), (writes, (here, number)), (remembers, (here, number))]
        return each


def mutate(count: int, seed: int = 0) -> tuple[list[str], World, int]:
    """Return what was stale after so many mutations, the world, and how many results were kept."""
    stale: list[str] = []
    kept = 0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "world").mkdir()
        world = World(Path(folder, "world"), seed)
        store = Path(folder, "store").as_uri()
        with dask.config.set({"cachingclient.store": store, "cachingclient.policy": "all"}):
            configured_context.cache_clear()
            for turn in range(count):
                world.mutate()
                if world.rng.random() < 0.5:  # as in another process
                    load.cache_clear()
                    recent_results().clear()
                for function, args in world.rng.sample(world.calls(), 3):
                    got = step(function)(*args)
                    fresh = load.__wrapped__(*[str(Path(args[0], f"in{args[1]}"))]) if function is remembers else None
                    if function is writes:
                        right = Path(got).exists() and Path(got).read_text() == f"output {args[1]}"
                    elif function is remembers:
                        right = got in (fresh, load(str(Path(args[0], f"in{args[1]}"))))
                    else:
                        right = got == function(*args)
                    if not right:
                        stale.append(f"turn {turn}: {function.__name__}{args[1:]} gave {got!r}")
                process().writer.flush()
            from cachingclient.storage import open_store

            kept = sum(1 for _ in open_store(store).scan())
        configured_context.cache_clear()
    for name in VARIABLES:
        os.environ.pop(name, None)
    return stale, world, kept


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong, world, entries = mutate(options.count, options.seed)
    print(*wrong[:5], dict(world.kinds), f"{options.count} mutations: {len(wrong)} stale; {entries} entries", sep="\n")
    sys.exit(bool(wrong))
