"""The client of DiracX, and ``cachectl dirac``, at a real server with an agent at a site."""

from __future__ import annotations

import json
import random
import string
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from cachingclient.dirac import (
    DiracApi,
    Job,
    NotOffered,
    ServerUnavailable,
    TokenFile,
    open_api,
)
from cachingclient.dirac.api.diracx import DiracX as Client
from tests.services.diracx import VO, DiracX
from tests.support.waiting import until

SITE = "LCG.Here.uk"
NOWHERE = "LCG.Nowhere.uk"
READ = """
import json, sys
from DIRACCommon.Core.Utilities.ClassAd.ClassAdLight import ClassAd
from DIRACCommon.WorkloadManagementSystem.Utilities.ParametricJob import generateParametricJobs
several = [generateParametricJobs(ClassAd(text))["Value"] for text in json.load(sys.stdin)]
parsed = [[ClassAd(text) for text in texts] for texts in several]
lists = ["Site", "BannedSites", "Tags", "InputSandbox", "OutputSandbox"]
words = ["JobName", "JobGroup", "Platform", "Executable", "Arguments", "CPUTime"]
print(json.dumps([[{name: job.getListFromExpression(name) for name in lists} | {name: job.getAttributeString(name)
    for name in words} for job in jobs] for jobs in parsed]))
"""


def reached(api: DiracApi, ids: list[int], *states: str) -> None:
    """Wait until jobs are in one of these states."""
    until(lambda: all(job.state in states for job in api.status(ids).values()), f"jobs that are {states}")


@pytest.fixture(scope="module")
def agent(diracx_service: DiracX) -> Iterator[subprocess.Popen[bytes]]:
    """A site whose agent takes two jobs at a time, and has a GPU."""
    process = diracx_service.run(diracx_service.agent(SITE, tags=["GPU"]))
    yield process
    diracx_service.end_process(process)


def test_the_server_reads_what_was_written(diracx_service: DiracX) -> None:
    """DIRAC's own reader of descriptions finds every value in its place, in those of one job and of several."""
    chance = random.Random(7)
    letters = string.ascii_letters + string.digits + "_./:@|*?+~-"

    def word() -> str:
        return "".join(chance.choices(letters, k=chance.randint(1, 12)))

    jobs, descriptions, box = [], [], "SB:SandboxSE|/S3/a/b:c.tar.bz2"
    for number in range(300):
        names = {name: [word() for _ in range(chance.randint(0, 3))] for name in ("sites", "tags", "outputs")}
        job = Job(executable="true", name=word(), group=word(), platform=word(), cpu_time=number + 1, **names)
        each = [f"w{own}" for own in range(chance.choice([0, 1, 2, 3]))]
        jobs.append((job, each))
        descriptions.append(job.describe(box, each))
    command = [diracx_service.python, "-c", READ]
    done = subprocess.run(command, input=json.dumps(descriptions), capture_output=True, text=True, check=True)
    for (job, each), found in zip(jobs, json.loads(done.stdout), strict=True):
        for own, read in zip(each or [""], found, strict=True):
            expected = {"Site": job.sites, "BannedSites": [], "Tags": job.tags, "InputSandbox": [box]}
            expected |= {"OutputSandbox": job.outputs, "JobGroup": job.group, "Platform": job.platform}
            expected |= {"JobName": f"{job.name}-{own}" if own else job.name, "Arguments": own}
            assert read == expected | {"Executable": "start.sh", "CPUTime": str(job.cpu_time)}


def test_a_job_runs_and_sends_its_output_back(alice: DiracApi, agent: object) -> None:
    """Its program, its arguments with every odd character, and its files arrive at the site."""
    arguments = ["a b", 'c"d', "e;f", "g'h", "[i]", "{j}", "%s%j%n", "k\nl", "$HOME", "ü"]
    program = b'#!/bin/sh\nprintf "<%s>" "$@"\ncat data.txt >&2\necho more > other.txt\n'
    files = {"run.sh": program, "data.txt": b"brought along"}
    job = Job(executable="run.sh", arguments=arguments, files=files, sites=[SITE], outputs=["std.*", "other.txt"])
    ids = alice.submit(job)
    reached(alice, ids, "Done")
    logs = alice.logs(ids[0])
    assert logs["std.out"].decode() == "".join(f"<{word}>" for word in arguments)
    assert (logs["std.err"], logs["other.txt"]) == (b"brought along", b"more\n")
    assert [line.state for line in alice.history(ids[0])] == ["Received", "Waiting", "Matched", "Running", "Done"]


