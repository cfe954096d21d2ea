"""Calls to services of DIRAC 8 and 9 by HTTPS."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from cachingclient.dirac.api.credentials import Proxy, find_proxy
from cachingclient.dirac.api.errors import MalformedReply, NotOffered, Refused, ServerUnavailable
from cachingclient.dirac.api.http import Http
from cachingclient.dirac.api.parse import malformed

UNAVAILABLE = frozenset({502, 503, 504, 429, 408})


class Rpc:
    """A server's services, called as the owner of a proxy; a proxy that is renewed in its file is taken up."""

    def __init__(self, http: Http, vo: str, proxy: Proxy) -> None:
        self.http = http
        self.vo = vo
        self._proxy = proxy
        self._stamp = _stamp(proxy)
        self._lock = threading.Lock()

    @property
    def proxy(self) -> Proxy:
        """The proxy as it is now; `CredentialsError` once it has ended."""
        with self._lock:
            if (stamp := _stamp(self._proxy)) != self._stamp:
                self._proxy, self._stamp = find_proxy(self._proxy.path), stamp
                self.http.renew()
            self._proxy.check()
            return self._proxy

    def __call__(self, service: str, method: str, *arguments: Any) -> Any:
        """The value that a method returns; `Refused` with the server's words if it fails."""
        what = f"{service}.{method}"
        reply = self.reply(service, method, *arguments)
        if not reply["OK"]:
            raise Refused(f"{what}: {self.message(reply)}")
        if "Value" not in reply:
            malformed(what, "a Value", reply)
        return reply["Value"]

    def reply(self, service: str, method: str, *arguments: Any) -> dict[str, Any]:
        """The whole reply of a method, whether it succeeded (``OK``) or not."""
        what = f"{service}.{method}"
        reply = decode(what, self._post(service, method, arguments))
        if not isinstance(reply, dict) or not isinstance(reply.get("OK"), bool):
            malformed(what, "a reply with OK", reply)
        return reply

    def content(self, service: str, method: str, *arguments: Any) -> bytes:
        """The bytes that a method sends as they are."""
        what = f"{service}.{method}"
        body = self._post(service, method, arguments, rawContent="True")
        # Failing methods answer in JSON here too.
        if body.startswith(b"{"):
            reply = decode(what, body)
            raise Refused(f"{what}: {self.message(reply) if isinstance(reply, dict) else reply}")
        return body

    @staticmethod
    def message(reply: Mapping[str, Any]) -> str:
        """The message of a reply."""
        text = reply.get("Message")
        if not isinstance(text, str) or not text:
            return f"no reason given (Errno {reply.get('Errno')!r})"
        return " ".join(text.split())[:1000]

    def _post(self, service: str, method: str, arguments: tuple[Any, ...], **fields: str) -> bytes:
        proxy = self.proxy
        url = f"{self.http.url}/{service}"
        form = {"method": method, "args": encode(arguments), "clientVO": self.vo, **fields}
        status, body = self.http.ask("POST", url, data=form, cert=str(proxy.path))
        if status in (401, 403):
            raise Refused(
                f"{service}.{method}: {self.http.url} does not let {proxy.subject} "
                f"as {proxy.group or 'member of the default group'} do this (HTTP {status})"
            )
        if status in (404, 501):
            raise NotOffered(f"{service}.{method}: {self.http.url} has no such service or method (HTTP {status})")
        if status in UNAVAILABLE or (status >= 500 and not body.startswith(b"{")):
            raise ServerUnavailable(f"{service}.{method}: {self.http.url} is out of order: HTTP {status}")
        if status >= 400 and not body.startswith(b"{"):
            raise MalformedReply(f"{service}.{method}: HTTP {status}: {_excerpt(body)}")
        return body


def encode(value: Any) -> str:
    """A value as DIRAC writes it into JSON.

    Examples
    --------
    >>> encode([1, b"ab"])
    '[1, {"__dCls": "b64", "obj": "YWI="}]'
    """
    return json.dumps(value, default=_encode_other)


def decode(what: str, body: bytes) -> Any:
    """Decode DIRAC's JSON, dates and bytes included.

    Examples
    --------
    >>> decode("ping", b'{"time": {"__dCls": "dt", "obj": "2026-11-20 10:00:00"}}')
    {'time': datetime.datetime(2026, 11, 20, 10, 0)}
    """
    try:
        return json.loads(body, object_hook=_decode_object)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MalformedReply(f"{what}: expected JSON, got {_excerpt(body)} ({error})") from error


def _encode_other(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"__dCls": "b64", "obj": base64.b64encode(value).decode()}
    raise TypeError(f"DIRAC takes no {type(value).__name__}")


def _decode_object(value: dict[str, Any]) -> Any:
    match value.get("__dCls"):
        case "dt":
            return datetime.fromisoformat(value["obj"])
        case "date":
            return date.fromisoformat(value["obj"])
        case "b64":
            return base64.b64decode(value["obj"])
    return value


def _excerpt(body: bytes) -> str:
    text = body[:200].decode("utf-8", "replace")
    return repr(text + "..." if len(body) > 200 else text)


def _stamp(proxy: Proxy) -> tuple[int, int]:
    try:
        status = os.stat(proxy.path)
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)
