"""The request for a worker, the job that becomes the worker, and the limits on retries and waiting."""

from __future__ import annotations

from dataclasses import dataclass

from cachingclient.dirac.api.models import JobStatus


@dataclass(frozen=True)
class Request:
    """The description of a wanted worker; workers with equal requests are submitted together.

    Attributes
    ----------
    scheduler
        The address of its scheduler.
    sites
        Where it may run; empty for anywhere.
    label
        The site's name for tasks; None for the site that the job finds itself at.
    nthreads, memory_limit, resources, tags
        As for `DiracCluster`.
    """

    scheduler: str
    sites: tuple[str, ...] = ()
    label: str | None = None
    nthreads: int = 1
    memory_limit: str | int | None = None
    resources: tuple[tuple[str, float], ...] = ()
    tags: tuple[str, ...] = ()


@dataclass
class WorkerJob:
    """A worker's job, as it is known here.

    Attributes
    ----------
    name
        The worker's name.
    id
        The job's number; None before it is submitted.
    status
        The last status from the server.
    attempts
        How many jobs this worker has had that came to nothing.
    why
        Why the last one did, or why there is none; empty if all is well.
    """

    name: str
    request: Request
    id: int | None = None
    status: JobStatus | None = None
    attempts: int = 0
    why: str = ""
    submitted: float = 0.0
    running_since: float | None = None
    not_before: float = 0.0
    given_up: bool = False

    @property
    def state(self) -> str:
        """The job's state, in a word."""
        if self.given_up:
            return "given up"
        if self.id is None:
            return "not submitted"
        return "submitted" if self.status is None else self.status.state

    def __str__(self) -> str:
        place = f" at {self.status.site}" if self.status is not None and self.status.running else ""
        return f"{self.name}: job {self.id or '-'} {self.state}{place}{': ' + self.why if self.why else ''}"


@dataclass
class Limits:
    """Limits on retries and waiting.

    Attributes
    ----------
    retries
        How many jobs of a worker may come to nothing in a row before it is given up.
    pending
        Seconds that a job may wait before another is tried instead; None for as long as it takes.
    settled
        Seconds after which a running job counts as a good one, whatever ends it.
    poll
        Seconds between looking at the jobs.
    leave
        Seconds to try to cancel jobs when the cluster closes and the server is away.
    """

    retries: int = 3
    pending: float | None = None
    settled: float = 600.0
    poll: float = 10.0
    leave: float = 30.0