def test_a_failed_job_says_why(alice: DiracApi, agent: object) -> None:
    """Its status has the reasons that the agent gave, and its output is there."""
    ids = alice.submit(Job(executable="sh", arguments=["-c", "echo oops >&2; exit 3"], sites=[SITE]))
    reached(alice, ids, "Failed")
    assert alice.status(ids)[ids[0]].why == "Failed: Application Finished With Errors: exit 3"
    assert alice.logs(ids[0])["std.err"] == b"oops\n"


def test_a_killed_job_is_ended_by_its_agent(alice: DiracApi, agent: object, tmp_path: Path) -> None:
    """A kill reaches the process itself."""
    mark = tmp_path / "pid"
    ids = alice.submit(Job(executable="sh", arguments=["-c", f"echo $$ > {mark}; exec sleep 600"], sites=[SITE]))
    reached(alice, ids, "Running")
    until(lambda: mark.exists() and mark.read_text().strip(), "its process")
    process = Path(f"/proc/{mark.read_text().strip()}")
    assert alice.kill(ids) == {}
    until(lambda: not process.exists(), "the end of its process")
    assert alice.status(ids)[ids[0]].state == "Killed"


def test_tags_and_sites_are_kept(alice: DiracApi, agent: object) -> None:
    """A job with the site's tag runs there; one for another site or without that site in its list waits."""
    there = alice.submit(Job(executable="true", sites=[SITE], tags=["GPU"], cpu_time=600))
    elsewhere = alice.submit(Job(executable="true", sites=[NOWHERE]))
    unoffered = alice.submit(Job(executable="true", sites=[SITE], tags=["FPGA"]))
    reached(alice, there, "Done")
    assert {alice.status([id])[id].state for id in elsewhere + unoffered} == {"Received"}
    assert alice.kill(elsewhere + unoffered) == {}


def test_a_hundred_jobs_take_at_most_ten_requests(alice: DiracApi, requests_sent: list[str]) -> None:
    """Each job has its own name, in the order that was asked for, and all are found by their group."""
    words = [f"w{number}" for number in range(100)]
    ids = alice.submit(Job(executable="true", name="many", group="hundred", sites=[NOWHERE]), words)
    assert len(requests_sent) <= 10
    jobs = alice.status(ids)
    assert [jobs[id].name for id in ids] == [f"many-{word}" for word in words]
    found = alice.jobs(group="hundred", states=["Received"], limit=1000)
    assert [job.id for job in found] == sorted(ids, reverse=True)
    assert len(alice.jobs(group="hundred", limit=7)) == 7
    assert alice.kill(ids) == {}
    assert {job.state for job in alice.status(ids).values()} == {"Killed"}
    assert alice.jobs(group="hundred", states=["Received"]) == []


def test_a_smaller_limit_of_the_server_is_kept(
    diracx_service: DiracX, monkeypatch: pytest.MonkeyPatch, requests_sent: list[str]
) -> None:
    """What is refused as too much at once goes in smaller pieces, as large as the server says."""
    monkeypatch.setattr("cachingclient.dirac.api.batches.AS_THEY_COME", 50)
    with open_api(diracx_service.url, VO, diracx_service.credentials(), ca=diracx_service.ca) as api:
        ids = api.submit(Job(executable="true", sites=[NOWHERE]), [str(number) for number in range(45)])
        assert len(set(ids)) == 45
        assert sum(url.endswith("/jdl") for url in requests_sent) == 4
        assert api.kill(ids) == {}


