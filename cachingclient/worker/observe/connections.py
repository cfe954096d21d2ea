"""With whom a step talks, and what it asks there: a request of HTTP tells its URL, other protocols nothing."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import weakref
from http.client import HTTPConnection
from types import FrameType
from typing import Any
from urllib.parse import urljoin

from cachingclient.hashing.inputs.listing import MOST_NAMES
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.worker.observe.callers import callers, is_imported_library, is_step_boundary
from cachingclient.worker.observe.current import Observers

_DASK = ("/distributed/", "/tornado/", "/dask/")
_REQUEST = re.compile(rb"[A-Z]+ (\S+) HTTP/1\.[01]\r\n")
_asked: weakref.WeakKeyDictionary[HTTPConnection, str] = weakref.WeakKeyDictionary()
"""What each connection was asked for last: its answer may send the step elsewhere."""


def note_connection(found: Observers, host: object, port: object) -> None:
    """Note whom a step talks to."""
    for seen in found:
        if len(seen.connections) < 100:
            seen.connections.add(f"{host}:{port}")


def note_url(found: Observers, url: str) -> None:
    """Note what a step reads elsewhere."""
    for seen in found:
        if len(seen.remote) < MOST_NAMES:
            seen.remote.add(unsigned(url))
        else:
            seen.give_reason(f"more than {MOST_NAMES} URLs were opened")


def connected(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note a connection; what fsspec's own loop makes is for URLs that are told where they are asked of it."""
    if is_machinery(frame) or _is_of_fsspec():
        return
    address = args[1]
    if isinstance(address, tuple) and len(address) >= 2:
        note_connection(found, address[0], address[1])
    elif isinstance(address, (str, bytes)):
        note_connection(found, os.fsdecode(address) or "socket", "unix")


def bound(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note that others may connect to the step."""
    if not is_machinery(frame):
        note_connection(found, "bound", args[1])


def requested(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note what is asked of a server; a kept connection is used again without being made again."""
    connection, data = args
    if is_machinery(frame):
        return
    request = _REQUEST.match(data) if isinstance(data, bytes) else None
    if request is None:  # what is sent to it after the request, such as the body of a form
        if connection not in _asked:
            note_connection(found, connection.host, connection.port)
        return
    url = _asked[connection] = _url(connection, request[1].decode("latin-1"))
    note_url(found, url)
    peers = {f"{connection.host}:{connection.port}"}
    if connection.sock is not None:
        host, port = connection.sock.getpeername()[:2]
        peers.add(f"{host}:{port}")
    for seen in found:
        seen.asked |= peers


def _url(connection: HTTPConnection, target: str) -> str:
    if "://" in target:  # a proxy is told the whole of it
        return target
    host, port = connection.host, connection.port
    if tunnelled := getattr(connection, "_tunnel_host", None):
        host, port = tunnelled, getattr(connection, "_tunnel_port", None) or port
    usual = connection.default_port
    scheme = "https" if usual == 443 else "http"
    place = f"[{host}]" if ":" in host else host
    return f"{scheme}://{place}{'' if port == usual else f':{port}'}{target}"


def follow_redirects(tell: Any) -> Any:
    """Return what wraps `HTTPConnection.getresponse`: a server may send the step elsewhere for what was named."""

    def make(original: Any) -> Any:
        def getresponse(self: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
            response = original(self, *args, **kwargs)
            if 300 <= response.status < 400:
                tell(_redirected, (self, response), sys._getframe(1))
            return response

        return getresponse

    return make


def _redirected(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    connection, response = args
    source, target = _asked.get(connection), response.headers.get("Location")
    if source and target:
        for seen in found:
            if len(seen.redirected) < MOST_NAMES:
                seen.redirected[unsigned(urljoin(source, target))] = unsigned(source)


def is_machinery(frame: FrameType) -> bool:
    """Whether dask's own machinery talks, between the event and the step, or a library that is being imported."""
    if is_imported_library(frame):
        return True
    for caller in callers(frame):
        if is_step_boundary(caller):
            return False
        if any(part in caller.f_code.co_filename for part in _DASK):
            return True
    return False


def _is_of_fsspec() -> bool:
    module = sys.modules.get("fsspec.asyn")
    loop = asyncio._get_running_loop()
    return module is not None and loop is not None and loop is module.loop[0]
