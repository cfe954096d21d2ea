"""The contract of a DIRAC server, whichever kind it is: jobs, sites, sandboxes and the user's identity.

`DiracApi` is kept by DIRAC 8 and 9 (`cachingclient.dirac.api.dirac8`) and by DiracX (`cachingclient.dirac.api.diracx`);
`cachingclient.dirac.open_api` opens the right one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from cachingclient.dirac.api.models import Identity, JobStatus, Transition

if TYPE_CHECKING:
    from cachingclient.dirac.api.file_catalogue import FileCatalogue
    from cachingclient.dirac.api.job import Job


class DiracApi(ABC):
    """A DIRAC server as one user of one virtual organisation; a context manager.

    Calls may come from several threads. Every call that fails raises a `DiracError`.

    Notes
    -----
    A killed job stays ``Running`` until its agent reports. Calls that change jobs return those that were *refused*,
    with the server's reasons: an empty mapping means that all was accepted.

    Examples
    --------
    >>> from cachingclient.dirac import open_api
    >>> with open_api() as api:  # doctest: +SKIP
    ...     {site for site, state in api.sites().items() if state == "Active"}
    {'LCG.UKI-SOUTHGRID-RALPP.uk', 'LCG.UKI-LT2-IC-HEP.uk'}
    """

    url: str
    vo: str

    @abstractmethod
    def whoami(self) -> Identity:
        """The identity of the user, as the server sees it."""

    @abstractmethod
    def submit(self, job: Job, each: Sequence[str] = ()) -> list[int]:
        """Submit one job; or, with ``each``, one for each of these words, in few requests.

        Parameters
        ----------
        job
            The job to run. Its files travel in an input sandbox that all of its jobs share.
        each
            Words of letters, digits, dots, dashes and underscores. Each job gets its own as the last argument, and at
            the end of its name.

        Returns
        -------
        list of int
            The jobs' numbers, in the order of ``each``.
        """

    @abstractmethod
    def status(self, ids: Iterable[int]) -> dict[int, JobStatus]:
        """The status of each of these jobs; jobs that the server does not know are missing."""

    @abstractmethod
    def jobs(self, *, group: str | None = None, states: Iterable[str] = (), limit: int = 100) -> list[JobStatus]:
        """The caller's own jobs, the newest first; only those of a job group, or in some of the states, if given."""

    @abstractmethod
    def kill(self, ids: Iterable[int]) -> dict[int, str]:
        """End these jobs; those that were refused, with reasons. A job that ended already is not refused."""

    @abstractmethod
    def delete(self, ids: Iterable[int]) -> dict[int, str]:
        """Kill these jobs and forget them; those that were refused, with reasons."""

    @abstractmethod
    def reschedule(self, ids: Iterable[int]) -> dict[int, str]:
        """Send these jobs back to wait, whatever became of them; those that were refused, with reasons."""

    @abstractmethod
    def history(self, id: int) -> list[Transition]:
        """Through which states a job went, the oldest first."""

    @abstractmethod
    def logs(self, id: int) -> dict[str, bytes]:
        """The files that a job sent back, by name; before it ended, what its agent shows of its output, if any."""

    @abstractmethod
    def upload(self, files: Mapping[str, bytes]) -> str:
        """Put files into a sandbox of ours, for `Job.sandbox`; the sandbox's name."""

    @abstractmethod
    def download(self, sandbox: str) -> dict[str, bytes]:
        """The files of a sandbox."""

    @abstractmethod
    def sites(self) -> dict[str, str]:
        """The sites and their states (``Active``, ``Banned``, ...); a server may tell only those that it has met."""

    @property
    @abstractmethod
    def catalogue(self) -> FileCatalogue:
        """The files' catalogue; `NotOffered` where the server has none."""

    @abstractmethod
    def close(self) -> None:
        """Give up connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
