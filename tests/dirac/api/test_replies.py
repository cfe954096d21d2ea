"""Replies that no server should give: the clients say clearly what is wrong, and never crash or take them for right.

The server is a stand-in, since a real one can't be made to answer nonsense; the replies that are mutated were recorded
from real ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cachingclient.dirac import DiracApi, DiracError, Job, MalformedReply, NotOffered, Refused, ServerUnavailable
from cachingclient.dirac.api.credentials import find_proxy
from cachingclient.dirac.api.dirac8 import Dirac8
from cachingclient.dirac.api.diracx import DiracX
from cachingclient.dirac.api.tokens import TokenFile
from tests.dirac.stand_in import ANSWERS, RETURNED, StandIn, stand_in

Calls = dict[str, Callable[[DiracApi], object]]

CALLS: Calls = {
    "whoami": lambda api: api.whoami(),
    "submit": lambda api: api.submit(Job(executable="true", owner_group="tests_user")),
    "submit two": lambda api: api.submit(Job(executable="true"), ["a", "b"]),
    "status": lambda api: api.status([7]),
    "jobs": lambda api: api.jobs(group="g"),
    "kill": lambda api: api.kill([7]),
    "delete": lambda api: api.delete([7]),
    "reschedule": lambda api: api.reschedule([7]),
    "history": lambda api: api.history(7),
    "logs": lambda api: api.logs(7),
    "upload": lambda api: api.upload({"a": b"b"}),
    "sites": lambda api: api.sites(),
}
CATALOGUE: Calls = {
    "listing": lambda api: api.catalogue.listing("/tests"),
    "replicas": lambda api: api.catalogue.replicas(["/tests/a", "/tests/b"]),
    "remove": lambda api: api.catalogue.remove(["/tests/a"]),
}
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ODD_OBJECTS = [{"__dCls": "dt", "obj": "never"}, {"__dCls": "b64"}, [[]]]
ODD = st.sampled_from([10**30, -1, 0, "", "7", "-7", "\uff17", *ODD_OBJECTS])
VALUES = st.recursive(
    LEAVES | ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner), max_leaves=5
)

PAGES = [b"<html>Bad Gateway</html>", b"", b"null", b"[" * 100_000, b"NaN", b'{"OK": true}']


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture(autouse=True)
def _as_recorded(server: StandIn) -> None:
    server.instead.clear()
    server.asked.clear()


@pytest.fixture(scope="module")
def rest(server: StandIn, proxy: Path) -> Dirac8:
    return Dirac8(server.url, "tests", find_proxy(proxy))


@pytest.fixture(scope="module")
def diracx(server: StandIn, tmp_path_factory: pytest.TempPathFactory) -> DiracX:
    return DiracX(server.url, "tests", tokens(tmp_path_factory.mktemp("tokens"), 3600))


def tokens(folder: Path, seconds: float) -> TokenFile:
    """Tokens that last so long."""
    file = folder / "tokens.json"
    content = {"access_token": "a.b.c", "refresh_token": "d.e.f", "expires_on": time.time() + seconds}
    file.write_text(json.dumps(content))
    file.chmod(0o600)
    return TokenFile(file)


@st.composite
def mutated(draw: st.DrawFn, reply: Any) -> tuple[int, bytes]:
    """A reply with something else somewhere in it, or damaged as bytes, or with another status."""
    status = draw(st.sampled_from([200] * 6 + [201, 204, 301, 302, 400, 401, 403, 404, 422, 429, 500, 501, 502, 503]))
    kind = draw(st.sampled_from(["value", "value", "value", "cut", "bytes", "page", "none"]))
    if kind == "value":
        reply = draw(changed(reply))
    body = json.dumps(reply).encode("utf-8", "surrogatepass")
    if kind == "cut":
        body = body[: draw(st.integers(0, len(body)))]
    elif kind == "bytes":
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(min_size=1, max_size=4)) + body[at + draw(st.integers(0, 4)) :]
    elif kind == "page":
        body = draw(
            st.sampled_from([b"<html>Bad Gateway</html>", b"", b"null", b"[" * 100_000, b"NaN", b'{"OK": true}'])
        )
    return status, body


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """A value with one part replaced, left out or added."""
    deeper = isinstance(value, dict | list) and value and draw(st.integers(0, 4))
    if not deeper:
        return draw(VALUES)
    if isinstance(value, dict):
        key = draw(st.sampled_from(sorted(value)))
        match draw(st.sampled_from(["inside", "inside", "left out", "renamed"])):
            case "left out":
                return {name: each for name, each in value.items() if name != key}
            case "renamed":
                return {draw(st.text(max_size=5)) if name == key else name: each for name, each in value.items()}
        return {**value, key: draw(changed(value[key]))}
    at = draw(st.integers(0, len(value) - 1))
    return [*value[:at], draw(changed(value[at])), *value[at + 1 :]]


SHARING = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
QUICK = settings(max_examples=500, suppress_health_check=SHARING)


@QUICK
@given(data=st.data())
def test_mutated_replies_of_dirac(data: st.DataObject, server: StandIn, rest: Dirac8) -> None:
    """Of 500 replies each is either understood, or an error of ours that says what is wrong."""
    method = data.draw(st.sampled_from(sorted(RETURNED)))
    server.instead = {method: data.draw(mutated({"OK": True, "Value": RETURNED[method]}))}
    rest._known = None
    said = outcome(rest, data.draw(st.sampled_from(using(method, {**CALLS, **CATALOGUE}, REST_USES))))
    assert said is None or len(said) > 10


@QUICK
@given(data=st.data())
def test_mutated_replies_of_diracx(data: st.DataObject, server: StandIn, diracx: DiracX) -> None:
    """Of 500 replies each is either understood, or an error of ours that says what is wrong."""
    path = data.draw(st.sampled_from(sorted(path for path in ANSWERS if path.startswith("/api"))))
    server.instead = {path: data.draw(mutated(server.recorded(path)))}
    said = outcome(diracx, data.draw(st.sampled_from(using(path, CALLS, DIRACX_USES))))
    assert said is None or len(said) > 10


@settings(max_examples=150, suppress_health_check=SHARING)
@given(data=st.data())
def test_mutated_replies_to_a_refresh(data: st.DataObject, server: StandIn, tmp_path: Path) -> None:
    """The tokens in the file are then the old ones or whole new ones."""
    path = data.draw(st.sampled_from(["/token", "/.well-known/openid-configuration"]))
    server.instead = {path: data.draw(mutated(server.recorded(path)))}
    file = tokens(tmp_path, 60)
    said = outcome(DiracX(server.url, "tests", file), CALLS["whoami"])
    assert said is None or len(said) > 10
    assert file.read().access


def test_a_token_that_no_header_can_carry_is_refused(server: StandIn, tmp_path: Path) -> None:
    """It would end in an error of the transport, with the file holding nothing that can be used."""
    server.instead = {"/token": (200, b'{"access_token": "\\u0100", "refresh_token": "d.e.f", "expires_in": 1200}')}
    file = tokens(tmp_path, 60)
    with pytest.raises(MalformedReply, match="tokens"):
        DiracX(server.url, "tests", file).whoami()
    assert file.read().access != "\u0100"


REST_USES = {
    "getJobs": ["jobs"],
    "submitJob": ["submit", "submit two"],
    "confirmBulkSubmission": ["submit two"],
    "killJob": ["kill", "delete"],
    "deleteJob": ["delete"],
    "rescheduleJob": ["reschedule"],
    "getJobsSummary": ["status", "jobs", "kill", "reschedule"],
    "getJobLoggingInfo": ["history"],
    "getSandboxesAssignedToEntity": ["logs"],
    "streamFromClient": ["upload", "submit"],
    "select": ["sites"],
    "listDirectory": ["listing"],
    "getReplicas": ["replicas"],
    "removeFile": ["remove"],
}
DIRACX_USES = {
    "/api/jobs/jdl": ["submit", "submit two"],
    "/api/jobs/search": ["status", "jobs", "kill", "delete", "reschedule", "history"],
    "/api/jobs/status": ["kill", "delete", "reschedule"],
    "/api/jobs/summary": ["sites"],
    "/api/rss/site": ["sites"],
    "/api/jobs/7/sandbox/output": ["logs"],
    "/api/jobs/sandbox": ["upload", "logs", "submit"],
}


def using(what: str, calls: Calls, uses: dict[str, list[str]]) -> list[Callable[[DiracApi], object]]:
    """The calls that make use of a reply."""
    return [calls[name] for name in uses.get(what, ["whoami"])]


def outcome(api: DiracApi, call: Callable[[DiracApi], object]) -> str | None:
    """What an error of ours says, or None if there was none; any other error is the test's."""
    try:
        call(api)
    except DiracError as error:
        return str(error)
    return None


