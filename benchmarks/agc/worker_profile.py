"""Where the workers' time goes in a cold run of the ttbar example, by samples of who holds the interpreter's lock.

    pip install py-spy
    python benchmarks/agc/worker_profile.py --policy all
    python benchmarks/agc/worker_profile.py --policy all --checkout ../before

A sample counts for the thread that holds the lock: what waits, and compiled code that lets go of it, is not seen. What
is imported is left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from phase import AGC, ROOT, Phase
from rich.console import Console
from rich.table import Table

sys.path[:0] = [str(AGC), str(ROOT)]

from generator.make_data import make_data, usual_folder  # noqa: E402 - the example is not installed

RATE = 250
"""Samples a second."""
KINDS = (
    "the analysis",
    "tasks: dask",
    "tasks: cachingclient",
    "event loop: dask's profiler",
    "event loop: the rest of dask",
    "event loop: cachingclient",
    "other threads: cachingclient",
)


def kind_of(stack: str) -> str | None:
    """Tell what a stack of a worker was doing, the outermost frame first; nothing where it is no part of the run.

    Examples
    --------
    >>> kind_of("process 7;thread (1): Dask-Default-Threads-7-0;spawn_main (spawn.py:1);observe (ttbar.py:9)")
    'the analysis'
    """
    if "spawn_main" not in stack or "_find_and_load" in stack:
        return None
    ours = "cachingclient/" in stack
    if "Dask-Default-Threads" in stack:
        if "run_timed (cachingclient/" in stack or not ours:
            within = stack.partition("run_timed (cachingclient/")[2] or stack
            if "(ttbar.py" in within or "(columns.py" in within or "(assembly.py" in within:
                return KINDS[0]
        return KINDS[2] if ours else KINDS[1]
    if "cachingclient-" in stack:
        return KINDS[6]
    if "_run_once (asyncio/" not in stack:
        return None
    if "trigger_profile (distributed/" in stack:
        return KINDS[3]
    return KINDS[5] if ours else KINDS[4]


def count(lines: Iterable[str]) -> Counter[str]:
    """Count samples by kind, of lines that end with how often their stack was seen."""
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, times = line.rstrip().rpartition(" ")
        if (kind := kind_of(stack)) is not None:
            found[kind] += int(times)
    return found


def profiled(order: Phase, checkout: Path) -> Counter[str]:
    """Run a phase of a checkout with the sampler beside it."""
    with TemporaryDirectory(prefix="agc-profile-") as folder:
        samples, answer = Path(folder) / "samples", Path(folder) / "outcome.pickle"
        program = checkout / "benchmarks" / "agc" / "phase.py"
        places = [str(checkout / "examples" / "agc"), str(checkout)]
        command = ["py-spy", "record", "--subprocesses", "--gil", "--threads", "--rate", str(RATE), "--format", "raw"]
        command += ["--output", str(samples), "--", sys.executable, "-P", str(program)]
        command += [json.dumps(asdict(order)), str(answer)]
        environment = {"PYTHONPATH": ":".join(places)}
        if order.cache is None:
            environment["DASK_CACHINGCLIENT__MODE"] = "off"
        subprocess.run(["env", *(f"{name}={value}" for name, value in environment.items()), *command], check=True)
        return count(samples.read_text().splitlines())


@click.command()
@click.option("--policy", type=click.Choice(["plain", "auto", "all"]), default="auto", show_default=True)
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=0.5, help="1: 200,000 events.")
@click.option("--repeats", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--checkout", type=click.Path(exists=True, file_okay=False, path_type=Path), default=ROOT)
def main(policy: str, scale: float, repeats: int, checkout: Path) -> None:
    """Print how many samples fell to what."""
    if shutil.which("py-spy") is None:
        raise click.ClickException("there is no py-spy; pip install py-spy")
    console, found = Console(width=None if sys.stdout.isatty() else 120), Counter()
    checkout = checkout.resolve()
    manifest = str(make_data(usual_folder(scale), scale, console))
    for _ in range(repeats):
        with TemporaryDirectory(prefix="agc-profile-store-") as folder:
            cache = None if policy == "plain" else Path(folder).resolve().as_uri()
            kept = policy if cache else "auto"
            code = str(checkout / "examples" / "agc")
            found += profiled(Phase("cold", code, manifest, cache=cache, policy=kept), checkout)
    table = Table(title=f"workers of a cold run, {policy}, {found.total():,} samples", title_justify="left")
    for column in ("", "samples", "of the analysis"):
        table.add_column(column, justify="right" if column else "left")
    for kind in KINDS:
        table.add_row(kind, f"{found[kind]:,}", f"{found[kind] / max(1, found[KINDS[0]]):.1%}")
    console.print(table)


if __name__ == "__main__":
    main()
