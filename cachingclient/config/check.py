"""What is wrong with the settings: values that they do not take, and names that no setting has."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dask.config

from cachingclient import config

READERS: tuple[Callable[[], object], ...] = (
    config.store,
    config.store_options,
    config.policy,
    config.keep_budget,
    config.mode,
    config.inputs,
    config.site,
    config.environment,
    config.unobserved,
    config.source,
    config.size_limit,
    config.limits,
    config.write_queue,
    config.recent_results,
    config.look_up_timeout,
    config.flush_timeout,
    config.patience,
    *(functools.partial(config.dirac, name) for name in ("url", "vo", "ca")),
)
_PREFIX = "CACHINGCLIENT__"
"""How variables of the environment begin that lack dask's own ``DASK_``."""


def faults() -> list[str]:
    """Return a text for each setting that has a value which it does not take.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.recent-results": -1}):
    ...     faults()
    ['the setting cachingclient.recent-results is -1; it takes a number of bytes, e.g. 50GB or 512MiB']
    """
    found = []
    for read in READERS:
        try:
            read()
        except config.ConfigurationError as error:
            found.append(str(error))
    return found


def unknown() -> dict[str, str]:
    """Return the names under ``cachingclient`` in dask's configuration that no setting has, each with the nearest.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.polcy": "all"}):
    ...     unknown()
    {'cachingclient.polcy': 'cachingclient.policy'}
    """
    configured, known = (
        set(_names({"cachingclient": dask.config.get("cachingclient", {})})),
        list(_names(config.DEFAULTS)),
    )
    names = {name: "".join(difflib.get_close_matches(name, known, 1)) for name in sorted(configured - set(known))}
    return names | _beside()


def _beside() -> dict[str, str]:
    """Return what was meant for us and lies elsewhere: under a name like ours, or in a variable that dask passes by."""
    found = {}
    for name in dask.config.config:
        plain = str(name).replace("_", "-")
        if plain.startswith("cachingclient-"):  # one underscore in DASK_CACHINGCLIENT_STORE
            found[str(name)] = f"cachingclient.{plain.removeprefix('cachingclient-')}"
        elif plain != "cachingclient" and difflib.get_close_matches(plain, ["cachingclient"], 1, 0.85):
            found[str(name)] = "cachingclient"
    return found | {name: f"DASK_{name}" for name in os.environ if name.startswith(_PREFIX)}


def misspelled() -> list[str]:
    """Return a text for each name that no setting has.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.polcy": "all"}):
    ...     misspelled()
    ['cachingclient.polcy is no setting; did you mean cachingclient.policy?']
    """
    return [
        f"{name} is no setting{f'; did you mean {nearest}{_as_variable(nearest)}?' if nearest else ': misspelled?'}"
        for name, nearest in unknown().items()
    ]


def _as_variable(name: str) -> str:
    """Return how the environment names a setting, if what is wrong stands there."""
    variable = f"DASK_{name.replace('.', '__').replace('-', '_').upper()}"
    in_environment = any(each.upper().startswith("DASK_CACHINGCL") for each in os.environ)
    return f" ({variable})" if in_environment and not name.startswith("DASK_") else ""


def _names(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        name = f"{prefix}{key}".replace("_", "-")
        if isinstance(value, Mapping) and name != "cachingclient.store-options":
            yield from _names(value, f"{name}.")
        else:
            yield name
