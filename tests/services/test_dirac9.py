"""The client of DIRAC 8 and 9 at a real DIRAC 9 with X.509, with an agent at a site."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cachingclient.dirac import CredentialsError, DiracApi, Job, NotOffered, Refused, ServerUnavailable, open_api
from cachingclient.dirac.api.dirac8 import Dirac8
from cachingclient.dirac.api.http import Http
from tests.services.dirac9 import BANNED, SITES, STORAGE, VO, Dirac9
from tests.support.waiting import until

pytestmark = pytest.mark.dirac9
HERE, THERE = SITES


def reached(api: DiracApi, ids: list[int], *states: str) -> None:
    """Wait until jobs are in one of these states."""
    until(lambda: all(job.state in states for job in api.status(ids).values()), f"jobs that are {states}")


@pytest.fixture(scope="module")
def alice(dirac9_service: Dirac9) -> Iterator[DiracApi]:
    proxy = dirac9_service.authority.proxy("alice", "tests_user")
    with open_api(dirac9_service.url, VO, proxy, ca=dirac9_service.ca) as api:
        yield api


@pytest.fixture(scope="module")
def agent(dirac9_service: Dirac9) -> subprocess.Popen[bytes]:
    """A site whose agent takes two jobs at a time, and has a GPU."""
    command, environment = dirac9_service.agent(HERE, tags=["GPU"])
    return dirac9_service.run(command, **environment)


@pytest.fixture
def requests_sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked, by method."""
    sent: list[str] = []
    ask = Http.ask

    def counted(self: Http, method: str, url: str, **arguments: object) -> tuple[int, bytes]:
        form = arguments.get("data")
        sent.append(str(form["method"]) if isinstance(form, dict) else method)
        return ask(self, method, url, **arguments)

    monkeypatch.setattr(Http, "ask", counted)
    return sent


def test_who_the_server_takes_us_for(alice: DiracApi) -> None:
    """Name, group and organisation are the server's, the end that of the proxy."""
    me = alice.whoami()
    assert (me.user, me.group, me.vo, me.properties) == ("alice", "tests_user", VO, ("NormalUser",))


def test_a_job_runs_and_sends_its_output_back(alice: DiracApi, agent: object) -> None:
    """Its program, its arguments with every odd character, and its files arrive at the site."""
    arguments = ["a b", 'c"d', "e;f", "g'h", "[i]", "{j}", "%s%j%n", "k\nl", "$HOME", "ü"]
    program = b'#!/bin/sh\nprintf "<%s>" "$@"\ncat data.txt >&2\n'
    files = {"run.sh": program, "data.txt": b"brought along"}
    ids = alice.submit(Job(executable="run.sh", arguments=arguments, files=files, sites=[HERE], cpu_time=600))
    reached(alice, ids, "Done")
    logs = alice.logs(ids[0])
    assert logs["std.out"].decode() == "".join(f"<{word}>" for word in arguments)
    assert logs["std.err"] == b"brought along"
    states = [line.state for line in alice.history(ids[0])]
    assert states == sorted(states, key=["Received", "Checking", "Waiting", "Matched", "Running", "Done"].index)
    assert {"Received", "Waiting", "Running", "Done"} <= set(states)


def test_a_killed_job_is_running_until_its_agent_reports(alice: DiracApi, agent: object, tmp_path: Path) -> None:
    """A kill reaches the process itself, with its agent's next report."""
    mark = tmp_path / "pid"
    command = f"echo $$ > {mark}; exec sleep 600"
    ids = alice.submit(Job(executable="sh", arguments=["-c", command], sites=[HERE], tags=["GPU"]))
    reached(alice, ids, "Running")
    assert alice.kill(ids) == {}
    reached(alice, ids, "Killed")
    until(lambda: not Path(f"/proc/{mark.read_text().strip()}").exists(), "the end of its process")


