"""Whether two URLs name one file elsewhere: redirectors, caches and gateways give it other hosts and prefixes."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from cachingclient.hashing.inputs.signed import unsigned

_WEB = {"http": 80, "dav": 80, "https": 443, "davs": 443}
"""Schemes whose hosts are what they say, with their ports."""
_REDIRECTED = frozenset({"root", "roots", "xroot", "xroots"})
_CATALOGUED = "rucio"


def may_name_the_same(url: str, other: str) -> bool:
    """Whether two URLs may be names of one file; a file of the same name in another folder is another.

    Parameters
    ----------
    url, other
        The URLs. Of a chain such as ``simplecache::root://...`` each part counts.

    Examples
    --------
    >>> may_name_the_same("root://cache:1094//root://origin//store/mc/a.root", "root://redirector//store/mc/a.root")
    True
    >>> may_name_the_same("root://redirector//store/friends/a.root", "root://redirector//store/mc/a.root")
    False
    >>> may_name_the_same("http://127.0.0.1/v1/a.json", "http://127.0.0.2/v1/a.json")
    False
    """
    return any(_same(one, another) for one in url.split("::") for another in other.split("::") if "://" in another)


def _same(url: str, other: str) -> bool:
    one, another = urlsplit(unsigned(url)), urlsplit(unsigned(other))
    if one.scheme in _WEB and another.scheme in _WEB:
        asked, named = ((unquote(each.path) or "/", each.query) for each in (one, another))
        return _place(url) == _place(other) and asked == named
    here, there = _folders(one.path), _folders(another.path)
    if _CATALOGUED in (one.scheme, another.scheme):  # which hides the folder: a site chooses it by a hash of the name
        return _last(url) == _last(other) != ""
    if not here:  # a file system that is opened
        return one.netloc == another.netloc
    if one.scheme == another.scheme and one.scheme not in _REDIRECTED:
        return (one.netloc, here) == (another.netloc, there)
    shorter = min(len(here), len(there))
    return bool(shorter) and here[-shorter:] == there[-shorter:]


def _last(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2].rpartition(":")[2]


def _place(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.hostname, port or _WEB[parts.scheme]


def _folders(path: str) -> list[str]:
    return [part for part in unquote(path).split("/") if part]
