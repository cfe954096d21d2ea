"""A site's agent at a DiracX server: takes jobs that may run here, runs them, reports, and obeys a kill.

Run by the server's interpreter, where the site is: diracx_agent.py FOLDER URL SITE SLOTS TAGS. DiracX has no matcher
and shows no descriptions yet (those are DIRAC's), so they are read from its database.
"""

from __future__ import annotations

import fcntl
import hashlib
import signal
import sqlite3
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from DIRACCommon.Core.Utilities.ClassAd.ClassAdLight import ClassAd
from DIRACCommon.WorkloadManagementSystem.DB.JobDBUtils import extractJDL
from payload import Payload

folder, url, site, slots = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
offered = set(filter(None, sys.argv[5].split(",")))
# SQLite has heartbeats by the second: two of a job within one would be an error.
BEAT = 1.2
PAUSE = 0.1


class Session:
    """The server as a user sees it, by tokens that pilots get without a browser."""

    def __init__(self, user: str, group: str) -> None:
        self.session = requests.Session()
        self.session.verify = str(folder / "ca.pem")
        key = (folder / "legacy_key").read_text()
        scope = {"preferred_username": user, "scope": f"vo:tests group:{group}"}
        tokens = self.ask("GET", "/auth/legacy-exchange", params=scope, headers={"Authorization": f"Bearer {key}"})
        self.session.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        reply = self.session.request(method, f"{url}/api{path}", timeout=30, verify=self.session.verify, **arguments)
        reply.raise_for_status()
        return reply.json() if reply.content else None


class Agent:
    """Up to so many jobs at once, at one site."""

    def __init__(self) -> None:
        self.pilot = Session("pilot", "tests_pilot")
        self.owners: dict[str, Session] = {}
        self.admin = Session("alice", "tests_admin")
        self.running: dict[int, Payload] = {}
        self.owner_of: dict[int, str] = {}
        self.beaten = 0.0

    def work(self) -> None:
        """One round."""
        while len(self.running) < slots and (job := self.match()):
            self.begin(*job)
        for number, job in list(self.running.items()):
            if (code := job.process.poll()) is not None:
                self.finish(self.running.pop(number), code)
        if self.running and time.monotonic() - self.beaten > BEAT:
            self.beaten = time.monotonic()
            data = {str(number): {"WallClockTime": time.monotonic()} for number in self.running}
            for command in self.pilot.ask("PATCH", "/jobs/heartbeat", json=data):
                if command["command"] == "Kill" and command["job_id"] in self.running:
                    job = self.running.pop(command["job_id"])
                    job.end()
                    print("killed", job.number, flush=True)

    def match(self) -> tuple[dict[str, Any], ClassAd] | None:
        """The oldest job that may run here, which no other agent gets any more."""
        with (folder / "matcher.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            conditions = [
                {"parameter": "Status", "operator": "in", "values": ["Received", "Waiting"]},
                {"parameter": "Site", "operator": "in", "values": [site, "ANY", "Multiple"]},
            ]
            sort = [{"parameter": "JobID", "direction": "asc"}]
            columns = ["JobID", "Site", "Status", "Owner"]
            body = {"parameters": columns, "search": conditions, "sort": sort}
            for job in self.admin.ask("POST", "/jobs/search", json=body):
                description = ClassAd(self.description(job["JobID"]))
                wanted = description.getListFromExpression
                allowed = not wanted("Site") or {site, "ANY"} & set(wanted("Site"))
                if allowed and site not in wanted("BannedSites") and set(wanted("Tags")) <= offered:
                    if job["Status"] == "Received":
                        self.report(job["JobID"], "Waiting", "Pilot Agent Submission")
                    self.report(job["JobID"], "Matched", "Assigned")
                    return job, description
        return None

    def description(self, number: int) -> str:
        database = sqlite3.connect(f"file:{folder}/databases/Job.db?mode=ro", uri=True)
        try:
            (row,) = database.execute("SELECT JDL FROM JobJDLs WHERE JobID = ?", (number,))
        finally:
            database.close()
        return str(extractJDL(row[0]))

    def begin(self, job: dict[str, Any], description: ClassAd) -> None:
        number = job["JobID"]
        self.pilot.ask("PATCH", "/jobs/metadata", json={number: {"Site": site}})
        (box,) = description.getListFromExpression("InputSandbox")
        address = self.admin.ask("GET", "/jobs/sandbox", params={"pfn": box})["url"]
        try:
            files = requests.get(address, timeout=30).content
            self.owner_of[number] = job["Owner"]
            self.running[number] = Payload(number, site, description, [files])
        except OSError as error:
            self.report(number, "Failed", "Application not found", str(error)[:200])
            return
        self.report(number, "Running", "Application")
        print("started", number, flush=True)

    def finish(self, job: Payload, code: int) -> None:
        content = job.packed()
        description = {
            "checksum_algorithm": "sha256",
            "checksum": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "format": "tar.bz2",
        }
        owner = self.owner_of[job.number]
        if owner not in self.owners:
            self.owners[owner] = Session(owner, "tests_user")
        place = self.owners[owner].ask("POST", "/jobs/sandbox", json=description)
        if place.get("url"):
            reply = requests.post(place["url"], data=place["fields"], files={"file": ("file", content)}, timeout=30)
            reply.raise_for_status()
        self.pilot.ask("PATCH", f"/jobs/{job.number}/sandbox/output", json=place["pfn"])
        minor = "Application Finished With Errors" if code else "Execution Complete"
        self.report(job.number, "Failed" if code else "Done", minor, f"exit {code}")
        print("ended", job.number, code, flush=True)

    def report(self, number: int, state: str, minor: str, application: str = "Unknown") -> None:
        status = {"Status": state, "MinorStatus": minor, "ApplicationStatus": application}
        change = {datetime.now(UTC).isoformat(): {**status, "Source": f"JobAgent@{site}"}}
        self.pilot.ask("PATCH", "/jobs/status", json={number: change})
        # Times are kept to the microsecond, and one that is not later does nothing.
        time.sleep(0.002)


agent = Agent()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", site, flush=True)
try:
    while True:
        try:
            agent.work()
        except requests.RequestException as error:
            print("server:", error, flush=True)
        time.sleep(PAUSE)
finally:
    for job in agent.running.values():
        job.end()
