"""Replies taken apart with their types checked, so that a wrong one is told from a surprising crash later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn

from cachingclient.dirac.api.errors import MalformedReply
from cachingclient.dirac.api.jdl import WORD
from cachingclient.dirac.api.models import JobStatus

COLUMNS = (
    "JobID",
    "Status",
    "MinorStatus",
    "ApplicationStatus",
    "Site",
    "JobName",
    "JobGroup",
    "Owner",
    "SubmissionTime",
    "LastUpdateTime",
)


def malformed(what: str, takes: str, got: object) -> NoReturn:
    """Raise `MalformedReply` with the beginning of what came instead."""
    text = repr(got)
    raise MalformedReply(f"{what}: expected {takes}, got {text if len(text) <= 200 else text[:200] + '...'}")


def a_dict(what: str, value: object) -> dict[str, Any]:
    """A mapping by text.

    Examples
    --------
    >>> a_dict("whoami", [1])
    Traceback (most recent call last):
    ...
    cachingclient.dirac.api.errors.MalformedReply: whoami: expected a mapping, got [1]
    """
    if not isinstance(value, dict):
        malformed(what, "a mapping", value)
    return value


def a_list(what: str, value: object) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        malformed(what, "a list", value)
    return value


def a_text(what: str, value: object) -> str:
    """Text; nothing counts as empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        malformed(what, "text", value)
    return value


def a_sandbox(what: str, value: object) -> str:
    """A sandbox's name: it goes into descriptions of jobs, so it has nothing that means something there."""
    name = a_text(what, value)
    if not WORD.fullmatch(name) or not name.startswith("SB:") or "|/" not in name:
        malformed(what, "a sandbox's name", name)
    return name


def an_id(what: str, value: object) -> int:
    """A job's number; DIRAC gives them as text as well, as keys above all."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        malformed(what, "a job's number", value)
    return value


def a_time(what: str, value: object) -> datetime | None:
    """A time in UTC, which is what DIRAC means when it does not say."""
    if value in (None, "", "None"):
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            malformed(what, "a date", value)
    if not isinstance(value, datetime):
        malformed(what, "a date", value)
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        malformed(what, "a date", value)


def a_job(number: object, fields: object) -> JobStatus:
    """Read a job's status, whose fields have the same names on both kinds of servers."""
    id = an_id("job", number)
    job = a_dict(f"job {id}", fields)
    text = {name: a_text(f"job {id}: {name}", job.get(name)) for name in COLUMNS if not name.endswith(("ID", "Time"))}
    if not text["Status"]:
        malformed(f"job {id}", "a Status", job)
    return JobStatus(
        id,
        text["Status"],
        minor=text["MinorStatus"],
        application=text["ApplicationStatus"],
        site=text["Site"],
        name=text["JobName"],
        group=text["JobGroup"],
        owner=text["Owner"],
        submitted=a_time(f"job {id}", job.get("SubmissionTime")),
        changed=a_time(f"job {id}", job.get("LastUpdateTime")),
    )


def job_ids(ids: Iterable[int]) -> list[int]:
    """Numbers of jobs as a caller gave them, each once and in order.

    Examples
    --------
    >>> job_ids([3, 1, 3])
    [1, 3]
    >>> job_ids(["all"])
    Traceback (most recent call last):
    ...
    ValueError: ids has 'all'; it takes numbers of jobs
    """
    wanted = list(ids)
    for id in wanted:
        if not isinstance(id, int) or isinstance(id, bool) or id < 1:
            raise ValueError(f"ids has {id!r}; it takes numbers of jobs")
    return sorted(set(wanted))
