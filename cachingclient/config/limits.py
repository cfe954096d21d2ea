"""The settings `limits.*`: what may be asked for by entries that others may have written."""

from __future__ import annotations

from typing import Any

import dask.config
from dask.utils import parse_bytes, parse_timedelta

from cachingclient.config.errors import ConfigurationError
from cachingclient.storage.limits import Limits, set_by


@set_by
def limits() -> Limits:
    """What a value may ask for that comes from where others can write.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.limits.bytes": "1GB"}):
    ...     limits().nbytes
    1000000000
    """
    default = Limits()
    numbers = (_number("bytes", default.nbytes), _number("depth", default.depth), _number("count", default.count))
    return Limits(*numbers, _seconds(default.seconds))


def _seconds(default: float) -> float:
    """Return the setting `timeouts.look-up`; what it does not take is named by who reads it for itself."""
    try:
        return float(parse_timedelta(dask.config.get("cachingclient.timeouts.look-up", default)))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return default


def _number(name: str, default: int) -> int:
    value: Any = dask.config.get(f"cachingclient.limits.{name}", default)
    try:
        number = int(parse_bytes(value))
    except (TypeError, ValueError):
        number = 0
    if number <= 0 or isinstance(value, bool):
        raise ConfigurationError(f"cachingclient.limits.{name} is {value!r}: takes a number above 0")
    return number
