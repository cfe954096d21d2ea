"""The workers' records on the client: sorted to their reports, and complete when somebody looks."""

from __future__ import annotations

import asyncio
import pickle
import random
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping

from cachingclient.notes import NoteKeeper
from cachingclient.report import RunReport, StepRecord

MOST_REPORTS = 1000
MOST_CHECKED = 100
"""How many of the results that were kept are looked for when the client flushes."""
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

    Examples
    --------
    >>> Records(NoteKeeper(), lambda nbytes: None).reports
    deque([], maxlen=1000)
    """

    def __init__(self, notes: NoteKeeper, kept: Callable[[int], None]) -> None:
        self.reports: deque[RunReport] = deque(maxlen=MOST_REPORTS)
        self.notes = notes
        self.kept = kept
        self._sample: list[str] = []
        self._sampled_from = 0
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
            for step in steps:
                if step is not None and step.step_key is not None:
                    self._remember(step.step_key)
        self.kept(sum(record.nbytes for record in records if record.kept))
        for record in records:
            if record.note:
                # What is wrong with the store is as wrong for the next step.
                store_fault = report is not None and report.store and report.store in record.note
                self.notes.add(f"step {record.name}: {record.note}", about=record.note if store_fault else "")

    def _remember(self, step_key: str) -> None:
        """Take a step key into the sample, so that each that was kept has the same chance to be in it."""
        self._sampled_from += 1
        if len(self._sample) < MOST_CHECKED:
            self._sample.append(step_key)
        elif (place := random.randrange(self._sampled_from)) < MOST_CHECKED:
            self._sample[place] = step_key

    def kept_since(self) -> list[str]:
        """Return the step keys of some of the results that were kept since this was last asked."""
        sample, self._sample, self._sampled_from = self._sample, [], 0
        return sample

    async def complete(self, answers: Iterable[tuple[Mapping[str, list[StepRecord]], str, Mapping[str, int]]]) -> None:
        """Take what workers answered to a flush, and wait for what they had sent before."""
        by_process: dict[str, Counter[str]] = {}
        for records, process, counts in answers:
            for run, taken in records.items():
                self.take(run, taken)
            by_process[process] = by_process.get(process, Counter()) | Counter(counts)
        sent = sum(by_process.values(), Counter[str]())
        deadline = time.monotonic() + MOST_SECONDS
        while any(self._received[run] < count for run, count in sent.items()) and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
