"""Replies taken apart with their types checked, so that a wrong one is told from a surprising crash later."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NoReturn

from cachingclient.dirac.errors import MalformedReply


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
    cachingclient.dirac.errors.MalformedReply: whoami: expected a mapping, got [1]
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
