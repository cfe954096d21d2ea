"""Replies of real servers, mutated at random: each is understood, or an error that says what is wrong.

They come from a stand-in, since a real server can't be made to answer nonsense.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cachingclient.dirac import DiracApi, DiracError, Job, MalformedReply
from cachingclient.dirac.api.dirac8 import Dirac8
from cachingclient.dirac.api.diracx import DiracX
from tests.dirac.api.tokens import tokens
from tests.dirac.stand_in import ANSWERS, RETURNED, StandIn

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


@pytest.fixture(autouse=True)
def _as_recorded(server: StandIn) -> None:
    server.instead.clear()
    server.asked.clear()


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
        body = draw(st.sampled_from(PAGES))
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
