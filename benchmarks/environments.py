"""The ttbar example in the environments that analysts have: cold, warm, and with one edit.

::

    python benchmarks/environments.py
    python benchmarks/environments.py --scale 0.1 --only coffea-0.7

Each environment is made once, as for the tests, and has its own release of dask. Each run has a process and a cluster
of its own. Histograms are compared bit for bit with those of dask's own client in the same environment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "examples" / "agc"), str(ROOT / "benchmarks" / "agc"), str(ROOT)]

from edits import EDITS, edited  # noqa: E402 - neither the example nor the tests are installed
from generator.make_data import make_data, usual_folder  # noqa: E402
from phase import AGC, Outcome, Phase, run  # noqa: E402
from run import same  # noqa: E402

from tests.older.environments import NotInstalled, interpreter  # noqa: E402

FRONTS = {
    "coffea-0.7": "delayed",
    "dask-awkward": "dask-awkward",
    "dask-2025.3.1": "delayed",
    "newest-3.13": "coffea, steps",
}
"""How the example is sent in each environment."""
PLAIN = {"coffea, steps": "coffea"}
EDIT = EDITS[0]


def measure(name: str, manifest: str, folder: Path) -> Iterator[tuple[str, Outcome, Outcome]]:
    """Each run's name with the plain outcome and the cached one."""
    front, store = FRONTS[name], (folder / "store").as_uri()
    order = Phase(name, str(AGC), manifest, policy="auto", front=front, python=str(interpreter(name)))
    plain = run(replace(order, front=PLAIN.get(front, front)))
    for which in ("cold", "nothing edited"):
        yield which, plain, run(replace(order, cache=store))
    order = replace(order, code=str(edited(EDIT, folder / "edited")))
    yield f"{EDIT.name} edited", run(replace(order, front=PLAIN.get(front, front))), run(replace(order, cache=store))


@click.command(help=__doc__)
@click.option("--scale", default=0.5, show_default=True, help="1 is 200,000 events.")
@click.option("--only", type=click.Choice(list(FRONTS)), multiple=True, help="Of these environments.")
def main(scale: float, only: tuple[str, ...]) -> None:
    manifest = str(make_data(usual_folder(scale), scale))
    print("| environment | sent as | run | plain, s | cached, s | times | tasks run | equal |\n" + "| --- " * 8 + "|")
    right = True
    for name in only or FRONTS:
        try:
            with TemporaryDirectory(prefix="environments-") as folder:
                for which, plain, cached in measure(name, manifest, Path(folder).resolve()):
                    equal = same(plain.histograms, cached.histograms)
                    right = right and equal
                    times = plain.seconds / cached.seconds
                    row = f"{plain.seconds:.2f} | {cached.seconds:.2f} | {times:.1f} | {cached.counts['ran']:.0f}"
                    print(f"| {name} | {FRONTS[name]} | {which} | {row} | {'yes' if equal else 'NO'} |", flush=True)
        except NotInstalled as error:
            print(f"| {name} | {error} |")
    sys.exit(not right)


if __name__ == "__main__":
    main()
