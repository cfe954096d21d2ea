"""The jobs of one cluster: the wanted workers are compared with the server's jobs, and the difference is made up.

One task does all of it, so that any number of workers costs a few requests.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cachingclient.dirac.api.errors import DiracError, ServerUnavailable
from cachingclient.dirac.api.interface import DiracApi
from cachingclient.dirac.api.job import Job
from cachingclient.dirac.workers.request import Limits, Request, WorkerJob

logger = logging.getLogger(__name__)

SECOND_LOOK = 1.5
"""Seconds after which it shows whether a job that was killed before it ran has been started all the same."""
Describe = Callable[[Request, list[str]], Job]
"""Makes the job for some workers that are alike."""


@dataclass
class Pool:
    """Jobs for workers, by the workers' names."""

    api: DiracApi
    group: str
    describe: Describe
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.jobs: dict[str, WorkerJob] = {}
        self._unwanted: set[int] = set()
        self._doubtful: dict[int, float] = {}
        self._uncertain = False
        self._wake = asyncio.Event()
        self._settled: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def want(self, name: str, request: Request) -> None:
        """See to it that there is a job for this worker."""
        self.jobs[name] = WorkerJob(name, request)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        self._wake.set()

    async def drop(self, name: str) -> None:
        """See to it that there is none; returns when the server has been told."""
        job = self.jobs.pop(name, None)
        if job is None or self._task is None or self._task.done():
            return
        if job.id is not None and not (job.status is not None and job.status.ended):
            self._unwanted.add(job.id)
            if job.running_since is None:
                self._doubtful[job.id] = time.monotonic() + SECOND_LOOK
        told = asyncio.get_running_loop().create_future()
        self._settled.append(told)
        self._wake.set()
        await told

    async def finish(self) -> None:
        """Wait until nothing is left of jobs that were dropped, or it can't be had."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        """Look, and make up the difference, until nothing is wanted and nothing is left."""
        trouble, patience = "", self.limits.poll
        leaving: float | None = None
        while True:
            pause = self.limits.poll
            try:
                await self._step()
                trouble, patience = "", self.limits.poll
            except DiracError as error:
                if str(error) != trouble:
                    logger.warning("the jobs of %s can't be looked after now: %s", self.group, error)
                trouble, patience = str(error), min(2 * patience, max(60.0, self.limits.poll))
                pause = patience
            except Exception:
                # The jobs have to be looked after whatever is wrong with one round.
                logger.exception("the jobs of %s can't be looked after now", self.group)
            if not self.jobs:
                leaving = leaving or time.monotonic()
                if not self._unwanted and not self._uncertain and not self._doubtful:
                    break
                if time.monotonic() - leaving > self.limits.leave:
                    left = ", ".join(map(str, sorted({*self._unwanted, *self._doubtful}))) or "unknown"
                    logger.error(
                        "jobs of the group %s could not be cancelled, see to them by `cachectl dirac kill`: %s",
                        self.group,
                        left,
                    )
                    break
                pause = min(pause, SECOND_LOOK)
            else:
                leaving = None
            await self._sleep(pause)
        self._release()

    async def _sleep(self, seconds: float) -> None:
        soonest = min((job.not_before for job in self.jobs.values() if job.id is None and not job.given_up), default=0)
        if soonest > time.monotonic():
            seconds = min(seconds, soonest - time.monotonic())
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        # Workers are wanted and dropped one by one: what comes in the same breath goes in one request.
        await asyncio.sleep(0.02)

    async def _step(self) -> None:
        self._wake.clear()
        waiting, self._settled = self._settled, []
        try:
            await self._look_again()
            if self._unwanted:
                await self._kill()
            if self._uncertain:
                await self._find_lost()
            await self._look()
            await self._submit()
        except BaseException:
            self._settled = waiting + self._settled
            raise
        if self._unwanted:
            self._settled = waiting + self._settled
        else:
            self._release(waiting)

    def _release(self, waiting: list[asyncio.Future[None]] | None = None) -> None:
        if waiting is None:
            waiting, self._settled = self._settled, []
        for told in waiting:
            if not told.done():
                told.set_result(None)

    async def _kill(self) -> None:
        ids = sorted(self._unwanted)
        refused = await asyncio.to_thread(self.api.kill, ids)
        for id, why in refused.items():
            logger.warning("job %s was not killed: %s", id, why)
        self._unwanted.difference_update(set(ids) - set(refused))

    async def _look_again(self) -> None:
        """Kill once more what an agent was about to start, and so has brought back to life."""
        due = [id for id, when in self._doubtful.items() if when <= time.monotonic() and id not in self._unwanted]
        if due:
            statuses = await asyncio.to_thread(self.api.status, due)
            for id in due:
                del self._doubtful[id]
                if id in statuses and not statuses[id].ended:
                    self._unwanted.add(id)
                    if not statuses[id].running:
                        self._doubtful[id] = time.monotonic() + SECOND_LOOK

    async def _find_lost(self) -> None:
        """Find the jobs of a submission whose answer was lost."""
        known = {job.id for job in self.jobs.values()} | self._unwanted
        found = await asyncio.to_thread(lambda: self.api.jobs(group=self.group, limit=10_000))
        for status in found:
            if status.id in known or status.ended:
                continue
            name = next((name for name, job in self.jobs.items() if status.name.endswith("-" + name)), None)
            if name is not None and self.jobs[name].id is None:
                self._submitted(self.jobs[name], status.id)
            else:
                self._unwanted.add(status.id)
        self._uncertain = False

    async def _look(self) -> None:
        """Take in what became of the jobs."""
        ours = {job.id: job for job in self.jobs.values() if job.id is not None}
        if not ours:
            return
        statuses = await asyncio.to_thread(self.api.status, list(ours))
        now = time.monotonic()
        for id, job in ours.items():
            if self.jobs.get(job.name) is not job:
                continue  # dropped meanwhile
            job.status = status = statuses.get(id)
            if status is None:
                if now - job.submitted > 10 * self.limits.poll:
                    self._came_to_nothing(job, "the server does not know it any more")
            elif status.running:
                job.running_since = job.running_since or now
                job.why = ""
            elif status.ended:
                self._came_to_nothing(job, status.why + await self._last_words(id))
            elif self.limits.pending is not None and now - job.submitted > self.limits.pending:
                self._unwanted.add(id)
                self._came_to_nothing(job, f"not started for {self.limits.pending:g} s: {status.why}")
            else:
                job.why = status.why

    async def _last_words(self, id: int) -> str:
        """Return the last that a job wrote about its trouble, if the server has it."""
        try:
            logs = await asyncio.to_thread(self.api.logs, id)
        except DiracError:
            return ""
        lines = logs.get("std.err", b"").decode(errors="replace").splitlines()
        telling = [line.strip() for line in lines if line.strip() and " - INFO - " not in line]
        return f": {telling[-1]}" if telling else ""

    def _came_to_nothing(self, job: WorkerJob, why: str) -> None:
        now = time.monotonic()
        if job.running_since is not None and now - job.running_since > self.limits.settled:
            job.attempts = 0
        job.attempts += 1
        job.why = why
        job.not_before = now + min(2.0 ** (job.attempts - 1), 60.0) - 1.0
        if job.attempts > self.limits.retries:
            job.given_up = True
            logger.error("worker %s is given up after %s jobs; the last, %s: %s", job.name, job.attempts, job.id, why)
        else:
            logger.warning("job %s of worker %s came to nothing: %s; submitting another", job.id, job.name, why)
        job.id, job.status, job.running_since = None, None, None

    async def _submit(self) -> None:
        now = time.monotonic()
        alike: dict[Request, list[WorkerJob]] = {}
        for job in self.jobs.values():
            if job.id is None and not job.given_up and job.not_before <= now:
                alike.setdefault(job.request, []).append(job)
        for request, jobs in alike.items():
            names = [job.name for job in jobs]
            try:
                ids = await asyncio.to_thread(self.api.submit, self.describe(request, names), names)
            except ServerUnavailable:
                self._uncertain = True  # it may have taken them
                raise
            except DiracError as error:
                for job in jobs:
                    self._came_to_nothing(job, str(error))
                continue
            for job, id in zip(jobs, ids, strict=True):
                self._submitted(job, id)

    def _submitted(self, job: WorkerJob, id: int) -> None:
        if self.jobs.get(job.name) is job:
            job.id, job.status, job.submitted = id, None, time.monotonic()
        else:
            self._unwanted.add(id)  # dropped while it was on its way
            self._wake.set()
