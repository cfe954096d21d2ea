"""The workers' records on the client: sorted to their reports, and complete when somebody looks."""

from __future__ import annotations

import asyncio
import pickle
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping

from cachingclient.notes import NoteKeeper
from cachingclient.report import RunReport, StepRecord

MOST_REPORTS = 1000
MOST_CHECKED = 100
"""How many of the results that were kept last are looked for when the client flushes."""
MOST_SECONDS = 5.0
"""How long records that a worker has sent are waited for: one whose connection broke never come."""


class Records:
    """The reports of a client, and the records that fill them.

    Parameters
    ----------
    notes
        Told of what was not kept, and why.
    kept
        Called with the number of bytes that were kept.

    Attributes
    ----------
    kept_keys
        The step keys of the results that were kept last.

    Examples
    --------
    >>> Records(NoteKeeper(), lambda nbytes: None).reports
    deque([], maxlen=1000)
    """

    def __init__(self, notes: NoteKeeper, kept: Callable[[int], None]) -> None:
        self.reports: deque[RunReport] = deque(maxlen=MOST_REPORTS)
        self.notes = notes
        self.kept = kept
        self.kept_keys: deque[str] = deque(maxlen=MOST_CHECKED)
        self._by_run: weakref.WeakValueDictionary[str, RunReport] = weakref.WeakValueDictionary()
        self._received: Counter[str] = Counter()

    def add(self, run: str, report: RunReport) -> None:
        """Take over the report of a run."""
        self.reports.append(report)
        self._by_run[run] = report

    def runs(self) -> list[str]:
        """Return the runs whose reports are still there."""
        return list(self._by_run)

    def receive(self, event: tuple[float, bytes]) -> None:
        """Take records that a worker sent as an event."""
        run, records = pickle.loads(event[1])
        self._received[run] += len(records)
        self.take(run, records)

    def take(self, run: str, records: list[StepRecord]) -> None:
        """Take the records of a run."""
        report = self._by_run.get(run)
        if report is not None:
            report.records.extend(records)
            steps = (report.plan.steps.get(record.key) for record in records if record.kept)
            self.kept_keys.extend(step.step_key for step in steps if step is not None and step.step_key is not None)
        self.kept(sum(record.nbytes for record in records if record.kept))
        for record in records:
            if record.note:
                self.notes.add(f"step {record.name}: {record.note}")

    async def complete(self, answers: Iterable[tuple[Mapping[str, list[StepRecord]], Mapping[str, int]]]) -> None:
        """Take what workers answered to a flush, and wait for what they had sent before."""
        sent: Counter[str] = Counter()
        for records, counts in answers:
            for run, taken in records.items():
                self.take(run, taken)
            sent.update(counts)
        deadline = time.monotonic() + MOST_SECONDS
        while any(self._received[run] < count for run, count in sent.items()) and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
