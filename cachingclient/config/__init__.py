"""Settings: the defaults given to dask's configuration, and typed access that names what is wrong.

Every accessor reads dask's configuration when it is called, so ``dask.config.set`` works in a ``with``.

>>> import dask
>>> with dask.config.set({"cachingclient.policy": "all"}):
...     policy()
'all'
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

import dask.config
import yaml
from dask.utils import parse_bytes, parse_timedelta

from cachingclient.config.errors import ConfigurationError
from cachingclient.config.keep_budget import keep_budget as keep_budget
from cachingclient.config.limits import limits as limits
from cachingclient.config.source import source as source
from cachingclient.hashing.environment.environment import Environment, normalise

Policy = Literal["auto", "all"]
Mode = Literal["readwrite", "read", "refresh", "off"]
Inputs = Literal["stat", "content", "name"]

DEFAULTS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("cachingclient.yaml").read_text())
dask.config.update_defaults(DEFAULTS)


def store() -> str:
    """The URL of the store to use when none is named.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.store": "s3://bucket/analysis"}):
    ...     store()
    's3://bucket/analysis'
    """
    value = _get("store")
    if value is None:
        return default_store()
    if not isinstance(value, str) or not value:
        raise _error("store", value, "a URL such as file:///scratch/cache or s3://bucket/analysis, or null")
    return value


def default_store() -> str:
    """The URL of the folder in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``).

    Examples
    --------
    >>> default_store().startswith("file:///")
    True
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(base).expanduser().absolute() / "cachingclient").as_uri()


def store_options() -> dict[str, Any]:
    """What the configured store is opened with, besides its URL: the options of `open_store`.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.store-options": {"endpoint-url": "https://s3.example.org"}}):
    ...     store_options()
    {'endpoint_url': 'https://s3.example.org'}
    """
    value = _get("store-options")
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise _error("store-options", value, "names with values, e.g. {endpoint_url: https://s3.example.org}")
    return {name.replace("-", "_"): option for name, option in value.items()}


def policy() -> Policy:
    """Which results are kept: ``"auto"`` or ``"all"``.

    Examples
    --------
    >>> policy()
    'auto'
    """
    return cast(Policy, _choice("policy", get_args(Policy)))


def mode() -> Mode:
    """How the store is used: ``"readwrite"``, ``"read"``, ``"refresh"`` or ``"off"``.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.mode": "write"}):
    ...     mode()
    Traceback (most recent call last):
    ...
    cachingclient.config.errors.ConfigurationError: the setting cachingclient.mode is 'write';
    it takes 'readwrite', 'read', 'refresh' or 'off'
    """
    return cast(Mode, _choice("mode", get_args(Mode)))


def inputs() -> Inputs:
    """How files among the arguments are fingerprinted: ``"stat"``, ``"content"`` or ``"name"``.

    Examples
    --------
    >>> inputs()
    'stat'
    """
    return cast(Inputs, _choice("inputs", get_args(Inputs)))


def site() -> str | None:
    """The name of the site that this process works at, or None.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.site": "RAL"}):
    ...     site()
    'RAL'
    """
    return _text("site", "the name of a site, or null")


def environment() -> Environment:
    """Which installed libraries enter a step key, and how.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.environment.ignore": ["My_Plots"]}):
    ...     environment()
    Environment(ignore=frozenset({'my-plots'}), precision='full', pin='reached')
    """
    ignore = _get("environment.ignore")
    if not isinstance(ignore, list | tuple) or not all(isinstance(name, str) for name in ignore):
        raise _error("environment.ignore", ignore, "a list of names of distributions, e.g. [rich, tqdm]")
    return Environment(
        ignore=frozenset(map(normalise, ignore)),
        precision=_choice("environment.precision", ("full", "major.minor")),
        pin=_choice("environment.pin", ("reached", "all")),
    )


