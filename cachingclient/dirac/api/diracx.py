"""DiracX."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cachingclient.dirac.api import sandbox
from cachingclient.dirac.api.batches import Batches, TooMany
from cachingclient.dirac.api.diracx_http import DiracXHttp
from cachingclient.dirac.api.errors import DiracError, NotOffered, Refused, ServerUnavailable
from cachingclient.dirac.api.file_catalogue import FileCatalogue
from cachingclient.dirac.api.http import Http
from cachingclient.dirac.api.interface import DiracApi
from cachingclient.dirac.api.job import Job
from cachingclient.dirac.api.models import Identity, JobStatus, Transition
from cachingclient.dirac.api.parse import (
    COLUMNS,
    a_dict,
    a_job,
    a_list,
    a_sandbox,
    a_text,
    a_time,
    an_id,
    job_ids,
    malformed,
)
from cachingclient.dirac.api.tokens import TokenFile

ASKED_AT_ONCE = 1000
MOST_ON_A_PAGE = 10_000
TOO_MANY = re.compile(r"more than (\d+) jobs")
# Clocks differ, and a change that is older than the last one does nothing.
LATER = timedelta(seconds=1)
USERINFO = "/api/auth/userinfo"
MARKED = "Marked for termination"
UNKNOWN = "the server knows no such job"


class DiracX(DiracApi):
    """A DiracX server, with tokens.

    Parameters
    ----------
    url
        ``https://HOST``.
    vo
        The virtual organisation.
    tokens
        Where our tokens are; they are renewed there.
    ca
        The authorities to trust the server by; by default ``X509_CERT_DIR``, the grid's folder, or the system's.
    timeout
        Seconds to wait for a reply.

    Notes
    -----
    The server takes a change of state that it does not allow, or that is older than the last one by the clocks of those
    who sent them, without a word, and does nothing: changes are looked at afterwards.
    """

    def __init__(
        self, url: str, vo: str, tokens: TokenFile, *, ca: str | os.PathLike[str] | None = None, timeout: float = 60.0
    ) -> None:
        self._http = Http(url, ca=ca, timeout=timeout)
        self.url, self.vo = self._http.url, vo
        self._tokens = tokens
        self._ask = DiracXHttp(self._http, tokens)
        self._batches = Batches()

    def whoami(self) -> Identity:
        value = a_dict("userinfo", self._ask("GET", USERINFO))
        text = {
            name: a_text(f"userinfo: {name}", value.get(name)) for name in ("preferred_username", "dirac_group", "vo")
        }
        self._check_vo(text["vo"])
        properties = tuple(a_text("properties", each) for each in a_list("properties", value.get("properties", [])))
        expires = self._tokens.read().renewable_until
        return Identity(text["preferred_username"], text["dirac_group"], text["vo"], expires, properties)

    def submit(self, job: Job, each: Sequence[str] = ()) -> list[int]:
        job.describe("check", each)
        self._check_vo(self._claim("vo"))
        if job.owner_group not in ("", group := self._claim("dirac_group")):
            raise Refused(f"the job is for {job.owner_group}, and the tokens for {group}")
        box = self.upload(job.sandbox)
        ids: list[int] = []
        try:
            self._batches.submit(each, lambda some: self._submit_some(job, box, some), ids.extend)
        except BaseException:
            with contextlib.suppress(DiracError):
                self.delete(ids)
            raise
        return ids

    def status(self, ids: Iterable[int]) -> dict[int, JobStatus]:
        wanted = job_ids(ids)
        found: dict[int, JobStatus] = {}
        for begin in range(0, len(wanted), ASKED_AT_ONCE):
            some = wanted[begin : begin + ASKED_AT_ONCE]
            jobs = self._search([{"parameter": "JobID", "operator": "in", "values": some}], ASKED_AT_ONCE)
            found |= {job.id: job for job in jobs}
        return found

    def jobs(self, *, group: str | None = None, states: Iterable[str] = (), limit: int = 100) -> list[JobStatus]:
        conditions: list[dict[str, Any]] = [
            {"parameter": "Owner", "operator": "eq", "value": self._claim("preferred_username")},
            {"parameter": "VO", "operator": "eq", "value": self.vo},
        ]
        if group is not None:
            conditions.append({"parameter": "JobGroup", "operator": "eq", "value": group})
        if wanted := list(states):
            conditions.append({"parameter": "Status", "operator": "in", "values": wanted})
        return self._search(conditions, limit)

    def kill(self, ids: Iterable[int]) -> dict[int, str]:
        ours, refused = self._ours(ids)
        left = [id for id, job in ours.items() if not job.ended]
        return refused | self._move(left, "Killed", MARKED, lambda job: job.ended)

    def delete(self, ids: Iterable[int]) -> dict[int, str]:
        ours, refused = self._ours(ids)
        self._move([id for id, job in ours.items() if not job.ended], "Killed", MARKED, lambda job: job.ended)
        left = [id for id, job in ours.items() if job.state != "Deleted"]
        return refused | self._move(left, "Deleted", "Deleted by its owner", lambda job: job.state == "Deleted")

    def reschedule(self, ids: Iterable[int]) -> dict[int, str]:
        ours, refused = self._ours(ids)
        # The server's own rescheduling does nothing to failed jobs unless they are in this state already.
        refused |= self._move(list(ours), "Rescheduled", "Job Rescheduled", lambda job: job.state == "Rescheduled")
        if not (left := [id for id in ours if id not in refused]):
            return refused
        reply = a_dict("reschedule", self._ask("POST", "/api/jobs/reschedule", json={"job_ids": left}))
        failed = a_dict("reschedule", reply.get("failed", {}))
        refused |= {an_id("reschedule", id): _detail(why) for id, why in failed.items()}
        after = self.status(id for id in left if id not in refused)
        return refused | {id: f"it stays {job.why}" for id, job in after.items() if job.ended}

    def history(self, id: int) -> list[Transition]:
        found = self._find([{"parameter": "JobID", "operator": "eq", "value": id}], 1, ["JobID", "LoggingInfo"])
        if not found:
            raise Refused(f"{self.url} knows no job {id}")
        history = []
        for line in a_list("LoggingInfo", found[0].get("LoggingInfo")):
            fields = a_dict("LoggingInfo", line)
            names = ("Status", "MinorStatus", "ApplicationStatus", "Source")
            state, minor, application, source = (a_text(f"LoggingInfo: {name}", fields.get(name)) for name in names)
            time = a_time("LoggingInfo: StatusTime", fields.get("StatusTime"))
            history.append(Transition(state, minor, application, time, source))
        return history

    def logs(self, id: int) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        for box in a_list("sandbox", self._ask("GET", f"/api/jobs/{an_id('id', id)}/sandbox/output")):
            files |= self.download(a_text("sandbox", box))
        return files

    def upload(self, files: Mapping[str, bytes]) -> str:
        content = sandbox.pack(files)
        description = {
            "checksum_algorithm": "sha256",
            "checksum": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "format": "tar.bz2",
        }
        reply = a_dict("sandbox", self._ask("POST", "/api/jobs/sandbox", json=description))
        name = a_sandbox("sandbox", reply.get("pfn"))
        # The same sandbox is uploaded once: there is no address if the server has it.
        if url := a_text("sandbox", reply.get("url")):
            fields = a_dict("sandbox", reply.get("fields"))
            status, body = self._http.ask("POST", url, data=fields, files={"file": ("file", content)})
            if not 200 <= status < 300:
                raise ServerUnavailable(f"the sandbox can't be uploaded: HTTP {status}: {body[:200]!r}")
        return name

    def download(self, sandbox_name: str) -> dict[str, bytes]:
        reply = a_dict("sandbox", self._ask("GET", "/api/jobs/sandbox", params={"pfn": sandbox_name}))
        # Whoever has this address may read: it must not get our token.
        status, body = self._http.ask("GET", a_text("sandbox", reply.get("url")))
        if status != 200:
            raise ServerUnavailable(f"the sandbox {sandbox_name} can't be downloaded: HTTP {status}")
        return sandbox.unpack(body)

    def sites(self) -> dict[str, str]:
        sites: dict[str, str] = {}
        body = {"grouping": ["Site"], "search": []}
        for line in a_list("summary", self._ask("POST", "/api/jobs/summary", json=body)):
            name = a_text("summary", a_dict("summary", line).get("Site"))
            if name not in ("", "ANY", "Multiple", "Unknown"):
                sites[name] = "Unknown"
        for name, status in a_dict("site", self._ask("GET", "/api/rss/site")).items():
            allowed = a_dict("site", a_dict("site", status).get("all")).get("allowed")
            if not isinstance(allowed, bool):
                malformed("site", "whether it is allowed", status)
            sites[name] = "Active" if allowed else "Banned"
        return dict(sorted(sites.items()))

    @property
    def catalogue(self) -> FileCatalogue:
        raise NotOffered(f"{self.url} is a DiracX server, which has no files' catalogue")

    def close(self) -> None:
        self._http.close()

    def _check_vo(self, vo: str) -> None:
        if vo != self.vo:
            raise Refused(f"the tokens in {self._tokens.path} are for {vo}, not for {self.vo}")

    def _claim(self, name: str) -> str:
        value = self._tokens.read().claims.get(name)
        if isinstance(value, str):
            return value
        # Not every token can be read; the server says the same of it.
        return a_text(name, a_dict("userinfo", self._ask("GET", USERINFO)).get(name))

    def _submit_some(self, job: Job, box: str, each: Sequence[str]) -> list[int]:
        descriptions = [job.describe(box, [word]) for word in each] or [job.describe(box)]
        try:
            reply = self._ask("POST", "/api/jobs/jdl", json=descriptions)
        except Refused as error:
            if limit := TOO_MANY.search(str(error)):
                raise TooMany(int(limit[1])) from error
            raise
        ids = [an_id("jdl", a_dict("jdl", line).get("JobID")) for line in a_list("jdl", reply)]
        if len(ids) != len(descriptions) or len(set(ids)) != len(ids):
            malformed("jdl", f"{len(descriptions)} numbers of jobs", reply)
        return ids

    def _search(self, conditions: list[dict[str, Any]], limit: int) -> list[JobStatus]:
        return [a_job(job.get("JobID"), job) for job in self._find(conditions, limit, list(COLUMNS))]

    def _find(self, conditions: list[dict[str, Any]], limit: int, columns: list[str]) -> list[dict[str, Any]]:
        newest_first = [{"parameter": "JobID", "direction": "desc"}]
        body = {"parameters": columns, "search": conditions, "sort": newest_first}
        page = {"page": 1, "per_page": min(limit, MOST_ON_A_PAGE)}
        found = self._ask("POST", "/api/jobs/search", params=page, json=body)
        return [a_dict("search", job) for job in a_list("search", found)]

    def _ours(self, ids: Iterable[int]) -> tuple[dict[int, JobStatus], dict[int, str]]:
        """Which of these jobs are ours, and why the others are refused: one of these spoils a request for all."""
        wanted, user = job_ids(ids), self._claim("preferred_username")
        found = self.status(wanted) if wanted else {}
        ours = {id: job for id, job in found.items() if job.owner == user}
        others = {id: f"it is {found[id].owner}'s" if id in found else UNKNOWN for id in wanted if id not in ours}
        return ours, others

    def _move(self, ids: list[int], state: str, minor: str, there: Callable[[JobStatus], bool]) -> dict[int, str]:
        """Change the state of jobs and look whether it did; those that stayed, with the state that they are in."""
        moment = {id: datetime.now(UTC) for id in ids}
        after: dict[int, JobStatus] = {}
        for _ in range(2):
            if not moment:
                return {}
            update = {"Status": state, "MinorStatus": minor, "Source": "User"}
            changes = {str(id): {when.isoformat(): update} for id, when in moment.items()}
            self._ask("PATCH", "/api/jobs/status", json=changes)
            after = {id: job for id, job in self.status(moment).items() if not there(job)}
            moment = {id: self._after_last(id) for id in after}
        return {id: f"it stays {job.why}" for id, job in after.items()}

    def _after_last(self, id: int) -> datetime:
        times = [line.time for line in self.history(id) if line.time]
        return max([datetime.now(UTC), *times]) + LATER


def _detail(why: object) -> str:
    return str(why.get("detail", why)) if isinstance(why, dict) else str(why)
