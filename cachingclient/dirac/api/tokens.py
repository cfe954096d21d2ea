"""DiracX's tokens: where they are kept, how long they last, and how they are renewed.

The file is that of the ``dirac`` command, locked as it locks it, so that both can be used side by side.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cachingclient.dirac.api.credentials import MARGIN, ended, read_private
from cachingclient.dirac.api.errors import CredentialsError, MalformedReply, ServerUnavailable
from cachingclient.dirac.api.http import Http, checked_url
from cachingclient.dirac.api.parse import a_dict, a_text, malformed

CLIENT_ID = "myDIRACClientID"
# A token that ends during a graph's submission would be refreshed in its midst: do it before.
REFRESH_BEFORE = timedelta(minutes=5)
LOG_IN = "log in with: cachectl dirac login"
# RFC 6750, section 2.1: other characters can't be sent in a header.
BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
OPENID_CONFIGURATION = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token and what renews it.

    Attributes
    ----------
    access, refresh
        The tokens.
    expires
        When the access token ends.

    Examples
    --------
    >>> Tokens("no token at all", "", datetime(2026, 1, 1, tzinfo=UTC)).claims
    {}
    """

    access: str
    refresh: str
    expires: datetime

    @property
    def claims(self) -> dict[str, Any]:
        """The claims in the access token; empty if it can't be read. Only the server can tell if they are true."""
        return _claims(self.access)

    @property
    def renewable_until(self) -> datetime:
        """When the refresh token ends."""
        end = _claims(self.refresh).get("exp")
        return _moment(end) if isinstance(end, int | float) else self.expires


class TokenFile:
    """The tokens of one user and group at one server, in a file.

    Parameters
    ----------
    path
        By default where ``DIRACX_CREDENTIALS_PATH`` says, else ``~/.cache/diracx/credentials.json``.

    Notes
    -----
    A refresh token can be used once. If the answer to a refresh is lost, so are both tokens, and using the old one
    again would end all sessions of its user: a refresh is never repeated.

    Examples
    --------
    >>> TokenFile("/nowhere/tokens.json").read()
    Traceback (most recent call last):
    ...
    cachingclient.dirac.api.errors.CredentialsError: there is no token file at /nowhere/tokens.json: log in with:
    cachectl dirac login
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        default = "~/.cache/diracx/credentials.json"
        self.path = Path(path or os.environ.get("DIRACX_CREDENTIALS_PATH") or default).expanduser()

    def read(self) -> Tokens:
        """The tokens as they stand in the file, ended or not."""
        return self._parse(read_private(self.path, "token file", LOG_IN))

    def check(self) -> None:
        """Raise `CredentialsError` if neither token lasts."""
        tokens = self.read()
        left = max(tokens.expires, tokens.renewable_until) - datetime.now(UTC)
        if left <= MARGIN:
            raise CredentialsError(f"the tokens in {self.path} {ended(left).replace('expires', 'expire')}: {LOG_IN}")

    def access(self, http: Http) -> str:
        """An access token that lasts, renewed at the server if need be."""
        tokens = self.read()
        if _lasts(tokens):
            return tokens.access
        self.check()
        with self.path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            tokens = self._parse(file.read())
            if not _lasts(tokens):
                tokens = _refresh(http, tokens)
                file.seek(0)
                file.truncate()
                file.write(_serialise(tokens))
                file.flush()
                os.fsync(file.fileno())
        return tokens.access

    def write(self, tokens: Tokens) -> None:
        """Keep tokens, readable by their owner only."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            os.fchmod(file.fileno(), 0o600)
            file.truncate()
            file.write(_serialise(tokens))

    def _parse(self, content: bytes) -> Tokens:
        try:
            value = json.loads(content)
            access, refresh, expires = value["access_token"], value["refresh_token"], value["expires_on"]
            if not (BEARER.fullmatch(access) and isinstance(refresh, str | None)):
                raise TypeError("what it holds is no token")
            return Tokens(access, refresh or "", _moment(expires))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise CredentialsError(f"{self.path} holds no DiracX tokens ({error}): {LOG_IN}") from error


