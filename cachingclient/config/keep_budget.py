"""The setting `keep-budget`: what keeping results may cost."""

from __future__ import annotations

import dask.config

from cachingclient.config.errors import ConfigurationError

DEFAULT = "10%"


def keep_budget() -> float:
    """Which part of the time of steps may be spent on keeping results, with the policy ``"auto"``.

    Examples
    --------
    >>> keep_budget()
    0.1
    >>> with dask.config.set({"cachingclient.keep-budget": "12.5%"}):
    ...     keep_budget()
    0.125
    """
    value = dask.config.get("cachingclient.keep-budget", DEFAULT)
    try:
        part = float(value[:-1]) / 100 if isinstance(value, str) and value.endswith("%") else -1.0
    except ValueError:
        part = -1.0
    if not 0 <= part <= 1:
        raise ConfigurationError(
            f"the setting cachingclient.keep-budget is {value!r}; it takes a share from 0% to 100%, e.g. 3%"
        )
    return part