@pytest.mark.parametrize("call", [*CALLS, *CATALOGUE])
def test_replies_as_recorded_are_understood(call: str, rest: Dirac8, diracx: DiracX) -> None:
    """So that what fails above fails by its mutation."""
    for api in (rest, diracx) if call in CALLS else (rest,):
        if call == "submit two":
            with pytest.raises(MalformedReply, match="2 numbers of jobs"):
                CALLS[call](api)
        elif call in ("kill", "reschedule") and api is diracx:
            assert "stays Running" in str({**CALLS, **CATALOGUE}[call](api))
        else:
            {**CALLS, **CATALOGUE}[call](api)


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (401, b"<html>401: Unauthorized</html>", Refused, "does not let .*CN=alice as tests_user"),
        (501, b"<html>501: Not Implemented</html>", NotOffered, "no such service or method"),
        (502, b"<html>Bad Gateway</html>", ServerUnavailable, "out of order: HTTP 502"),
        (500, b"<html>Traceback</html>", ServerUnavailable, "HTTP 500"),
        (302, b"", MalformedReply, "is it the server's URL"),
        (200, b"<html>Welcome</html>", MalformedReply, "expected JSON, got '<html>Welcome"),
        (200, b'{"Value": 7}', MalformedReply, "a reply with OK"),
        (200, b'{"OK": "yes", "Value": 7}', MalformedReply, "a reply with OK"),
        (200, b'{"OK": false, "Message": "no\\n such"}', Refused, "submitJob|not taken: no such"),
        (200, b'{"OK": false, "Errno": 1503}', Refused, "no reason given .Errno 1503."),
        (200, b'{"OK": false, "Errno": 7, "Message": "x", "JobID": 7}', Refused, "not taken: x"),
        (200, b'{"OK": true, "Value": [7, 7]}', MalformedReply, "expected 1 numbers of jobs, got .7, 7."),
        (200, b'{"OK": true, "Value": true}', MalformedReply, "a job's number, got True"),
        (200, b'{"OK": true}', MalformedReply, "a job's number, got None"),
    ],
)
def test_what_is_wrong_is_said(
    status: int, body: bytes, kind: type[DiracError], text: str, server: StandIn, rest: Dirac8
) -> None:
    """A submission fails with the kind of error that tells a caller what to do; its number is never guessed."""
    server.instead = {"submitJob": (status, body)}
    with pytest.raises(kind, match=text):
        rest.submit(Job(executable="true"))


