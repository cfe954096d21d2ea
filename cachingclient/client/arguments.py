"""What a client is given: arguments that it does not take are named, and its store is opened.

dask hands on what it does not know, to where nobody can tell whose argument it was.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any, Literal, get_args

from distributed import Client, LocalCluster, Nanny, Worker

from cachingclient import config
from cachingclient.plan.lookup import run_with_timeout
from cachingclient.storage import Store, StoreError, open_store
from cachingclient.storage.options import names_taken
from cachingclient.warn_once import NoteKeeper

Mode = Literal["readwrite", "read", "refresh", "off"]

OWN = ("cache", "policy", "mode")
"""The arguments that dask's client has not."""


def check_keywords(given: Mapping[str, Any]) -> None:
    """Refuse a keyword that nobody takes and that is a setting or looks like one of the client's.

    Others go to the cluster that dask's client starts, and from there to its workers, whose class may be the user's.

    Raises
    ------
    TypeError
        If there is one.

    Examples
    --------
    >>> check_keywords({"n_workers": 2, "polcy": "all"})
    Traceback (most recent call last):
    TypeError: DiracClient has no argument 'polcy'; did you mean 'policy'?
    """
    own = [*names_taken(Client), *OWN]
    for name in given.keys() - names_taken(Client, LocalCluster, Nanny, Worker):
        if (setting := name.replace("_", "-")) in config.DEFAULTS["cachingclient"]:
            raise TypeError(f"DiracClient has no argument {name!r}; it is the setting cachingclient.{setting}")
        for nearest in difflib.get_close_matches(name, own, 1, 0.7):
            raise TypeError(f"DiracClient has no argument {name!r}; did you mean {nearest!r}?")


def check_cache(cache: object) -> None:
    """Refuse what is no place to keep results.

    Raises
    ------
    TypeError
        If it is none.

    Examples
    --------
    >>> check_cache(True)
    Traceback (most recent call last):
    TypeError: cache is True; it takes a URL, a path, a Store, or False for none
    """
    if not (cache is None or cache is False or isinstance(cache, str | os.PathLike | Store)):
        raise TypeError(f"cache is {cache!r}; it takes a URL, a path, a Store, or False for none")


def check_mode(mode: str) -> str:
    """Return a mode, or raise a ValueError if there is none of that name.

    Examples
    --------
    >>> check_mode("read")
    'read'
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}; it takes {', '.join(map(repr, get_args(Mode)))}")
    return mode


def opened(cache: str | os.PathLike[str] | Store | None, notes: NoteKeeper) -> Store | None:
    """Return the opened store; if it can't be reached in time, warn and return None, for a plain client."""
    check_cache(cache)
    url, options = (config.store(), config.store_options()) if cache is None else (cache, {})
    try:
        return run_with_timeout(config.look_up_timeout(), lambda url: open_store(url, **options), url)
    except (StoreError, TimeoutError) as error:
        notes.add(f"this client runs without the cache: {error}")
        return None