def unobserved() -> tuple[str, ...]:
    """Globs of absolute paths that no step is seen to read or write.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.unobserved": ["*/logs/*.log"]}):
    ...     unobserved()
    ('*/logs/*.log',)
    """
    globs = _get("unobserved")
    if not isinstance(globs, list | tuple) or not all(
        isinstance(glob, str) and glob.startswith(("/", "*")) for glob in globs
    ):
        raise _error("unobserved", globs, "a list of globs of absolute paths, e.g. ['*/logs/*.log']")
    return tuple(globs)


def size_limit() -> int | None:
    """How many bytes a store may hold, or None.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.size-limit": "50GB"}):
    ...     size_limit()
    50000000000
    """
    return None if _get("size-limit") is None else _size("size-limit")


def write_queue() -> int:
    """How many bytes of results a worker holds for the background writer before a step waits for it.

    Examples
    --------
    >>> write_queue()
    512000000
    """
    return _size("write-queue")


def recent_results() -> int:
    """How many bytes of the last results of its steps a worker remembers, for equal calls.

    Examples
    --------
    >>> recent_results()
    256000000
    """
    return _size("recent-results", zero=True)


def look_up_timeout() -> float:
    """Seconds after which a look-up counts as all missing.

    Examples
    --------
    >>> look_up_timeout()
    10.0
    """
    return _seconds("timeouts.look-up")


def patience() -> float:
    """Seconds that a step waits for another client that is running the same one; 0 not to ask.

    Examples
    --------
    >>> patience()
    600.0
    """
    return _seconds("timeouts.single-flight", zero=True)


def flush_timeout() -> float:
    """Seconds that ``flush`` and ``close`` wait for what is still being written.

    Examples
    --------
    >>> flush_timeout()
    300.0
    """
    return _seconds("timeouts.flush")


def dirac(name: Literal["url", "vo", "ca"]) -> str | None:
    """Which DIRAC server is used when none is named: its URL, the virtual organisation, what it is trusted by.

    Examples
    --------
    >>> with dask.config.set({"cachingclient.dirac.vo": "gridpp"}):
    ...     dirac("vo")
    'gridpp'
    """
    value = _get(f"dirac.{name}")
    if value is not None and not (isinstance(value, str) and value):
        raise _error(f"dirac.{name}", value, "text, or null")
    return value


def _get(name: str) -> Any:
    # A `with dask.config.set(...)` that was entered before this module was imported takes the defaults with it.
    default = functools.reduce(dict.__getitem__, name.split("."), DEFAULTS["cachingclient"])
    return dask.config.get(f"cachingclient.{name}", default)


def _text(name: str, takes: str) -> str | None:
    value = _get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise _error(name, value, takes)
    return value


def _choice(name: str, choices: tuple[str, ...]) -> str:
    value = _get(name)
    if isinstance(value, str) and value in choices:
        return value
    # An unquoted `off` is False to a YAML reader, and so to dask's environment variables.
    if value is False and "off" in choices:
        return "off"
    raise _error(name, value, _or(choices))


def _size(name: str, *, zero: bool = False) -> int:
    value = _get(name)
    try:
        size = parse_bytes(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else -1
    except (OverflowError, ValueError):
        size = -1
    if size < 0 or (size == 0 and not zero):
        raise _error(name, value, f"a number of bytes{'' if zero else ' above 0'}, e.g. 50GB or 512MiB")
    return size


def _seconds(name: str, *, zero: bool = False) -> float:
    value = _get(name)
    try:
        seconds = _duration(value) if isinstance(value, str | int | float) else -1.0
    except (IndexError, KeyError, ValueError):
        seconds = -1.0
    if isinstance(value, bool) or not (seconds > 0 or (zero and seconds == 0)):
        raise _error(name, value, f"a duration {'of 0 or more' if zero else 'above 0'}, e.g. 10s or 5 minutes")
    return seconds


@functools.lru_cache(maxsize=32)
def _duration(value: str | float) -> float:
    """Return the seconds that a text or a number stands for; each call of ``submit`` asks for some."""
    return float(parse_timedelta(value))


def _or(choices: tuple[str, ...]) -> str:
    quoted = [repr(choice) for choice in choices]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _error(name: str, value: object, takes: str) -> ConfigurationError:
    return ConfigurationError(f"the setting cachingclient.{name} is {value!r}; it takes {takes}")
