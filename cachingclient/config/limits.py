"""The settings `limits.*`: what may be asked for by entries that others may have written."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import dask.config
from dask.utils import parse_bytes, parse_timedelta

from cachingclient.config.errors import ConfigurationError
from cachingclient.storage.limits import Limits, set_by

DEFAULT = Limits()


@set_by
def limits() -> Limits:
    """What a value may ask for that comes from where others can write.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.limits.bytes": "1GB"}):
    ...     limits().nbytes
    1000000000
    """
    section = dask.config.get("cachingclient.limits", {})
    given: Mapping[str, Any] = section if isinstance(section, dict) else {}
    raw = (
        given.get("bytes", DEFAULT.nbytes),
        given.get("depth", DEFAULT.depth),
        given.get("count", DEFAULT.count),
        dask.config.get("cachingclient.timeouts.look-up", DEFAULT.seconds),
    )
    try:
        return _limits(*raw)
    except TypeError:  # what has no hash
        return _limits.__wrapped__(*raw)


@functools.lru_cache(maxsize=32, typed=True)
def _limits(nbytes: Any, depth: Any, count: Any, seconds: Any) -> Limits:
    """Return what the settings stand for: every operation of a folder asks for it."""
    return Limits(_number("bytes", nbytes), _number("depth", depth), _number("count", count), _seconds(seconds))


def _seconds(value: Any) -> float:
    """Return the setting `timeouts.look-up`; what it does not take is named by who reads it for itself."""
    try:
        return float(parse_timedelta(value))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return DEFAULT.seconds


def _number(name: str, value: Any) -> int:
    try:
        number = int(parse_bytes(value))
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError):
        number = 0
    if number <= 0 or isinstance(value, bool):
        raise ConfigurationError(f"the setting cachingclient.limits.{name} is {value!r}; it takes a number above 0")
    return number
