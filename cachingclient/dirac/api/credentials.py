"""Proxies and tokens: where they are, whose, and how long they last."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cachingclient import units
from cachingclient.dirac.api.errors import CredentialsError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

# A request takes a while to arrive: what ends sooner counts as ended.
MARGIN = timedelta(seconds=30)
# DIRAC writes its group into the proxy, as an IA5String.
DIRAC_GROUP = "1.2.42.42"
IA5_STRING = 0x16
RENEW_PROXY = "make one with dirac-proxy-init, or name another by X509_USER_PROXY"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An X.509 proxy (or a certificate with its key) in a file.

    Attributes
    ----------
    path
        Where it is.
    subject
        Whose it is.
    group
        The DIRAC group that it is for; empty for the user's default group.
    expires
        When the first certificate of its chain ends.

    Examples
    --------
    >>> proxy = Proxy(Path("/tmp/x509up_u1000"), "/C=UK/CN=alice", "gridpp_user", datetime(2026, 1, 1, tzinfo=UTC))
    >>> proxy.time_left < timedelta(0)
    True
    """

    path: Path
    subject: str
    group: str
    expires: datetime

    @property
    def time_left(self) -> timedelta:
        """How long it lasts; below zero when it has ended."""
        return self.expires - datetime.now(UTC)

    def check(self) -> None:
        """Raise `CredentialsError` if it has ended, or is about to."""
        if self.time_left <= MARGIN:
            raise CredentialsError(f"the proxy {self.path} {ended(self.time_left)}: {RENEW_PROXY}")


def find_proxy(path: str | os.PathLike[str] | None = None) -> Proxy:
    """The proxy in a file; by default where ``X509_USER_PROXY`` says, else ``/tmp/x509up_u<user id>``.

    Raises
    ------
    CredentialsError
        There is none, it can't be read, others can read it, or it has ended.

    Examples
    --------
    >>> find_proxy("/nowhere/proxy")
    Traceback (most recent call last):
    ...
    cachingclient...CredentialsError: there is no proxy at /nowhere/proxy: make one with dirac-proxy-init, or
    name another by X509_USER_PROXY
    """
    where = Path(path or os.environ.get("X509_USER_PROXY") or f"/tmp/x509up_u{os.getuid()}")
    proxy = _parse(where, read_private(where, "proxy", RENEW_PROXY))
    proxy.check()
    return proxy


def read_private(path: Path, what: str, advice: str) -> bytes:
    """The bytes of a secret file, if none but its owner can read them."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except FileNotFoundError:
        raise CredentialsError(f"there is no {what} at {path}: {advice}") from None
    except OSError as error:
        raise CredentialsError(f"the {what} {path} can't be read: {error.strerror}") from error
    if mode & 0o077:
        raise CredentialsError(f"others can read the {what} {path}: chmod 600 {path}, and get a new one if they did")
    return content


def ended(time_left: timedelta) -> str:
    """How a time left that is too short is said.

    Examples
    --------
    >>> ended(timedelta(hours=-2)), ended(timedelta(seconds=10))
    ('expired 2 h ago', 'expires in 10 s')
    """
    seconds = time_left.total_seconds()
    if seconds <= 0:
        return f"expired {units.duration(-seconds)} ago"
    return f"expires in {units.duration(seconds)}"


def _parse(path: Path, content: bytes) -> Proxy:
    try:
        from cryptography import x509
    except ImportError as error:
        raise CredentialsError("proxies need cryptography: pip install 'cachingclient[dirac]'") from error
    try:
        chain = x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise CredentialsError(f"{path} holds no X.509 proxy: {error}") from error
    if b"PRIVATE KEY-----" not in content:
        raise CredentialsError(f"{path} holds certificates but no key, so it is no proxy: {RENEW_PROXY}")
    # The user's own certificate has the name that the proxies made from it prolong.
    owner = min(chain, key=lambda certificate: len(certificate.subject.rdns))
    subject = "".join(f"/{part.rfc4514_string()}" for part in owner.subject.rdns)
    groups = filter(None, map(_group, chain))
    return Proxy(path, subject, next(groups, ""), min(each.not_valid_after_utc for each in chain))


def _group(certificate: Certificate) -> str:
    try:
        extensions = list(certificate.extensions)
    except ValueError:
        return ""
    for extension in extensions:
        value = getattr(extension.value, "value", b"")
        if extension.oid.dotted_string == DIRAC_GROUP and value[:1] == bytes([IA5_STRING]):
            return value[2:].decode("ascii", "replace")
    return ""
