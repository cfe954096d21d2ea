"""A cluster's certificates: as text, to travel with jobs and to make TLS contexts of, and as files, for workers that
are told of them by paths."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from distributed import Security

_WORKER_FIELDS = ("tls_ca_file", "tls_worker_cert", "tls_worker_key")


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


def make_security() -> Security:
    """Make the certificates of a cluster that was given none.

    Raises
    ------
    ImportError
        Without cryptography, which a plain installation does not have; the text says how to get it.
    """
    try:
        return Security.temporary()
    except ImportError as error:
        raise ImportError(
            "a cluster's certificates need cryptography: pip install 'cachingclient[batch]'", name="cryptography"
        ) from error


def checked_security(given: Security | bool | None) -> Security:
    """Return what a cluster is secured by: certificates that are made for it, those given, or nothing for False.

    Raises
    ------
    TypeError
        For anything else: it must not pass for False.

    Examples
    --------
    >>> checked_security(False).require_encryption
    False
    >>> checked_security("ca.pem")
    Traceback (most recent call last):
    ...
    TypeError: security is 'ca.pem'; it takes a distributed.Security, True, or False for no encryption
    """
    if given is None or given is True:
        return make_security()
    if given is not False and not isinstance(given, Security):
        raise TypeError(f"security is {given!r}; it takes a distributed.Security, True, or False for no encryption")
    return given or Security()


def server_context(certificates: Certificates) -> ssl.SSLContext:
    """Return a context for listening that refuses connections without a certificate of the same authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=certificates.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder, "pair.pem")
        pair.touch(0o600)
        pair.write_text(certificates.cert + "\n" + certificates.key)
        context.load_cert_chain(pair)
    return context


def as_files(security: Security, folder: Path | None = None) -> tuple[Security, Path]:
    """Write the certificates that workers need into files, and return a security that names them, with their folder.

    Temporary certificates are text in memory. A worker of a batch system is told of them by paths, on its command line.

    Parameters
    ----------
    security
        The cluster's certificates.
    folder
        Where a private folder for the files is made; the workers' hosts have to see it. None takes the working
        folder, as dask-jobqueue does.

    Examples
    --------
    >>> import shutil
    >>> security, folder = as_files(Security.temporary(), Path(tempfile.gettempdir()))
    >>> Path(security.tls_worker_key).read_text().startswith("-----BEGIN")
    True
    >>> shutil.rmtree(folder)
    """
    private = Path(tempfile.mkdtemp(prefix=".vine-certificates-", dir=folder or Path.cwd()))
    texts = {name: getattr(security, name) for name in _WORKER_FIELDS}
    paths = {}
    for name, text in texts.items():
        if text is not None and "\n" in text:
            paths[name] = str(private / name)
            Path(paths[name]).write_text(text)
        elif text is not None:
            paths[name] = text
    return Security(require_encryption=security.require_encryption, **paths), private
