"""The URL of a Rucio store, and where its files are kept on the local disk."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import xxhash

from cachingclient.storage.rucio.lifetimes import Lifetimes

OPTIONS = ("rse", "lifetime", "read_rse", "copies", "fast")


def parse_url(url: str) -> tuple[str, str, dict[str, str]]:
    """Return the scope, the container's name and the options of a URL.

    Raises
    ------
    ValueError
        It is none of a Rucio store.

    Examples
    --------
    >>> parse_url("rucio://user.alice/ttbar?rse=RAL_SCRATCHDISK")
    ('user.alice', 'ttbar', {'rse': 'RAL_SCRATCHDISK'})
    """
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    name = parts.path.strip("/")
    if not parts.netloc or not name or "/" in name or "rse" not in query:
        raise ValueError(f"store {url!r}: a Rucio store is rucio://scope/name?rse=NAME")
    unknown = query.keys() - set(OPTIONS)
    if unknown:
        raise ValueError(f"store {url!r} has unknown option {sorted(unknown)[0]!r}; takes {', '.join(OPTIONS)}")
    if "fast" in query and not lifetimes_of(url, query).vary:
        raise ValueError(f"store {url!r}: fast takes two lifetimes too, as 7d-180d: with one, uses are not counted")
    return parts.netloc, name, query


def lifetimes_of(url: str, query: dict[str, str]) -> Lifetimes:
    """Return the lifetimes that the options of a URL give; 30 days where they give none. Raises ValueError."""
    try:
        return Lifetimes.parse(query.get("lifetime", "30d"))
    except ValueError as error:
        raise ValueError(f"store {url!r}: {error}") from None


def default_local(url: str) -> Path:
    """Return the folder for a store's files in the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "cachingclient-rucio" / xxhash.xxh3_128_hexdigest(url.encode())
