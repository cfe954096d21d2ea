"""What was run with a store: one line a graph, in a small file beside it.

The file lies in the folder of a store that is one, ``runs.jsonl``; for any other store, or one that can only be read,
in the user's cache folder. Only the newest runs are kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cachingclient import units
from cachingclient.config import default_store
from cachingclient.hashing.digest import digest
from cachingclient.plan.because import learn_because
from cachingclient.plan.chunk_notes import ChunkNotes, learn
from cachingclient.plan.kept import QUICK_STORE
from cachingclient.plan.line_file import add_line, replace_lines
from cachingclient.plan.report import RunReport
from cachingclient.storage import Store
from cachingclient.storage.open_store import local_path

OF_OTHERS = ".runs"
"""How the files of stores end that are no folders, or can only be read."""
MOST_RUNS = 200
MOST_BYTES = 1_000_000
"""A file that is larger is cut to its newest runs."""
MOST_EXPLAINED = 3
"""Of how many runs at once it is looked up why their steps ran, if nobody asked before."""
MOST_NAMES = 60
FEWEST_STEPS = 2
"""A graph of fewer steps, such as a call by `submit`, is no run."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the steps of one name: how many there were, ran and were loaded, and the seconds that took."""

    steps: int = 0
    ran: int = 0
    loaded: int = 0
    spent: float = 0.0
    saved: float = 0.0
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One graph that was run.

    Attributes
    ----------
    name
        What to call it: when it began, as ``20260314-092653-12``.
    when
        When it ended, in unix time.
    names
        The counts by step name, the most costly ones.
    because
        For step names why they ran.

    Examples
    --------
    >>> run = Run("20260314-092653-00", 1.0, {"fill": Counts(4, 1, 3, 0.5, 2.0, 800)})
    >>> Run.of_json(run.as_json()) == run, run.ran, run.steps
    (True, 1, 4)
    """

    name: str
    when: float
    names: Mapping[str, Counts] = field(default_factory=dict)
    because: Mapping[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """How many steps it had."""
        return sum(each.steps for each in self.names.values())

    @property
    def ran(self) -> int:
        """How many of them ran."""
        return sum(each.ran for each in self.names.values())

    @property
    def loaded(self) -> int:
        """How many of them were loaded."""
        return sum(each.loaded for each in self.names.values())

    @property
    def spent(self) -> float:
        """The seconds that its steps took."""
        return sum(each.spent for each in self.names.values())

    @property
    def saved(self) -> float:
        """The seconds that were saved."""
        return sum(each.saved for each in self.names.values())

    @property
    def nbytes(self) -> int:
        """The bytes that were read and written."""
        return sum(each.nbytes for each in self.names.values())

    def as_json(self) -> str:
        """Return one line."""
        names = {name: [round(value, 6) for value in dataclasses.astuple(each)] for name, each in self.names.items()}
        return json.dumps({"name": self.name, "when": self.when, "names": names, "because": dict(self.because)})

    def as_dict(self) -> dict[str, Any]:
        """Return everything for JSON, with the sums."""
        sums = {name: getattr(self, name) for name in ("steps", "ran", "loaded", "spent", "saved", "nbytes")}
        names = {name: asdict(each) for name, each in self.names.items()}
        return {"run": self.name, "when": self.when, **sums, "names": names, "because": dict(self.because)}

    @classmethod
    def of_json(cls, line: str) -> Run:
        """Return the run of a line.

        Raises
        ------
        ValueError
            If it is not one.
        """
        try:
            fields = json.loads(line)
            names = {
                str(name): Counts(int(steps), int(ran), int(loaded), float(spent), float(saved), int(nbytes))
                for name, (steps, ran, loaded, spent, saved, nbytes) in fields["names"].items()
            }
            because = {str(name): str(text) for name, text in fields["because"].items()}
            return cls(str(fields["name"]), float(fields["when"]), names, because)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"a line that is no run: {error!r}") from None


class History:
    """The runs with a store, the oldest first. It prints as a table.

    Parameters
    ----------
    path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> history = History(Path(tempfile.mkdtemp()) / "runs.jsonl")
    >>> history.append(Run("20260314-092653-00", 1.0, {"fill": Counts(4, 1, 3, 0.5, 2.0, 800)}))
    >>> len(history), history[-1].ran
    (1, 1)
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Run]:
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        for line in lines[-MOST_RUNS:]:
            with contextlib.suppress(ValueError):
                yield Run.of_json(line)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, number: int) -> Run:
        return list(self)[number]

    def append(self, run: Run) -> None:
        """Add a run. What can't be written is left out: nobody's analysis fails for it."""
        with contextlib.suppress(OSError):
            if self.path.suffix == OF_OTHERS:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > MOST_BYTES:
                self._cut()
            add_line(self.path, run.as_json())

    def _cut(self) -> None:
        replace_lines(self.path, (run.as_json() for run in list(self)[-MOST_RUNS // 2 :]))

    def find(self, name: str) -> Run:
        """Return the run of a name, or of a number from the end: ``-1`` is the last one.

        Raises
        ------
        ValueError
            If there is none.
        """
        runs = list(self)
        with contextlib.suppress(ValueError, IndexError, StopIteration):
            return runs[
                int(name) if name.startswith("-") else next(n for n, run in enumerate(runs) if run.name == name)
            ]
        known = [run for run in runs if run.name.startswith(name)]
        if len(known) != 1:
            raise ValueError(f"{'no run' if not known else 'more than one run'} is called {name}: see cachectl runs")
        return known[0]

    def __str__(self) -> str:
        if not (runs := list(self)):
            return "no runs yet"
        saved = sum(run.saved for run in runs)
        lines = [f"{run.name}  {_sentence(run)}" for run in runs]
        return "\n".join(
            [*lines, f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}; saved about {units.duration(saved)}"]
        )

    __repr__ = __str__


def _sentence(run: Run) -> str:
    why = next(iter(run.because.values()), "")
    line = f"{run.ran:,} of {run.steps:,} steps ran, {run.loaded:,} loaded; {units.duration(run.spent)}"
    return line + (f", saved {units.duration(run.saved)}" if run.saved else "") + (f"; {why}" if why else "")


def history_of(store: Store) -> History:
    """Return the history of a store: in its folder, else in the user's cache folder.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> history_of(open_store("memory://history")).path.suffix
    '.runs'
    """
    place = None
    with contextlib.suppress(ValueError):
        place = local_path(store.url) if not store.read_only else None
    beside = Path(place or "") / "runs.jsonl"
    if place is not None and os.access(beside if beside.exists() else place, os.W_OK):
        return History(beside)
    users = Path(local_path(default_store()) or ".").with_name("cachingclient-runs")
    return History(users / f"{digest(store.url.encode()).hex()}{OF_OTHERS}")


def chunk_notes_of(store: Store) -> ChunkNotes:
    """Return the notes on chunk sizes that belong to a store: they are beside its history.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> chunk_notes_of(open_store("memory://notes")).path.suffix
    '.chunks'
    """
    path = history_of(store).path
    return ChunkNotes(path.with_suffix(".chunks") if path.suffix == OF_OTHERS else path.with_name("chunks.jsonl"))


def run_of(report: RunReport, now: float) -> Run | None:
    """Return what history tells of a report; None of a graph that is too small."""
    rows = report.summary().rows
    if sum(row.steps for row in rows) < FEWEST_STEPS:
        return None
    counts = {
        row.name: Counts(
            row.steps, row.ran, row.loaded + row.cut_off, row.seconds_spent, row.seconds_saved,
            row.bytes_loaded + row.bytes_kept,
        )
        for row in sorted(rows, key=lambda row: -(row.seconds_spent + row.seconds_saved))[:MOST_NAMES]
    }  # fmt: skip
    began = time.strftime("%Y%m%d-%H%M%S", time.localtime(report.began))
    name = f"{began}-{int(report.began * 100) % 100:02d}"
    because = dict(list(report.plan.because.items())[:MOST_NAMES])
    return Run(name, now, counts, because)


def note(reports: Iterable[RunReport], store: Store, is_pending: Callable[[RunReport], bool]) -> None:
    """Add the reports to the history that are not there yet and have come to an end.

    Parameters
    ----------
    reports
        The reports of a client.
    store
        Its store.
    is_pending
        Tells whether a report's graph is still running.
    """
    fresh = [report for report in reports if not report.is_in_history and not is_pending(report)]
    if not fresh:
        return
    history = history_of(store)
    # Looking for reasons goes through all that is kept. A first run has none: nothing was kept before it.
    if store.private and store.latency < QUICK_STORE and history.path.exists():
        for report in fresh[-MOST_EXPLAINED:]:
            learn_because(report.plan, store)
    for report in fresh:
        report.is_in_history = True
        learn(report.records, chunk_notes_of(store))
        run = run_of(report, time.time())
        if run is not None:
            # Reasons tell values, which a store that others can write to has none of.
            history.append(run if store.private else dataclasses.replace(run, because={}))


def differences(before: Run, after: Run) -> Iterator[tuple[str, Counts, Counts, str]]:
    """Yield what differs between two runs: the step name, its counts in both, and why it ran in the second."""
    for name in {**before.names, **after.names}:
        old, new = before.names.get(name, Counts()), after.names.get(name, Counts())
        if (old.steps, old.ran, old.loaded) != (new.steps, new.ran, new.loaded):
            yield name, old, new, after.because.get(name, "")
