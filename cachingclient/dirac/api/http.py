"""One way of asking a server by HTTP: TLS as the grid has it, limits, and errors that say what to do."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cachingclient.dirac.api.errors import CredentialsError, DiracError, MalformedReply, ServerUnavailable

GRID_CERTIFICATES = "/etc/grid-security/certificates"
# Sandboxes are 100 MB at most on servers as they come; nothing else is near that.
MAX_REPLY = 256 * 1024 * 1024
CHUNK = 1024 * 1024
CONNECT_TIMEOUT = 10.0


def certificate_authorities(given: str | os.PathLike[str] | None = None) -> str | bool:
    """The authorities to trust: a file or folder, else ``X509_CERT_DIR``, the grid's folder, or the system's.

    Raises
    ------
    ValueError
        The file or folder that was given does not exist.
    """
    if given is not None:
        if not Path(given).exists():
            raise ValueError(f"ca is {os.fspath(given)!r}, which does not exist; it takes a file or a folder")
        return os.fspath(given)
    folder = os.environ.get("X509_CERT_DIR") or GRID_CERTIFICATES
    return folder if Path(folder).is_dir() else True


def checked_url(url: str) -> str:
    """A server's URL without the slash at its end.

    Examples
    --------
    >>> checked_url("https://dirac.gridpp.ac.uk:8443/")
    'https://dirac.gridpp.ac.uk:8443'
    >>> checked_url("dirac.gridpp.ac.uk")
    Traceback (most recent call last):
    ...
    ValueError: url is 'dirac.gridpp.ac.uk'; it takes https://HOST:PORT (http:// on this host only)
    """
    takes = f"url is {url!r}; it takes https://HOST:PORT (http:// on this host only)"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(takes) from error
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    clean = not (parts.query or parts.fragment or parts.username or any(c.isspace() for c in url))
    if not parts.hostname or not clean or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ValueError(takes)
    return url.rstrip("/")


class Http:
    """A server's address, the authorities to trust it by, and a session in each thread."""

    def __init__(self, url: str, *, ca: str | os.PathLike[str] | None = None, timeout: float = 60.0) -> None:
        try:
            import requests
        except ImportError as error:
            raise DiracError("DIRAC needs requests: pip install 'cachingclient[dirac]'") from error
        self._requests = requests
        self.url = checked_url(url)
        self.verify = certificate_authorities(ca)
        self.timeout = timeout
        self._generation = 0
        self._local = threading.local()

    def ask(self, method: str, url: str, **arguments: Any) -> tuple[int, bytes]:
        """Send a request; the status and the body of the reply.

        Raises
        ------
        CredentialsError
            TLS failed.
        ServerUnavailable
            The server can't be reached, or broke off.
        MalformedReply
            The reply is a redirection, or too large.
        """
        failures = self._requests.exceptions
        try:
            # An environment's REQUESTS_CA_BUNDLE wins over a session's `verify`, not over a request's.
            reply = self._session().request(
                method,
                url,
                verify=self.verify,
                timeout=(CONNECT_TIMEOUT, self.timeout),
                allow_redirects=False,
                stream=True,
                **arguments,
            )
            with reply:
                body = self._body(reply)
        except failures.SSLError as error:
            raise CredentialsError(
                f"no TLS with {url}: {_reason(error)} (servers are trusted by {self.verify}: see ca and X509_CERT_DIR)"
            ) from error
        except (failures.ConnectionError, failures.Timeout, failures.ChunkedEncodingError) as error:
            raise ServerUnavailable(f"{url} can't be reached: {_reason(error)}") from error
        except failures.RequestException as error:
            raise MalformedReply(f"{url}: {_reason(error)}") from error
        except OSError as error:
            raise CredentialsError(f"no request to {url}: {error}") from error
        if 300 <= reply.status_code < 400:
            raise MalformedReply(
                f"{url} points to {reply.headers.get('Location', 'nowhere')!r}: is it the server's URL?"
            )
        return reply.status_code, body

    def close(self) -> None:
        """Give up this thread's connections."""
        if session := getattr(self._local, "session", None):
            session.close()
            del self._local.session

    def renew(self) -> None:
        """Make new connections from now on, in every thread: the old ones have the old credentials."""
        self._generation += 1

    def _session(self) -> Any:
        if getattr(self._local, "generation", None) != self._generation:
            self.close()
            self._local.generation = self._generation
        if not hasattr(self._local, "session"):
            self._local.session = self._requests.Session()
        return self._local.session

    def _body(self, reply: Any) -> bytes:
        parts, size = [], 0
        for part in reply.iter_content(CHUNK):
            parts.append(part)
            size += len(part)
            if size > MAX_REPLY:
                raise MalformedReply(f"{reply.url} sends more than {MAX_REPLY:,} bytes")
        return b"".join(parts)


def _reason(error: BaseException) -> str:
    # urllib3 wraps what happened in several layers; the innermost says it.
    for inner in (getattr(error, "reason", None), *reversed(error.args)):
        if isinstance(inner, BaseException):
            return _reason(inner)
    return str(error) or type(error).__name__
