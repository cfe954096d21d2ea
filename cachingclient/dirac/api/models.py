"""The data that a DIRAC server returns: the user's identity, a job's status, and the states that it went through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

PENDING = frozenset({"Submitting", "Received", "Checking", "Staging", "Scouting", "Waiting", "Matched", "Rescheduled"})
RUNNING = frozenset({"Running", "Stalled", "Completing", "Completed"})
ENDED = frozenset({"Done", "Failed", "Killed", "Deleted"})


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of the user as the server sees it, and its end.

    Examples
    --------
    >>> Identity("alice", "gridpp_user", "gridpp").properties
    ()
    """

    user: str
    group: str
    vo: str
    expires: datetime | None = None
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The status of a job.

    Examples
    --------
    >>> job = JobStatus(7, "Failed", minor="Application Finished With Errors")
    >>> job.pending, job.running, job.ended
    (False, False, True)
    >>> job.why
    'Failed: Application Finished With Errors'
    """

    id: int
    state: str
    minor: str = ""
    application: str = ""
    site: str = ""
    name: str = ""
    group: str = ""
    owner: str = ""
    submitted: datetime | None = None
    changed: datetime | None = None

    @property
    def pending(self) -> bool:
        """Not started yet."""
        return self.state in PENDING

    @property
    def running(self) -> bool:
        """At a site; a job that was killed stays so until its agent has reported."""
        return self.state in RUNNING

    @property
    def ended(self) -> bool:
        """Nothing more comes of it."""
        return self.state in ENDED

    @property
    def why(self) -> str:
        """The state with the reasons that the server gives."""
        reasons = [text for text in (self.minor, self.application) if text and text != "Unknown"]
        return ": ".join([self.state, *reasons])


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of a job's history.

    Examples
    --------
    >>> Transition("Waiting", "Pilot Agent Submission", "Unknown", None, "JobScheduling").state
    'Waiting'
    """

    state: str
    minor: str
    application: str
    time: datetime | None
    source: str
