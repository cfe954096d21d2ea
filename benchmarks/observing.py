"""What it costs to observe a step: an empty one, and each event of one that reads.

    python benchmarks/observing.py --repeat 7

CPU time, the least of the repetitions; a busy machine still shows, by its caches.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable

import click
import numba  # noqa: F401  # its generators are looked at too
import numpy as np
from rich.console import Console
from rich.table import Table

from cachingclient.worker.observe import install, observing


class Attribute:
    """Something whose attribute can be set in a way that raises an audit event."""


def setting() -> None:
    """Raise an event that is not listened to, as nearly all are."""
    object.__setattr__(_attribute, "value", 1)


_attribute = Attribute()


def empty() -> None:
    """Observe nothing."""
    with observing():
        pass


def cost(function: Callable[[], object], repeat: int, number: int) -> float:
    """Return the least CPU time of a call, in microseconds."""
    times = []
    for _ in range(repeat):
        start = time.thread_time()
        for _ in range(number):
            function()
        times.append((time.thread_time() - start) / number * 1e6)
    return min(times)


@click.command()
@click.option("--repeat", default=7, help="Repetitions, of which the quickest counts.")
@click.option("--number", default=5000, help="Calls in each.")
def main(repeat: int, number: int) -> None:
    """Print the cost of an observation, plain and observed."""
    np.random.seed(1)
    random.seed(1)
    table = Table("", "plain (us)", "installed, not observed (us)", "observed (us)")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "jec.json")
        with open(path, "w") as file:
            file.write("{}")
        fd_path = path

        def read() -> None:
            os.close(os.open(fd_path, os.O_RDONLY))

        events = {
            "open a file": read,
            "read a variable": lambda: os.environ.get("HOME"),
            "object.__setattr__": setting,
            "os.getcwd": os.getcwd,
        }
        plain = {name: cost(function, repeat, number) for name, function in events.items()}
        install()
        events["os.getcwd"] = os.getcwd
        idle = {name: cost(function, repeat, number) for name, function in events.items()}
        with observing():
            seen = {name: cost(function, repeat, number) for name, function in events.items()}
    for name in events:
        table.add_row(name, f"{plain[name]:.2f}", f"{idle[name]:.2f}", f"{seen[name]:.2f}")
    table.add_row("an empty step", "", "", f"{cost(empty, repeat, number):.2f}")
    Console().print(table)
    Console().print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
