"""A cluster's certificates as text, to travel with jobs and to make TLS contexts of."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from distributed import Security


@dataclass(frozen=True)
class Certificates:
    """An authority's certificate, and a certificate of its with the key, in PEM.

    Examples
    --------
    >>> from distributed import Security
    >>> Certificates.of(Security.temporary(), "worker").cert.splitlines()[0]
    '-----BEGIN CERTIFICATE-----'
    """

    ca: str
    cert: str
    key: str

    @classmethod
    def of(cls, security: Security, role: str) -> Self:
        """Take those of a role: ``scheduler``, ``worker`` or ``client``.

        Raises
        ------
        ValueError
            If there are none: the cluster has no TLS.
        """
        config = security.get_tls_config_for_role(role)
        found = {name: config[f"{name}_file" if name == "ca" else name] for name in ("ca", "cert", "key")}
        missing = [name for name, value in found.items() if not value]
        if missing:
            raise ValueError(f"security has no {', '.join(missing)} for the {role}; it takes certificates for TLS")
        return cls(**{name: value if "\n" in value else Path(value).read_text() for name, value in found.items()})


def server_context(certificates: Certificates) -> ssl.SSLContext:
    """Return a context for listening that takes nobody without a certificate of the same authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=certificates.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder, "pair.pem")
        pair.touch(0o600)
        pair.write_text(certificates.cert + "\n" + certificates.key)
        context.load_cert_chain(pair)
    return context
