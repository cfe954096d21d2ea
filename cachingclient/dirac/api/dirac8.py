"""DIRAC 8 and 9."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from cachingclient.dirac.api import sandbox
from cachingclient.dirac.api.batches import Batches, TooMany
from cachingclient.dirac.api.credentials import Proxy
from cachingclient.dirac.api.dirac8_rpc import Rpc
from cachingclient.dirac.api.errors import DiracError, Refused, ServerUnavailable
from cachingclient.dirac.api.file_catalogue import FileCatalogue
from cachingclient.dirac.api.http import Http
from cachingclient.dirac.api.interface import DiracApi
from cachingclient.dirac.api.job import Job
from cachingclient.dirac.api.models import Identity, JobStatus, Transition
from cachingclient.dirac.api.parse import a_dict, a_job, a_list, a_sandbox, a_text, a_time, an_id, job_ids, malformed

MANAGER = "WorkloadManagement/JobManager"
MONITORING = "WorkloadManagement/JobMonitoring"
SANDBOXES = "WorkloadManagement/SandboxStore"
SITES = "ResourceStatus/ResourceStatus"

ASKED_AT_ONCE = 1000
TOO_MANY = re.compile(r"exceeds the limit of (\d+)")
CONFIRMATIONS = 3
# States in which the server itself works on a job, for so many seconds at most once it was told to stop.
UNSETTLED = frozenset({"Received", "Checking"})
SETTLING = 0.5
LOOKS = 5
# Changes are refused job by job, in lists beside the message.
FAILED = "the server failed to do it"
REFUSALS = {
    "InvalidJobIDs": "the server knows no such job",
    "NonauthorizedJobIDs": "it is not ours",
    "FailedJobIDs": FAILED,
}


class Dirac8(DiracApi):
    """DIRAC 8 or 9 by HTTPS, with an X.509 proxy.

    Parameters
    ----------
    url
        ``https://HOST:8443``.
    vo
        The virtual organisation.
    proxy
        The proxy that says who the user is.
    ca
        The authorities to trust the server by; by default ``X509_CERT_DIR``, the grid's folder, or the system's.
    timeout
        Seconds to wait for a reply.

    Notes
    -----
    A job that was submitted with others waits until all of them are there and confirmed; if that fails, those that were
    submitted are deleted again.
    """

    def __init__(
        self, url: str, vo: str, proxy: Proxy, *, ca: str | os.PathLike[str] | None = None, timeout: float = 60.0
    ) -> None:
        self._http = Http(url, ca=ca, timeout=timeout)
        self.url, self.vo = self._http.url, vo
        self._rpc = Rpc(self._http, vo, proxy)
        self._batches = Batches()
        self._known: tuple[Proxy, Identity] | None = None

    def whoami(self) -> Identity:
        value = a_dict("whoami", self._rpc(MONITORING, "whoami"))
        text = {name: a_text(f"whoami: {name}", value.get(name)) for name in ("username", "group", "VO")}
        if not text["username"] or text["username"] == "anonymous":
            raise Refused(f"{self.url} does not know {self._rpc.proxy.subject}")
        if text["VO"] and text["VO"] != self.vo:
            raise Refused(f"{self.url} takes the proxy for one of {text['VO']}, not of {self.vo}")
        properties = tuple(a_text("whoami: properties", each) for each in a_list("whoami", value.get("properties", [])))
        proxy = self._rpc.proxy
        identity = Identity(text["username"], text["group"], self.vo, proxy.expires, properties)
        self._known = (proxy, identity)
        return identity

    def submit(self, job: Job, each: Sequence[str] = ()) -> list[int]:
        job.describe("check", each)
        # Asked once for a proxy: a server does not say that jobs are for another organisation than was meant.
        if job.owner_group not in ("", group := self._me().group):
            raise Refused(f"the job is for {job.owner_group}, and the proxy for {group}")
        box = self.upload(job.sandbox)
        submitted: list[list[int]] = []
        try:
            self._batches.submit(each, lambda some: self._submit_some(job, box, some), submitted.append)
            # One alone is no bulk to the server, and needs no confirmation.
            self._confirm([id for ids in submitted if len(ids) > 1 for id in ids])
        except BaseException:
            with contextlib.suppress(DiracError):
                self.delete(chain.from_iterable(submitted))
            raise
        return list(chain.from_iterable(submitted))

    def status(self, ids: Iterable[int]) -> dict[int, JobStatus]:
        found: dict[int, JobStatus] = {}
        for some in _batches(ids):
            value = a_dict("getJobsSummary", self._rpc(MONITORING, "getJobsSummary", some))
            found |= {(job := a_job(number, fields)).id: job for number, fields in value.items()}
        return found

    def jobs(self, *, group: str | None = None, states: Iterable[str] = (), limit: int = 100) -> list[JobStatus]:
        wanted = {"Owner": self._me().user, "OwnerGroup": self._me().group, "JobGroup": group, "Status": list(states)}
        value = self._rpc(MONITORING, "getJobs", {name: value for name, value in wanted.items() if value})
        ids = sorted((an_id("getJobs", id) for id in a_list("getJobs", value)), reverse=True)[:limit]
        found = self.status(ids)
        return [found[id] for id in ids if id in found]

    def kill(self, ids: Iterable[int]) -> dict[int, str]:
        wanted = fresh = list(ids)
        # A job whose status can't be read is killed all the same.
        with contextlib.suppress(DiracError):
            fresh = [id for id, job in self.status(wanted).items() if job.state in UNSETTLED]
        refused = self._change("killJob", wanted)
        # An optimizer that was at work on a job meanwhile puts it back to wait.
        for _ in range(LOOKS if fresh else 0):
            time.sleep(SETTLING)
            fresh = [id for id, job in self.status(fresh).items() if job.pending]
            refused |= self._change("killJob", fresh)
            if not fresh:
                break
        return refused

    def delete(self, ids: Iterable[int]) -> dict[int, str]:
        wanted = list(ids)
        self.kill(wanted)
        return self._change("deleteJob", wanted)

    def reschedule(self, ids: Iterable[int]) -> dict[int, str]:
        wanted = list(ids)
        refused = self._change("rescheduleJob", wanted)
        # The reply has all that were asked for, also those that were rescheduled too often.
        after = self.status(id for id in wanted if id not in refused)
        return refused | {id: f"it stays {job.why}" for id, job in after.items() if job.ended}

    def history(self, id: int) -> list[Transition]:
        lines = a_list("getJobLoggingInfo", self._rpc(MONITORING, "getJobLoggingInfo", id))
        history = []
        for line in lines:
            if not isinstance(line, list) or len(line) < 5:
                malformed("getJobLoggingInfo", "lines of five", line)
            state, minor, application, source = (a_text("getJobLoggingInfo", line[n]) for n in (0, 1, 2, 4))
            history.append(Transition(state, minor, application, a_time("getJobLoggingInfo", line[3]), source))
        return history

    def logs(self, id: int) -> dict[str, bytes]:
        boxes = a_dict("sandboxes", self._rpc(SANDBOXES, "getSandboxesAssignedToEntity", f"Job:{id}"))
        files: dict[str, bytes] = {}
        for box in a_list("sandboxes", boxes.get("Output", [])):
            files |= self.download(a_sandbox("sandboxes", box))
        if not files:
            shown = a_dict("getJobParameter", self._rpc(MONITORING, "getJobParameter", id, "StandardOutput"))
            if text := a_text("StandardOutput", shown.get("StandardOutput")):
                files["std.out"] = text.encode()
        return files

    def upload(self, files: Mapping[str, bytes]) -> str:
        content = sandbox.pack(files)
        name = f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}.tar.bz2"
        reply = self._rpc(SANDBOXES, "streamFromClient", [name, {}], "", len(content), content)
        return a_sandbox("streamFromClient", reply)

    def download(self, sandbox_name: str) -> dict[str, bytes]:
        path = sandbox_name.partition("|")[2]
        if not sandbox_name.startswith("SB:") or not path.startswith("/"):
            raise ValueError(f"sandbox is {sandbox_name!r}; it takes a name as upload returns it, SB:STORE|/PATH")
        return sandbox.unpack(self._rpc.content(SANDBOXES, "streamToClient", f"/{SANDBOXES}{path}"))

    def sites(self) -> dict[str, str]:
        columns = ["Name", "Status"]
        rows = a_list("select", self._rpc(SITES, "select", "SiteStatus", {"Meta": {"columns": columns}}))
        sites = {}
        for row in rows:
            if not isinstance(row, list) or len(row) != 2:
                malformed("SiteStatus", "rows of a name and a status", row)
            sites[a_text("SiteStatus", row[0])] = a_text("SiteStatus", row[1])
        return dict(sorted(sites.items()))

    @property
    def catalogue(self) -> FileCatalogue:
        return FileCatalogue(self._rpc)

    def close(self) -> None:
        self._http.close()

    def _me(self) -> Identity:
        known = self._known
        return known[1] if known and known[0] == self._rpc.proxy else self.whoami()

    def _submit_some(self, job: Job, box: str, each: Sequence[str]) -> list[int]:
        reply = self._rpc.reply(MANAGER, "submitJob", job.describe(box, each))
        if not reply["OK"]:
            why = self._rpc.message(reply)
            if limit := TOO_MANY.search(why):
                raise TooMany(int(limit[1]))
            raise Refused(f"the job was not taken: {why}")
        value = reply.get("Value")
        ids = [an_id("submitJob", id) for id in (value if isinstance(value, list) else [value])]
        if len(ids) != max(1, len(each)) or len(set(ids)) != len(ids):
            malformed("submitJob", f"{max(1, len(each))} numbers of jobs", value)
        return ids

    def _confirm(self, ids: list[int]) -> None:
        # Confirming twice does no harm, and jobs that are not confirmed never start.
        for attempt in range(CONFIRMATIONS if ids else 0):
            try:
                self._rpc(MANAGER, "confirmBulkSubmission", ids)
                return
            except ServerUnavailable:
                if attempt == CONFIRMATIONS - 1:
                    raise

    def _change(self, method: str, ids: Iterable[int]) -> dict[int, str]:
        refused = self._try_to_change(method, ids)
        # The server's own services change jobs as well, and collide with our requests.
        for _ in range(LOOKS):
            again = [id for id, why in refused.items() if why == FAILED]
            if not again:
                break
            time.sleep(SETTLING)
            refused = {id: why for id, why in refused.items() if why != FAILED} | self._try_to_change(method, again)
        return refused

    def _try_to_change(self, method: str, ids: Iterable[int]) -> dict[int, str]:
        refused: dict[int, str] = {}
        for some in _batches(ids):
            reply = self._rpc.reply(MANAGER, method, some)
            these = {
                an_id(method, id): why for name, why in REFUSALS.items() for id in a_list(method, reply.get(name, []))
            }
            if not reply["OK"] and not these:
                raise Refused(f"{method}: {self._rpc.message(reply)}")
            refused |= these
        return refused


def _batches(ids: Iterable[int]) -> Iterator[list[int]]:
    wanted = job_ids(ids)
    for begin in range(0, len(wanted), ASKED_AT_ONCE):
        yield wanted[begin : begin + ASKED_AT_ONCE]