def test_a_hundred_jobs_take_at_most_ten_requests(alice: DiracApi, requests_sent: list[str]) -> None:
    """Each job has its own name, in the order that was asked for; all are confirmed at once, and start together."""
    words = [f"w{number}" for number in range(100)]
    ids = alice.submit(Job(executable="true", name="many", group="hundred", sites=[THERE]), words)
    assert len(requests_sent) <= 10
    assert requests_sent.count("confirmBulkSubmission") == 1
    jobs = alice.status(ids)
    assert [jobs[id].name for id in ids] == [f"many-{word}" for word in words]
    assert "Submitting" not in {job.state for job in jobs.values()}
    assert [job.id for job in alice.jobs(group="hundred", limit=1000)] == sorted(ids, reverse=True)
    assert alice.kill(ids) == {}
    assert {job.state for job in alice.status(ids).values()} == {"Killed"}
    assert alice.delete(ids) == {}
    assert {job.state for job in alice.status(ids).values()} <= {"Deleted"}


def test_jobs_that_are_not_confirmed_are_withdrawn(alice: DiracApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would stay Submitting for ever."""

    def fails(self: Dirac8, ids: list[int]) -> None:
        raise ServerUnavailable("gone")

    monkeypatch.setattr(Dirac8, "_confirm", fails)
    with pytest.raises(ServerUnavailable, match="gone"):
        alice.submit(Job(executable="true", group="unconfirmed", sites=[THERE]), ["a", "b", "c"])
    assert [job.state for job in alice.jobs(group="unconfirmed")] == ["Deleted"] * 3


def test_unknown_and_others_jobs_are_refused_one_by_one(alice: DiracApi, dirac9_service: Dirac9) -> None:
    """They don't spoil the request for the rest."""
    proxy = dirac9_service.authority.proxy("bob", "tests_user")
    with open_api(dirac9_service.url, VO, proxy, ca=dirac9_service.ca) as bob:
        theirs = bob.submit(Job(executable="true", sites=[THERE]))
        ours = alice.submit(Job(executable="true", sites=[THERE]))
        refused = alice.kill([*theirs, *ours, 10**9])
        assert refused == {theirs[0]: "it is not ours", 10**9: "the server knows no such job"}
        assert alice.status(ours)[ours[0]].state == "Killed"
        assert theirs[0] not in [job.id for job in alice.jobs(limit=1000)]
        assert bob.kill(theirs) == {}


def test_rescheduling(alice: DiracApi, agent: object) -> None:
    """A failed job goes back to wait, for as long as the server holds such jobs."""
    ids = alice.submit(Job(executable="false", sites=[HERE]))
    reached(alice, ids, "Failed")
    assert alice.status(ids)[ids[0]].why.startswith("Failed: Application Finished With Errors")
    assert alice.reschedule(ids) == {}
    assert alice.status(ids)[ids[0]].pending
    assert alice.kill(ids) == {}


def test_sites_and_their_states(alice: DiracApi) -> None:
    """As the server has them."""
    assert alice.sites() == {BANNED: "Banned", HERE: "Active", THERE: "Active"}


def test_an_unknown_site_is_refused(alice: DiracApi) -> None:
    """With the server's own words."""
    with pytest.raises(Refused, match=r"Invalid sites: LCG\.Nowhere\.uk"):
        alice.submit(Job(executable="true", sites=["LCG.Nowhere.uk"]))


def test_the_catalogue(alice: DiracApi) -> None:
    """Folders and files are made, listed, found and removed; what fails says why."""
    catalogue, folder = alice.catalogue, f"/{VO}/user/a/alice"
    name = f"{folder}/entry"
    catalogue.create(folder)
    catalogue.add(name, f"root://here/{name}", storage=STORAGE, size=3, adler32="00000001")
    assert catalogue.listing(folder).files == ("entry",)
    assert catalogue.listing(f"/{VO}/user/a").folders == (folder,)
    places, failed = catalogue.replicas([name, f"{folder}/none"])
    assert places.keys() == {name}
    assert places[name].keys() == {STORAGE}
    assert failed == {f"{folder}/none": "No such file or directory"}
    assert catalogue.remove([name]) == {}
    catalogue.remove_folder(folder)
    with pytest.raises(Refused, match="does not exist"):
        catalogue.listing(folder)


def test_what_the_server_does_not_have(alice: DiracApi) -> None:
    """Methods that other versions have, such as getMaxParametricJobs, are told from failures."""
    assert isinstance(alice, Dirac8)
    with pytest.raises(NotOffered, match="getMaxParametricJobs"):
        alice._rpc("WorkloadManagement/JobManager", "getMaxParametricJobs")
    with pytest.raises(NotOffered, match="No/Service"):
        alice._rpc("No/Service", "whoami")


@pytest.mark.parametrize(("user", "group"), [("mallory", None), ("bob", "tests_nobody")])
def test_strangers_and_wrong_groups_are_refused(dirac9_service: Dirac9, user: str, group: str | None) -> None:
    """The server knows its users and their groups; the text says whom it refused."""
    proxy = dirac9_service.authority.proxy(user, group)
    with (
        open_api(dirac9_service.url, VO, proxy, ca=dirac9_service.ca) as api,
        pytest.raises(Refused, match=rf"does not let /O=CachingClientTests/CN={user} .*HTTP 401"),
    ):
        api.whoami()


def test_a_group_that_may_not_submit_and_another_organisation(dirac9_service: Dirac9, alice: DiracApi) -> None:
    """Both are refused with what is wrong."""
    pilot = dirac9_service.authority.proxy("alice", "tests_pilot")
    with (
        open_api(dirac9_service.url, VO, pilot, ca=dirac9_service.ca) as api,
        pytest.raises(Refused, match="not authorized"),
    ):
        api.submit(Job(executable="true"))
    with (
        open_api(dirac9_service.url, "other", pilot, ca=dirac9_service.ca) as api,
        pytest.raises(Refused, match="for one of tests, not of other"),
    ):
        api.submit(Job(executable="true"))
    with pytest.raises(Refused, match="the job is for tests_admin, and the proxy for tests_user"):
        alice.submit(Job(executable="true", owner_group="tests_admin"))


def test_an_expired_proxy_is_told_before_anything_is_asked(dirac9_service: Dirac9, requests_sent: list[str]) -> None:
    """With the time and the way to a new one."""
    proxy = dirac9_service.authority.proxy("alice", "tests_user", lasts=timedelta(hours=-2))
    with pytest.raises(CredentialsError, match=r"expired 2 h ago: make one with dirac-proxy-init"):
        open_api(dirac9_service.url, VO, proxy, ca=dirac9_service.ca)
    assert requests_sent == []


def test_a_renewed_proxy_is_taken_up(dirac9_service: Dirac9, tmp_path: Path) -> None:
    """A proxy that is renewed in its file is used without opening the server again."""
    proxy = tmp_path / "proxy"
    shutil.copy2(dirac9_service.authority.proxy("alice", "tests_user"), proxy)
    with open_api(dirac9_service.url, VO, proxy, ca=dirac9_service.ca) as api:
        assert isinstance(api, Dirac8)
        assert api.whoami().group == "tests_user"
        proxy.unlink()
        shutil.copy2(dirac9_service.authority.proxy("alice", "tests_admin"), proxy)
        assert api._me().group == "tests_admin"


def test_a_proxy_from_the_environment(dirac9_service: Dirac9, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials being named, the kind of server is found, and the proxy where grid tools look."""
    monkeypatch.setenv("X509_USER_PROXY", str(dirac9_service.authority.proxy("alice", "tests_user")))
    monkeypatch.setenv("X509_CERT_DIR", str(dirac9_service.ca))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    with open_api(dirac9_service.url, VO) as api:
        assert isinstance(api, Dirac8)
        assert api.whoami().user == "alice"


def test_a_server_that_goes_down_and_comes_back(dirac9_service: Dirac9, alice: DiracApi) -> None:
    """Meanwhile calls say that it can't be reached; afterwards the same client goes on, and no job is lost."""
    ids = alice.submit(Job(executable="true", sites=[THERE]))
    dirac9_service.processes.remove(dirac9_service.server)
    dirac9_service.server.kill()
    dirac9_service.server.wait(300)
    try:
        job = Job(executable="true")
        for call in (alice.whoami, lambda: alice.status(ids), lambda: alice.kill(ids), lambda: alice.submit(job)):
            with pytest.raises(ServerUnavailable, match="can't be reached"):
                call()
    finally:
        dirac9_service.serve()
    assert not alice.status(ids)[ids[0]].ended
    assert alice.kill(ids) == {}
