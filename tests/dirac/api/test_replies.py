"""Replies that no server should give: the clients say clearly what is wrong, and never crash or take them for right.

The server is a stand-in, since a real one can't be made to answer nonsense.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cachingclient.dirac import DiracError, Job, MalformedReply, NotOffered, Refused, ServerUnavailable
from cachingclient.dirac.api.dirac8 import Dirac8
from cachingclient.dirac.api.diracx import DiracX
from tests.dirac.api.tokens import tokens
from tests.dirac.stand_in import StandIn


@pytest.fixture(autouse=True)
def _as_recorded(server: StandIn) -> None:
    server.instead.clear()
    server.asked.clear()


def test_a_token_that_no_header_can_carry_is_refused(server: StandIn, tmp_path: Path) -> None:
    """It would end in an error of the transport, with the file holding nothing that can be used."""
    server.instead = {"/token": (200, b'{"access_token": "\\u0100", "refresh_token": "d.e.f", "expires_in": 1200}')}
    file = tokens(tmp_path, 60)
    with pytest.raises(MalformedReply, match="tokens"):
        DiracX(server.url, "tests", file).whoami()
    assert file.read().access != "\u0100"


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
