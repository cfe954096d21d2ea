"""What was observed, in words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from cachingclient.worker.observe.record import Observed

_MOST_LINES = 20


def describe(seen: Observed, relative_to: str | None = None) -> list[str]:
    """Return short lines that tell what a step read and wrote, beside its arguments.

    Parameters
    ----------
    seen
        What was observed.
    relative_to
        The folder that paths below it are told relative to; the working folder if None.

    Examples
    --------
    >>> from cachingclient.worker.observe import Observed, Stamp
    >>> seen = Observed(reads={"/home/alice/corrections/jec.json": Stamp(10, 0, 1)}, drew={"numpy.random"})
    >>> describe(seen, "/home/alice")
    ['reads corrections/jec.json', 'draws without a seed: numpy.random']
    """
    folder = (os.getcwd() if relative_to is None else relative_to).rstrip(os.sep) + os.sep
    lines: list[str] = []
    for verb, paths in _paths(seen):
        names = sorted(path.removeprefix(folder) for path in paths)
        lines += [f"{verb} {name}" for name in names[:_MOST_LINES]]
        if len(names) > _MOST_LINES:
            lines.append(f"{verb} {len(names) - _MOST_LINES} more")
    for verb, things in _names(seen):
        lines += [f"{verb}{thing}" for thing in sorted(things)[:_MOST_LINES]]
    return lines


def _paths(seen: Observed) -> Iterator[tuple[str, Iterable[str]]]:
    yield "reads", seen.reads
    yield "reads files in", seen.folders
    yield "looked in vain for", seen.missing
    yield "lists", seen.listings
    yield "lists some of", [folder for folder, _ in seen.matches]
    yield "follows", seen.links
    yield "asks for the time or mode of", seen.times
    done: dict[str, list[str]] = {}
    for path, written in seen.writes.items():
        verb = {"removed": "removes", "folder": "makes the folder", "appended": "appends to"}.get(written.how, "writes")
        done.setdefault(verb, []).append(path)
    yield from sorted(done.items())
    yield "was changed while the step ran:", seen.changed


def _names(seen: Observed) -> Iterator[tuple[str, Iterable[str]]]:
    everything = "all environment variables"
    yield "reads ", [everything if name == "*" else f"${name}" for name in seen.variables]
    yield "sets $", seen.variables_set
    yield "depends on the working folder", [""] if seen.used_cwd else []
    yield "starts ", seen.processes
    yield "connects to ", seen.connections
    yield "reads ", seen.remote
    yield "draws without a seed: ", seen.drew
    yield "may draw without a seed: ", seen.perhaps_drew
    yield "uses ", seen.state
    yield "sends tasks to the cluster", [""] if seen.sent else []
    yield "", seen.unknown
