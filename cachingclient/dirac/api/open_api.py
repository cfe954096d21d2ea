"""Open a DIRAC server, whichever kind it is."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from cachingclient import config
from cachingclient.dirac.api.credentials import Proxy, ended, find_proxy
from cachingclient.dirac.api.dirac8 import Dirac8
from cachingclient.dirac.api.diracx import DiracX
from cachingclient.dirac.api.errors import CredentialsError, DiracError, ServerUnavailable
from cachingclient.dirac.api.http import Http
from cachingclient.dirac.api.interface import DiracApi
from cachingclient.dirac.api.tokens import TokenFile
from cachingclient.warn_once import warn_user

METADATA = "/.well-known/dirac-metadata"
SHORT = timedelta(hours=1)


def open_api(
    url: str | None = None,
    vo: str | None = None,
    credentials: Proxy | TokenFile | str | os.PathLike[str] | None = None,
    *,
    ca: str | os.PathLike[str] | None = None,
    timeout: float = 60.0,
) -> DiracApi:
    """Open a DIRAC 8, DIRAC 9 or DiracX server as a user of a virtual organisation.

    Parameters
    ----------
    url
        The server: ``https://HOST:8443`` for DIRAC, ``https://HOST`` for DiracX; by default the setting ``dirac.url``.
    vo
        The virtual organisation; by default the setting ``dirac.vo``.
    credentials
        A proxy, a file of tokens, or the path of either; by default what the server takes and its own tools would use.
    ca
        A file or folder of authorities to trust the server by; by default the setting ``dirac.ca``, then the grid's.
    timeout
        Seconds to wait for a reply.

    Raises
    ------
    ValueError
        No URL or virtual organisation is given or set, or one is wrong.
    DiracError
        The server can't be reached, or there are no credentials that last.

    Examples
    --------
    >>> open_api("https://dirac.example.org:8443", "gridpp", "/nowhere/proxy")
    Traceback (most recent call last):
    ...
    cachingclient.dirac.api.errors.CredentialsError: there are no credentials at /nowhere/proxy
    """
    url = url or config.dirac("url") or os.environ.get("DIRACX_URL")
    vo = vo or config.dirac("vo")
    for what, value in (("url", url), ("vo", vo)):
        if not value:
            raise ValueError(f"{what} is not given, and the setting cachingclient.dirac.{what} is not set")
    assert url is not None
    assert vo is not None
    ca = ca if ca is not None else config.dirac("ca")
    known = _read(credentials) if isinstance(credentials, str | os.PathLike) else credentials
    if known is None:
        known = TokenFile() if _is_diracx(Http(url, ca=ca, timeout=timeout)) else find_proxy()
    if isinstance(known, TokenFile):
        known.check()
        return DiracX(url, vo, known, ca=ca, timeout=timeout)
    known.check()
    if known.time_left < SHORT:
        warn_user(f"the proxy {known.path} {ended(known.time_left)}")
    return Dirac8(url, vo, known, ca=ca, timeout=timeout)


def _read(path: str | os.PathLike[str]) -> Proxy | TokenFile:
    try:
        with Path(path).open("rb") as file:
            begin = file.read(64).lstrip()
    except FileNotFoundError:
        raise CredentialsError(f"there are no credentials at {os.fspath(path)}") from None
    except OSError as error:
        raise CredentialsError(f"the credentials {os.fspath(path)} can't be read: {error.strerror}") from error
    return TokenFile(path) if begin.startswith(b"{") else find_proxy(path)


def _is_diracx(http: Http) -> bool:
    try:
        status, body = http.ask("GET", http.url + METADATA)
        return status == 200 and "virtual_organizations" in json.loads(body)
    except ServerUnavailable:
        raise
    # DIRAC 8 and 9 may not even finish TLS with someone who has no certificate.
    except (DiracError, ValueError, TypeError):
        return False
    finally:
        http.close()