def test_a_kill_counts_although_the_agents_clock_is_ahead(alice: DiracApi, diracx_service: DiracX) -> None:
    """The server ignores changes older than the last one by the clocks of those who sent them; we look and repeat."""
    ids = alice.submit(Job(executable="true", sites=[NOWHERE]))
    ahead = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    change = {str(ids[0]): {ahead: {"Status": "Waiting", "MinorStatus": "", "Source": "JobAgent"}}}
    tokens = TokenFile(diracx_service.credentials("pilot", "tests_pilot")).read()
    reply = requests.patch(
        f"{diracx_service.url}/api/jobs/status",
        json=change,
        headers={"Authorization": f"Bearer {tokens.access}"},
        verify=str(diracx_service.ca),
        timeout=30,
    )
    assert reply.json()["success"]
    assert alice.kill(ids) == {}
    assert alice.status(ids)[ids[0]].state == "Killed"


def test_what_the_server_ignores_is_reported(alice: DiracApi) -> None:
    """Rescheduling a killed job is answered with success and does nothing."""
    ids = alice.submit(Job(executable="true", sites=[NOWHERE]))
    assert alice.kill(ids) == {}
    refused = alice.reschedule(ids)
    assert refused.keys() == set(ids)
    assert "stays Killed" in refused[ids[0]]


def test_jobs_are_rescheduled_and_deleted(alice: DiracApi, agent: object) -> None:
    """A failed job goes back to wait; a deleted one is so."""
    ids = alice.submit(Job(executable="false", sites=[SITE]))
    reached(alice, ids, "Failed")
    assert alice.reschedule(ids) == {}
    reached(alice, ids, "Failed", "Done")
    assert alice.delete(ids) == {}
    assert alice.status(ids)[ids[0]].state == "Deleted"


def test_unknown_and_others_jobs_are_refused_one_by_one(alice: DiracApi, diracx_service: DiracX) -> None:
    """They don't spoil the request for the rest."""
    with open_api(diracx_service.url, VO, diracx_service.credentials("bob"), ca=diracx_service.ca) as bob:
        theirs = bob.submit(Job(executable="true", sites=[NOWHERE]))
        ours = alice.submit(Job(executable="true", sites=[NOWHERE]))
        refused = alice.kill([*theirs, *ours, 10**9])
        assert refused == {theirs[0]: "it is bob's", 10**9: "the server knows no such job"}
        assert alice.status(ours)[ours[0]].state == "Killed"
        assert theirs[0] not in [job.id for job in alice.jobs(limit=1000)]
        assert bob.kill(theirs) == {}


def test_sites_are_those_that_the_server_has_met(alice: DiracApi) -> None:
    """From the jobs that it has."""
    alice.kill(alice.submit(Job(executable="true", sites=[NOWHERE])))
    assert NOWHERE in alice.sites()


def test_there_is_no_catalogue(alice: DiracApi) -> None:
    """And the error says so."""
    with pytest.raises(NotOffered, match="no files' catalogue"):
        _ = alice.catalogue


def test_a_server_that_goes_down_and_comes_back(diracx_service: DiracX, alice: DiracApi) -> None:
    """Meanwhile calls say that it can't be reached; afterwards the same client goes on, and no job is lost."""
    ids = alice.submit(Job(executable="true", sites=[NOWHERE]))
    diracx_service.processes.remove(diracx_service.server)
    diracx_service.server.kill()
    diracx_service.server.wait(300)
    try:
        for call in (
            alice.whoami,
            lambda: alice.status(ids),
            lambda: alice.kill(ids),
            lambda: alice.submit(Job(executable="true")),
        ):
            with pytest.raises(ServerUnavailable, match="can't be reached"):
                call()
    finally:
        diracx_service.serve()
    assert alice.status(ids)[ids[0]].state == "Received"
    assert alice.kill(ids) == {}


def test_the_kind_of_server_is_found(diracx_service: DiracX, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials being named, the server is asked what it is, and its own tools' tokens are taken."""
    monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", str(diracx_service.credentials()))
    with open_api(diracx_service.url, VO, ca=diracx_service.ca) as api:
        assert isinstance(api, Client)
        assert api.whoami().user == "alice"