def log_in(http: Http, vo: str, group: str | None, show: Callable[[str], None]) -> Tokens:
    """Get tokens by a user's consent in a browser, on this or another device.

    Parameters
    ----------
    http
        The server.
    vo, group
        What to log in for; no group is the default one.
    show
        Is called with the address that the user has to open.
    """
    endpoints = _endpoints(http)
    scope = f"vo:{vo} group:{group}" if group else f"vo:{vo}"
    start = _post(
        http, endpoints["device_authorization_endpoint"], "login", params={"client_id": CLIENT_ID, "scope": scope}
    )
    show(a_text("login: verification_uri_complete", start.get("verification_uri_complete")))
    interval, lasts = start.get("interval", 5), start.get("expires_in", 600)
    if not isinstance(interval, int) or not isinstance(lasts, int):
        malformed("login: interval and expires_in", "numbers", (interval, lasts))
    deadline = time.monotonic() + lasts
    form = {"grant_type": DEVICE_CODE, "device_code": start.get("device_code"), "client_id": CLIENT_ID}
    while time.monotonic() < deadline:
        status, reply = _send(http, endpoints["token_endpoint"], "login", data=form)
        if status == 200:
            return _tokens("login", reply)
        if reply.get("error") not in ("authorization_pending", "slow_down"):
            raise CredentialsError(f"{http.url} does not let us in: {reply}")
        time.sleep(max(1, interval) + (5 if reply["error"] == "slow_down" else 0))
    raise CredentialsError(f"nobody opened the address within {lasts} s")


def _refresh(http: Http, tokens: Tokens) -> Tokens:
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, "client_id": CLIENT_ID}
    status, reply = _send(http, _endpoints(http)["token_endpoint"], "refresh", data=form)
    if status != 200:
        raise CredentialsError(f"{http.url} does not renew our tokens ({reply.get('detail', reply)}): {LOG_IN}")
    return _tokens("refresh", {"refresh_token": tokens.refresh, **reply})


def _endpoints(http: Http) -> dict[str, str]:
    status, body = http.ask("GET", http.url + OPENID_CONFIGURATION)
    reply = _json("discovery", body)
    if status != 200:
        raise ServerUnavailable(f"{http.url} does not say where to log in: HTTP {status}")
    endpoints = {}
    for name in ("token_endpoint", "device_authorization_endpoint"):
        try:
            endpoints[name] = checked_url(a_text(f"discovery: {name}", reply.get(name)))
        except ValueError as error:
            raise MalformedReply(f"discovery: {name}: {error}") from error
    return endpoints


def _post(http: Http, url: str, what: str, **arguments: Any) -> dict[str, Any]:
    status, reply = _send(http, url, what, **arguments)
    if status != 200:
        raise CredentialsError(f"{what}: {http.url} answers {status}: {reply.get('detail', reply)}")
    return reply


def _send(http: Http, url: str, what: str, **arguments: Any) -> tuple[int, dict[str, Any]]:
    status, body = http.ask("POST", url, **arguments)
    if status >= 500:
        raise ServerUnavailable(f"{what}: {http.url} is out of order: HTTP {status}")
    return status, _json(what, body)


def _json(what: str, body: bytes) -> dict[str, Any]:
    try:
        return a_dict(what, json.loads(body))
    except (ValueError, RecursionError):
        malformed(what, "JSON", body)


def _tokens(what: str, reply: dict[str, Any]) -> Tokens:
    access, refresh = (
        a_text(f"{what}: access_token", reply.get("access_token")),
        a_text(what, reply.get("refresh_token")),
    )
    lasts = reply.get("expires_in")
    if not BEARER.fullmatch(access) or not isinstance(lasts, int) or isinstance(lasts, bool) or not 0 < lasts < 10**8:
        malformed(what, "tokens", sorted(reply))
    return Tokens(access, refresh, datetime.now(UTC) + timedelta(seconds=lasts) - MARGIN / 2)


def _serialise(tokens: Tokens) -> bytes:
    content = {
        "access_token": tokens.access,
        "refresh_token": tokens.refresh,
        "expires_on": int(tokens.expires.timestamp()),
    }
    return json.dumps(content).encode()


def _lasts(tokens: Tokens) -> bool:
    left = tokens.expires - datetime.now(UTC)
    return left > REFRESH_BEFORE or (left > MARGIN and not tokens.refresh)


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds!r} is no time") from error
