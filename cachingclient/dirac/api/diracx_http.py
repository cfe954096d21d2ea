"""Requests to DiracX with a token that lasts, and what their statuses mean."""

from __future__ import annotations

import json
from typing import Any

from cachingclient.dirac.api.errors import CredentialsError, MalformedReply, NotOffered, Refused, ServerUnavailable
from cachingclient.dirac.api.http import Http
from cachingclient.dirac.api.tokens import LOG_IN, TokenFile


class DiracXHttp:
    """A server asked as the owner of tokens."""

    def __init__(self, http: Http, tokens: TokenFile) -> None:
        self._http = http
        self._tokens = tokens

    def __call__(self, method: str, path: str, **arguments: Any) -> Any:
        """Send a request and return the answer, decoded from JSON.

        Raises
        ------
        CredentialsError, Refused, NotOffered, ServerUnavailable, MalformedReply
            As the status and the body say.
        """
        what, token = f"{method} {path}", self._tokens.access(self._http)

        # A header would be overwritten by what ~/.netrc may have for the host; this is not.
        def sign(request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        status, body = self._http.ask(method, self._http.url + path, auth=sign, **arguments)
        if 200 <= status < 300:
            return _decode(what, body)
        why = f"{what}: {self._http.url} answers {status}: {_words(body)}"
        if status == 401:
            raise CredentialsError(f"{why}; {LOG_IN}")
        if status in (404, 405, 501):
            raise NotOffered(why)
        if status in (408, 425, 429) or status >= 500:
            raise ServerUnavailable(why)
        raise Refused(why)


def _decode(what: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedReply(f"{what}: expected JSON, got {body[:200]!r}") from error


def _words(body: bytes) -> str:
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return repr(body[:200].decode("utf-8", "replace"))
    return (detail if isinstance(detail, str) else json.dumps(detail))[:500]
