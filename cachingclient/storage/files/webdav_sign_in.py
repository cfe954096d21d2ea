"""Who we are to a WebDAV server: a token, an X.509 proxy, or a name and a password.

All are looked for where grid jobs have them, at each request, so that one that was renewed is used.
"""

from __future__ import annotations

import base64
import os
import ssl
from pathlib import Path
from typing import Any


class SignIn:
    """Credentials for a server.

    Parameters
    ----------
    encrypted
        Whether connections are; a token is sent over no other, unless it is given as `token_file`.
    token_file
        A file with a token; else those of `BEARER_TOKEN`, `BEARER_TOKEN_FILE`, or ``bt_u<user>`` in
        `XDG_RUNTIME_DIR` or ``/tmp``, in this order.
    proxy
        A file with an X.509 proxy; else that of `X509_USER_PROXY`.
    user, password_file
        A name, and a file with its password.
    authorities
        A file or folder with the certificates of authorities; else `X509_CERT_DIR`, and those of the system.

    Raises
    ------
    ValueError
        If a file that is named is not there, or a name has no password.

    Examples
    --------
    >>> SignIn(encrypted=True, user="alice")
    Traceback (most recent call last):
    ...
    ValueError: user is 'alice'; it takes a password_file too
    """

    def __init__(
        self,
        *,
        encrypted: bool,
        token_file: str | None = None,
        proxy: str | None = None,
        user: str | None = None,
        password_file: str | None = None,
        authorities: str | None = None,
    ) -> None:
        named = {"token_file": token_file, "proxy": proxy, "password_file": password_file, "authorities": authorities}
        for option, path in named.items():
            if path is not None and not Path(path).exists():
                raise ValueError(f"{option} is {path!r}, where there is no file")
        if (user is None) != (password_file is None):
            raise ValueError(f"user is {user!r}; it takes a password_file too")
        self._encrypted = encrypted
        self._token_file, self._proxy = token_file, proxy
        self._user, self._password_file = user, password_file
        self._authorities = authorities

    def headers(self) -> dict[str, str]:
        """Return the header that says who we are."""
        if self._user is not None and self._password_file is not None:
            pair = f"{self._user}:{Path(self._password_file).read_text().strip()}"
            return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        token = self._token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _token(self) -> str:
        if self._token_file is not None:
            return Path(self._token_file).read_text().strip()
        if not self._encrypted:
            return ""
        if token := os.environ.get("BEARER_TOKEN", "").strip():
            return token
        named, folder = os.environ.get("BEARER_TOKEN_FILE"), os.environ.get("XDG_RUNTIME_DIR")
        usual = [os.path.join(place, f"bt_u{os.getuid()}") for place in (folder, "/tmp") if place]
        for path in map(Path, [named, *usual] if named else usual):
            if path.is_file() and path.stat().st_uid == os.getuid():
                return path.read_text().strip()
        return ""

    def context(self) -> dict[str, Any]:
        """Return how connections are encrypted, as urllib3 takes it: with our proxy, if there is one."""
        if not self._encrypted:
            return {}
        where = self._authorities or os.environ.get("X509_CERT_DIR")
        is_folder = where is not None and os.path.isdir(where)
        context = ssl.create_default_context(capath=where if is_folder else None, cafile=None if is_folder else where)
        if where is not None:
            context.load_default_certs()
        proxy = self._proxy or os.environ.get("X509_USER_PROXY")
        if proxy and Path(proxy).is_file():
            context.load_cert_chain(proxy)
        return {"ssl_context": context}

    def told(self) -> str:
        """Return in words what we showed."""
        if self._user is not None:
            return f"with the password of {self._user}"
        return "with a token" if self.headers() else "without a token"
