"""What XRootD servers say of a file's content, and whether it is they who have the file.

A cache passes questions on to the server that it copies from: it tells the checksum that a file has there now, and may
send what it copied before. A redirector sends each question to some server of many, whose times differ. So a file's
checksum says what was read only where all that may have sent it have it themselves.
"""

from __future__ import annotations

import math
import threading
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from XRootD import client
from XRootD.client.flags import HostTypes, OpenFlags, QueryCode

from cachingclient.forks.children import free_in_children
from cachingclient.hashing.inputs.checksums import Sums, as_sum

PATIENCE = 3.0
"""Seconds within which a checksum has to come: a server that has none kept reads the whole file for it."""
NOT_AGAIN = 600.0
"""Seconds for which a server is not asked again that tells no checksum, or none in time; and a host, what it is."""
_NOT_THERE = 3011
_silent: dict[str, float] = {}
_hosts: dict[str, tuple[float, int]] = {}
_lock = free_in_children(threading.Lock())


class Told(NamedTuple):
    """What a server tells of a file.

    Attributes
    ----------
    sums
        Checksums of its content.
    relayed
        Whether what is read may come from another server, which may have another time, or older content.
    """

    sums: Sums
    relayed: bool


def ask_content(url: str) -> Told:
    """Return what the server of a URL says of the content of a file.

    Raises
    ------
    OSError
        If it does not say what it is.
    """
    parts = urlsplit(url)
    path = client.URL(url).path_with_params
    sums = _checksum(parts.netloc, path)
    flags = _flags_of(parts.netloc)
    if flags & HostTypes.IS_MANAGER and sums:
        return Told(sums, relayed=_is_proxy(flags) or not _lies_on_servers(parts.netloc, path))
    return Told(sums, relayed=_is_proxy(flags) or not flags & HostTypes.IS_SERVER)


def _checksum(host: str, path: str) -> Sums:
    if time.monotonic() - _silent.get(host, -math.inf) < NOT_AGAIN:
        return ()
    answered, answers = threading.Event(), []

    def answer(status: client.XRootDStatus, response: bytes | None, _hosts: object) -> None:  # type: ignore[name-defined]
        answers.append((status, response))
        answered.set()

    sent = client.FileSystem(f"root://{host}").query(QueryCode.CHECKSUM, path, int(PATIENCE) + 1, answer)
    if not sent.ok or not answered.wait(PATIENCE):
        _silent[host] = time.monotonic()
        return ()
    status, response = answers[0]
    if not status.ok:
        if status.errno != _NOT_THERE:
            _silent[host] = time.monotonic()
        return ()
    kind, _, value = (response or b"").rstrip(b"\0\n").decode("ascii", "replace").partition(" ")
    return as_sum(kind, value)


def _lies_on_servers(host: str, path: str) -> bool:
    """Tell whether all servers to which a redirector may send have the file themselves."""
    status, found = client.FileSystem(f"root://{host}").deeplocate(path.partition("?")[0], OpenFlags.NONE)
    if not status.ok:
        return False
    flags = [_flags_of(each.address) for each in found]
    return bool(flags) and all(each & HostTypes.IS_SERVER and not _is_proxy(each) for each in flags)


def _is_proxy(flags: int) -> bool:
    return bool(flags & HostTypes.ATTR_PROXY)


def _flags_of(host: str) -> int:
    """Return what a host says that it is, asked once in a while."""
    with _lock:
        known = _hosts.get(host)
    if known is not None and time.monotonic() - known[0] < NOT_AGAIN:
        return known[1]
    status, told = client.FileSystem(f"root://{host}").protocol()
    if not status.ok:
        raise OSError(status.message)
    with _lock:
        _hosts[host] = time.monotonic(), int(told.hostinfo)
    return int(told.hostinfo)
