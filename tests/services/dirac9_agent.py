"""A site's agent at a DIRAC server: asks the Matcher for jobs, runs them, reports, and obeys a kill.

Run by the server's interpreter, where the site is: dirac9_agent.py URL SITE SLOTS TAGS. A pilot gets its jobs'
sandboxes with their owner's proxy (``OWNERS_PROXY`` here).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import DIRAC
import requests
from payload import Payload

DIRAC.initialize(require_auth=False)

from DIRAC.Core.Utilities.ClassAd.ClassAdLight import ClassAd  # noqa: E402
from DIRAC.WorkloadManagementSystem.Client.JobStateUpdateClient import JobStateUpdateClient  # noqa: E402
from DIRAC.WorkloadManagementSystem.Client.MatcherClient import MatcherClient  # noqa: E402

url, site, slots = sys.argv[1], sys.argv[2], int(sys.argv[3])
offered = list(filter(None, sys.argv[4].split(",")))
matcher, states = MatcherClient(), JobStateUpdateClient()
OFFER = {
    "Site": site,
    "CPUTime": 360000,
    "Community": "tests",
    "VirtualOrganization": ["tests"],
    "OwnerGroup": ["tests_user"],
    "Platform": "ANY",
    "NumberOfProcessors": 1,
    "MaxRAM": 2048,
    "GridCE": f"ce.{site}",
    "PilotReference": f"pilot-{site}",
    "DIRACVersion": DIRAC.version,
    **({"Tag": offered} if offered else {}),
}
BEAT = 1.0
PAUSE = 0.2


def sandboxes(method: str, *arguments: Any, **fields: str) -> bytes:
    """Ask the sandbox store as the job's owner."""
    form = {"method": method, "args": json.dumps(arguments), "clientVO": "tests", **fields}
    address, proxy = f"{url}/WorkloadManagement/SandboxStore", os.environ["OWNERS_PROXY"]
    reply = requests.post(address, data=form, cert=proxy, verify=os.environ["X509_CERT_DIR"], timeout=30)
    reply.raise_for_status()
    return reply.content


def sandboxes_of(description: ClassAd) -> Iterator[bytes]:
    for box in description.getListFromExpression("InputSandbox"):
        place = "/WorkloadManagement/SandboxStore" + box.partition("|")[2]
        yield sandboxes("streamToClient", place, rawContent="True")


def send_back(job: Payload) -> None:
    """Upload what it is to send back."""
    content = job.packed()
    name = f"{hashlib.md5(content).hexdigest()}.tar.bz2"
    encoded = {"__dCls": "b64", "obj": base64.b64encode(content).decode()}
    reply = sandboxes("streamFromClient", [name, {f"Job:{job.number}": "Output"}], "", len(content), encoded)
    print("sent", job.number, reply[:200], flush=True)


def report(number: int, state: str, minor: str) -> None:
    done = states.setJobStatus(number, state, minor, f"JobAgent@{site}")
    if not done["OK"]:
        print("not reported", number, state, done["Message"], flush=True)
    # States are kept to the second by time, and in the order of arrival only if they differ.
    time.sleep(1)


def match() -> tuple[int, ClassAd] | None:
    reply = matcher.requestJob(OFFER)
    if reply["OK"]:
        return int(reply["Value"]["JobID"]), ClassAd(reply["Value"]["JDL"])
    if "No match" not in reply["Message"]:
        print("not matched:", reply["Message"][:300], flush=True)
    return None


def work(running: dict[int, Payload], beaten: float) -> float:
    """One round; when the last heartbeat was."""
    while len(running) < slots and (matched := match()):
        number, description = matched
        running[number] = Payload(number, site, description, sandboxes_of(description))
        report(number, "Running", "Application")
        print("started", number, flush=True)
    for number, job in list(running.items()):
        if (code := job.process.poll()) is not None:
            del running[number]
            send_back(job)
            minor = "Application Finished With Errors" if code else "Execution Complete"
            report(number, "Failed" if code else "Done", minor)
            print("ended", number, code, flush=True)
    if time.monotonic() - beaten < BEAT:
        return beaten
    for number in list(running):
        reply = states.sendHeartBeat(number, {"LoadAverage": 1.0}, {})
        if reply["OK"] and "Kill" in (reply["Value"] or {}):
            running.pop(number).end()
            report(number, "Killed", "Marked for termination")
            print("killed", number, flush=True)
    return time.monotonic()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", site, flush=True)
jobs: dict[int, Payload] = {}
last = 0.0
try:
    while True:
        try:
            last = work(jobs, last)
        except requests.RequestException as error:
            print("server:", error, flush=True)
        time.sleep(PAUSE)
finally:
    for job in jobs.values():
        job.end()
