"""What became of upstream's tests, as the table that goes into the pages, and the tests that differ by nature."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

CLIENTS = "plain", "cold", "warm"
REASONS = {
    "counts-tasks": "it counts tasks or bytes, or waits for a state of a task, of steps that are loaded or wrapped",
    "prints-again": "it expects a second run to print, log, warn or change a variable of the test again",
    "places": "it expects a result at a given worker, where a hit is loaded by any",
    "fails-again": "it expects a step to fail, wait or take long that has given its result before",
    "asked-before": "it expects that nobody has connected to the workers before, where the client asks for versions",
    "looks-inside": "it looks at private parts of dask's client, or at the pickles that it sends",
}
LIST = Path(__file__).with_name("differs.csv")
Outcomes = Mapping[str, str]


def listed(path: Path = LIST) -> dict[str, str]:
    """Return the reason of each test in the list.

    Raises
    ------
    ValueError
        If a reason is not one of `REASONS`.
    """
    with path.open(newline="") as file:
        rows = {row["test"]: row["reason"] for row in csv.DictReader(file)}
    for test, reason in rows.items():
        if reason not in REASONS:
            raise ValueError(f"the reason of {test} is {reason!r}; it takes {', '.join(REASONS)}")
    return rows


def differing(outcomes: Mapping[str, Outcomes]) -> dict[str, set[str]]:
    """Return the tests that pass with dask's client and fail with ours, each with the runs in which it does."""
    found: dict[str, set[str]] = {}
    for client in CLIENTS[1:]:
        for test, outcome in outcomes["plain"].items():
            if outcome == "passed" and outcomes[client].get(test) == "failed":
                found.setdefault(test, set()).add(client)
    return found


def table(results: Mapping[str, Mapping[str, Outcomes]], known: Mapping[str, str]) -> str:
    """Return the results of suites as a table: for each client what passed, failed, and failed by nature."""
    heads = ["suite", "plain: passed, failed", *(f"{client}: passed, failed, by nature" for client in CLIENTS[1:])]
    rows = [(f"`{suite.removesuffix('.py')}`", _counts(outcomes, known)) for suite, outcomes in results.items()]
    rows.append(("all", [sum(column) for column in zip(*(counts for _, counts in rows), strict=True)]))
    lines = [heads, ["---"] * len(heads)]
    lines += [
        [name, *(", ".join(f"{n:,}" for n in counts[a:b]) for a, b in ((0, 2), (2, 5), (5, 8)))]
        for name, counts in rows
        if counts
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _counts(outcomes: Mapping[str, Outcomes], known: Mapping[str, str]) -> list[int]:
    differ = differing(outcomes)
    counts: list[int] = []
    for client in CLIENTS:
        found = list(outcomes[client].values())
        nature = sum(client in clients and test in known for test, clients in differ.items())
        counts += [found.count("passed"), found.count("failed") - nature, nature][: 2 if client == "plain" else 3]
    return counts
