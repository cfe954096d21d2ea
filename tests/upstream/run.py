"""Runs upstream's tests with the client exchanged: plain as the baseline, then cold and warm on one store.

``make upstream DISTRIBUTED=path/to/a/checkout`` runs distributed's, of a clone of the release that is installed;
``UPSTREAM_ARGS='--project dask'`` and ``coffea`` those of their source distributions.
Nothing of theirs is copied into the project: a temporary folder has their tests and settings while they run.

A test that passes with dask's client and fails with ours, twice, has to stand in ``differs.csv`` with its reason;
one that stands there and does not differ has to go. Either fails the run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.upstream.sources import PROJECTS, Project, of_index
from tests.upstream.table import CLIENTS, Outcomes, differing, listed, table

HERE = Path(__file__).parents[2]
QUIET = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "--no-header", "--show-capture=no"]
QUIET += ["--tb=native"]  # pytest's own tracebacks parse the source, which Python 3.11 fails to do now and then
SECONDS = 3600
"""A suite that takes longer has not run."""
Results = dict[str, dict[str, dict[str, str]]]
"""What became of each test with each client, by suites."""


def run(project: Project, settings: Path, client: str, store: str, *more: str) -> dict[str, str]:
    """Run tests with one client; return what became of each."""
    folder = settings.parent
    found = folder / "outcomes.json"
    found.unlink(missing_ok=True)
    arguments = [f"--client={client}", f"--store={store}", f"--outcomes={found}", f"--rootdir={folder}", *QUIET]
    arguments += ["--served"] * project.served + (["-m", project.marked] if project.marked else [])
    with (folder / f"{client}.log").open("ab") as output, contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-m", "pytest", "-c", settings, "-p", "tests.upstream.plugin", *arguments, *more],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(HERE), "PYTEST_ADDOPTS": ""},  # which may name what is not there
            stdout=output,
            stderr=output,
            check=False,
            timeout=SECONDS,
        )
    return json.loads(found.read_text()) if found.exists() else {}


def compare(project: Project, settings: Path, tests: list[str], more: list[str]) -> dict[str, dict[str, str]]:
    """Return what became of tests with each client; what failed by chance is run once more, on a store as it was."""
    known = listed()
    outcomes: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(dir=settings.parent) as stores:
        for client in CLIENTS:
            store = Path(stores, "store").as_uri()
            outcomes[client] = found = run(project, settings, client, store, *more, *tests)
            failed = [test for test, outcome in found.items() if outcome == "failed"]
            failed = [test for test in failed if client == "plain" or test not in known]
            if failed and (client == "plain" or len(failed) < len(found)):
                again = Path(stores, "again").as_uri() if client == "cold" else store
                found.update(run(project, settings, client, again, *failed))
    return outcomes


def judge(results: Mapping[str, Mapping[str, Outcomes]], known: Mapping[str, str]) -> list[str]:
    """Return what is not explained: what did not run, differs and is not known, or is known and does not differ."""
    faults = []
    for suite, outcomes in results.items():
        if not outcomes["plain"]:
            faults.append(f"{suite} did not run: see the log")
        for client in CLIENTS:
            missing = sorted(outcomes["plain"].keys() - outcomes[client].keys())
            faults += [f"{test} did not run {client}: see the log" for test in missing]
    differ = {test: clients for outcomes in results.values() for test, clients in differing(outcomes).items()}
    faults += [f"{test} differs ({', '.join(sorted(differ[test]))})" for test in sorted(differ) if test not in known]
    ran = {test for outcomes in results.values() for test in outcomes["plain"]}
    return faults + [f"{test} is listed and does not differ" for test in known if test in ran and test not in differ]


def add(results: Results, suite: str, outcomes: Mapping[str, Outcomes]) -> None:
    """Add what became of some tests of a suite to what became of others."""
    for client, found in outcomes.items():
        results.setdefault(suite, {}).setdefault(client, {}).update(found)


def part(text: str) -> str:
    """Return the name of a part of a suite as it is, if it is one."""
    if (found := re.fullmatch(r"([0-9]+)/([0-9]+)", text)) and 1 <= int(found[1]) <= int(found[2]):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no part of a suite: parts are 1/6 to 6/6, say")


def sample(text: str) -> str:
    """Return how many tests of which draw, as it is, if it is that."""
    if re.fullmatch(r"[1-9][0-9]*:.+", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no sample: 200:monday is 200 tests, others than 200:tuesday")


def main() -> int:
    """Run what the arguments name; print the table, and what is not explained."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--distributed", type=Path, help="a checkout of distributed")
    parser.add_argument("--project", choices=PROJECTS, default="distributed", help="whose tests")
    parser.add_argument("--suites", nargs="*", default=[], help="some of the suites, by module")
    which = "a part of each suite: 2/3 is each third test from the 2nd on"
    parser.add_argument("--slice", type=part, default="1/1", help=which)
    parser.add_argument("--sample", type=sample, help="so many tests of all suites together, by chance: 200:seed")
    parser.add_argument("--quick", action="store_true", help="leave out the tests that start processes")
    parser.add_argument("--results", type=Path, help="a file with results of earlier runs, to which these are added")
    parser.add_argument("--logs", type=Path, help="where the logs stay")
    options = parser.parse_args()
    project, source = PROJECTS[options.project], options.distributed
    if options.project != "distributed":
        source = of_index(options.project)
    elif source is None or not (source / "distributed" / "tests").is_dir():
        parser.error(f"--distributed takes a checkout of distributed, with its tests; it is {source}")
    saved = options.results is not None and options.results.exists()
    results: Results = json.loads(options.results.read_text()) if saved else {}
    more = [f"--slice={options.slice}", *(["--quick"] if options.quick else [])]
    more += [f"--sample={options.sample}"] if options.sample else []
    with tempfile.TemporaryDirectory() as temporary:
        settings = project.unfold(source, Path(temporary))
        if not (suites := project.find(Path(temporary), options.suites)):
            parser.error(f"no suite of {options.project} has one of the names {', '.join(options.suites)}")
        for each in [suites] if options.sample else ([suite] for suite in suites):
            suite = os.path.commonpath(each)
            add(results, suite, compare(project, settings, each, more))
            print(table({suite: results[suite]}, listed()).splitlines()[2], flush=True)
            if options.results is not None:
                options.results.write_text(json.dumps(results))
            for client in CLIENTS if options.logs else ():
                options.logs.mkdir(parents=True, exist_ok=True)
                shutil.move(Path(temporary, f"{client}.log"), options.logs / f"{suite.replace('/', '.')}-{client}.log")
    faults = judge(results, listed())
    print(f"\n{table(results, listed())}\n", *faults, sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
