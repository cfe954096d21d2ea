"""The setting `source`: whether the source of functions is kept with what their code is made of."""

from __future__ import annotations

import dask.config

from cachingclient.config.errors import ConfigurationError


def source() -> bool:
    """Whether explanations may show the lines that changed; where others can write to a store, none is kept.

    Examples
    --------
    >>> source()
    True
    """
    value = dask.config.get("cachingclient.source", True)
    if not isinstance(value, bool):
        raise ConfigurationError(f"the setting cachingclient.source is {value!r}; it takes true or false")
    return value