def test_ids_come_as_text_or_numbers(server: StandIn, rest: Dirac8) -> None:
    """DIRAC's keys are text, as JSON's are; dates are in UTC."""
    server.instead = {"submitJob": (200, b'{"OK": true, "Value": "12"}')}
    assert rest.submit(Job(executable="true")) == [12]
    job = rest.status([7])[7]
    assert job.submitted is not None
    assert job.submitted.isoformat() == "2026-11-20T10:00:00+00:00"


def test_a_confirmation_that_is_lost_is_repeated(server: StandIn, rest: Dirac8) -> None:
    """It does no harm twice, and without it the jobs never start; if it can't be had they are deleted."""
    server.instead = {
        "submitJob": (200, b'{"OK": true, "Value": [7, 8]}'),
        "confirmBulkSubmission": (503, b""),
    }
    with pytest.raises(ServerUnavailable):
        rest.submit(Job(executable="true"), ["a", "b"])
    assert server.asked.count("confirmBulkSubmission") == 3
    assert "deleteJob" in server.asked


def test_jobs_that_cannot_be_looked_at_are_killed_all_the_same(
    server: StandIn, rest: Dirac8, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill is sent; that their states can't be had is an error afterwards."""
    monkeypatch.setattr("cachingclient.dirac.api.dirac8.SETTLING", 0)
    server.instead = {"getJobsSummary": (503, b"")}
    with pytest.raises(ServerUnavailable, match="getJobsSummary"):
        rest.kill([7])
    assert "killJob" in server.asked


def test_jobs_that_an_optimizer_puts_back_are_killed_again(
    server: StandIn, rest: Dirac8, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as it takes, up to a limit."""
    monkeypatch.setattr("cachingclient.dirac.api.dirac8.SETTLING", 0)
    job = {"7": {"Status": "Checking", "JobName": "w"}}
    server.instead = {"getJobsSummary": (200, json.dumps({"OK": True, "Value": job}).encode())}
    assert rest.kill([7]) == {}
    assert server.asked.count("killJob") == 6


def test_a_reply_that_never_ends_is_cut(server: StandIn, rest: Dirac8, monkeypatch: pytest.MonkeyPatch) -> None:
    """At more than any server sends."""
    monkeypatch.setattr("cachingclient.dirac.api.http.MAX_REPLY", 1000)
    server.instead = {"whoami": (200, b"x" * 5000)}
    with pytest.raises(MalformedReply, match="sends more than 1,000 bytes"):
        rest.whoami()


def test_a_sandbox_that_unpacks_to_too_much_is_refused(
    server: StandIn, rest: Dirac8, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote it."""
    monkeypatch.setattr("cachingclient.dirac.api.sandbox.MAX_UNPACKED", 3)
    with pytest.raises(MalformedReply, match="unpacks to more than 3 bytes"):
        rest.logs(7)


@pytest.mark.parametrize("sandbox", ["", "a", "SB:x", "SB:|a", "LFN:/x|/y"])
def test_names_of_sandboxes_are_checked(rest: Dirac8, sandbox: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ValueError, match="it takes a name as upload returns it"):
        rest.download(sandbox)


@pytest.mark.parametrize("ids", [["7"], [0], [-1], [True], [None], [7.0]])
def test_numbers_of_jobs_are_checked(rest: Dirac8, diracx: DiracX, ids: list[Any]) -> None:
    """A caller's mistake is a ValueError; nothing is asked, and nothing killed."""
    for api in (rest, diracx):
        for call in (api.status, api.kill, api.delete, api.reschedule):
            with pytest.raises(ValueError, match="ids has"):
                call(ids)
