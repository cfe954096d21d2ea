"""The client's side of the records that workers send: each is added to the report of its run."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import random
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Mapping
from html import escape

from cachingclient import config
from cachingclient.client.metrics import METRICS
from cachingclient.plan.lookup import run_with_timeout
from cachingclient.plan.plan import Plan
from cachingclient.plan.record import BEYOND_BUDGET, QUICK, StepRecord
from cachingclient.plan.report import RunReport
from cachingclient.plan.unkept import NOT_KEPT
from cachingclient.storage import Store
from cachingclient.warn_once import NoteKeeper

MOST_REPORTS = 1000
MOST_EXPLAINABLE = 100_000
"""The newest reports with so many steps keep what explains their misses."""
MOST_CHECKED = 100
"""How many of the results that were kept are looked for when the client flushes."""
MOST_SECONDS = 5.0
"""Seconds to wait at most for records that a worker has sent: if its connection broke, they never come."""


class Records:
    """The reports of a client, and the records that fill them.

    Parameters
    ----------
    notes
        Warns the user of results that were not kept, with the reason.
    kept
        Called with the number of bytes that were kept.
    told
        Called with each run and what was told of it.

    Examples
    --------
    >>> Records(NoteKeeper(), lambda nbytes: None).reports
    deque([], maxlen=1000)
    """

    def __init__(
        self,
        notes: NoteKeeper,
        kept: Callable[[int], None],
        told: Callable[[str, list[StepRecord]], None] = lambda run, records: None,
    ) -> None:
        self.told = told
        self.reports: deque[RunReport] = deque(maxlen=MOST_REPORTS)
        self.notes = notes
        self.kept = kept
        self.foresee: Callable[[Plan], str] = lambda plan: ""
        """Says of a plan that is about to be sent what the user should know."""
        self.not_worth: dict[tuple[str, int], str] = {}
        """For each step's name and number of inputs why its last result was not worth keeping."""
        self._explainable: deque[RunReport] = deque(maxlen=MOST_REPORTS)
        self._explainable_steps = 0
        self._sample: list[str] = []
        self._sampled_from = 0
        self._chance = random.Random()  # what the user's own code draws in this process stays as it was seeded
        self._by_run: weakref.WeakValueDictionary[str, RunReport] = weakref.WeakValueDictionary()
        self._received: Counter[str] = Counter()

    def add(self, run: str, report: RunReport) -> None:
        """Take over the report of a run."""
        self.reports.append(report)
        self._by_run[run] = report
        METRICS.planned(report.store, report.plan)
        self._warn_before(report)
        self._explainable.append(report)
        self._explainable_steps += len(report.plan.details)
        while self._explainable_steps > MOST_EXPLAINABLE and len(self._explainable) > 1:
            oldest = self._explainable.popleft().plan
            self._explainable_steps -= len(oldest.details)
            oldest.forget()

    def _warn_before(self, report: RunReport) -> None:
        with contextlib.suppress(Exception):  # a fault here costs the warning, never the run
            if text := self.foresee(report.plan):
                self.notes.add(text)

    def as_html(self, store: Store) -> str:
        """Return where results are kept and what the last graph did, for a notebook."""
        last = f"<br />last graph: {escape(self.reports[-1].summary().headline)}" if self.reports else ""
        may = " (only read)" if store.read_only else ""
        return f"<div>results are kept in <code>{escape(store.url)}</code>{may}{last}</div>"

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
        self.told(run, records)
        report = self._by_run.get(run)
        if report is not None:
            report.records.extend(records)
            METRICS.recorded(report.store, records)
            self._learn(report, records)
        for record in records:
            if record.kept and record.fact:
                self._remember(record.fact)
        self.kept(sum(record.nbytes for record in records if record.kept))
        for record in records:
            if record.note and record.note not in (QUICK, BEYOND_BUDGET):
                # A fault of the store is the same for each step: warn of it once.
                store_fault = report is not None and report.store and report.store in record.note
                self.notes.add(f"step {record.name}: {record.note}", about=record.note if store_fault else "")

    def _learn(self, report: RunReport, records: list[StepRecord]) -> None:
        """Take down which steps are not worth keeping: a plan tells it beforehand."""
        for record in records:
            if record.action == "ran" and (step := report.plan.steps.get(record.key)) is not None:
                kind = record.name, len(step.dependencies)
                if record.note == QUICK:
                    self.not_worth[kind] = QUICK.removeprefix(NOT_KEPT)
                else:
                    self.not_worth.pop(kind, None)

    def _remember(self, key: str) -> None:
        """Take the key of an entry into the sample, so that each that was kept has the same chance to be in it."""
        self._sampled_from += 1
        if len(self._sample) < MOST_CHECKED:
            self._sample.append(key)
        elif (place := self._chance.randrange(self._sampled_from)) < MOST_CHECKED:
            self._sample[place] = key

    def gone_since(self, store: Store, removed: Container[str]) -> tuple[int, int]:
        """Look for some of the results that were kept since this was last asked; return of how many, how many are gone.

        Parameters
        ----------
        store
            Where they were kept.
        removed
            The keys of results that were removed for a reason.
        """
        sample, self._sample, self._sampled_from = self._sample, [], 0
        if not (keys := [key for key in sample if key not in removed]):
            return 0, 0
        store.refresh()
        try:
            found = run_with_timeout(config.look_up_timeout(), store.find, keys)
        except Exception:
            return len(keys), 0  # who does not answer may have them all
        return len(keys), len(set(keys) - found.keys())

    async def complete(self, answers: Iterable[tuple[Mapping[str, list[StepRecord]], str, Mapping[str, int]]]) -> None:
        """Take the records that workers returned from a flush, and wait for the records that they had sent before."""
        by_process: dict[str, Counter[str]] = {}
        for records, process, counts in answers:
            for run, taken in records.items():
                self.take(run, taken)
            by_process[process] = by_process.get(process, Counter()) | Counter(counts)
        sent = sum(by_process.values(), Counter[str]())
        deadline = time.monotonic() + MOST_SECONDS
        while any(self._received[run] < count for run, count in sent.items()) and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
