"""Rucio's own client, with errors that tell users how to mend their password, certificate, proxy or token."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from rucio.client import Client
from rucio.common.exception import CannotAuthenticate

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


class SignedInClient(Client):
    """A client that asks nobody to log in, as there may be nobody, and that looks at a certificate's time by itself.

    A server that is shown a certificate out of its time says no more than that there is no connection.
    """

    def _BaseClient__get_token_oidc(self) -> bool:
        raise CannotAuthenticate("there is no token, or it has expired: log in anew with `rucio whoami`")

    def _BaseClient__get_token_x509(self) -> bool:
        path = self.creds["client_proxy" if self.auth_type == "x509_proxy" else "client_cert"]
        check_time(Path(path))
        return bool(super()._BaseClient__get_token_x509())


def check_time(path: Path) -> None:
    """Raise CannotAuthenticate if one of a file's certificates is no longer, or not yet, valid."""
    try:
        from cryptography import x509
    except ImportError:
        return  # the server will refuse it
    now = datetime.now(UTC)
    for pem in CERTIFICATE.findall(path.read_bytes()):
        certificate = x509.load_pem_x509_certificate(pem)
        if certificate.not_valid_after_utc < now:
            raise CannotAuthenticate(f"{path} has expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
        if certificate.not_valid_before_utc > now:
            begin = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"
            raise CannotAuthenticate(f"{path} is not valid before {begin} UTC, or this host's clock is wrong")
