"""A certificate authority for tests, with certificates of hosts and users, and users' proxies."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ORGANISATION = "CachingClientTests"
PROXY_CERT_INFO = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14")
INHERITS_ALL = bytes.fromhex("300c300a06082b06010505071501")
DIRAC_GROUP = x509.ObjectIdentifier("1.2.42.42")
SIGNING_POLICY = """\
access_id_CA X509 '/O={0}/CN=CA'
pos_rights globus CA:sign
cond_subjects globus '"/O={0}/*"'
"""


class Authority:
    """Signs for the hosts and users of one test run.

    Parameters
    ----------
    folder
        Where ``ca.pem`` goes, and ``certificates/``, the same as a folder that grid tools read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = _new_key()
        self._name = _name("CA")
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = _builder(self._name, self._name, self._key, timedelta(days=2))
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._certificate = builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(_pem(self._certificate))

    def certificates(self, hashed: str) -> Path:
        """The folder for grid tools; ``hashed`` is what openssl makes of the authority's name."""
        folder = self.folder / "certificates"
        folder.mkdir(exist_ok=True)
        (folder / f"{hashed}.0").write_bytes(self.ca.read_bytes())
        (folder / f"{hashed}.signing_policy").write_text(SIGNING_POLICY.format(ORGANISATION))
        return folder

    def host(self, *addresses: str) -> tuple[Path, Path]:
        """The certificate and the key of a host of these addresses."""
        key = _new_key()
        names: list[x509.GeneralName] = [x509.DNSName("localhost")]
        names += [x509.IPAddress(ip_address(address)) for address in addresses]
        builder = self._signed("host", key).add_extension(x509.SubjectAlternativeName(names), critical=False)
        paths = self.folder / "hostcert.pem", self.folder / "hostkey.pem"
        paths[0].write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        _write_secret(paths[1], _key_pem(key))
        return paths

    def proxy(
        self,
        user: str,
        group: str | None = None,
        *,
        lasts: timedelta = timedelta(hours=12),
        begins: timedelta = timedelta(),
    ) -> Path:
        """A proxy of a user, for a DIRAC group; it can be given a time in the past, or one that is to come."""
        key = _new_key()
        certificate = self._signed(user, key).sign(self._key, hashes.SHA256())
        own = _new_key()
        number = secrets.randbelow(2**31 - 1) + 1
        subject = [*certificate.subject, x509.NameAttribute(x509.NameOID.COMMON_NAME, str(number))]
        usage = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
        builder = _builder(x509.Name(subject), certificate.subject, own, lasts, begins).serial_number(number)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.UnrecognizedExtension(PROXY_CERT_INFO, INHERITS_ALL), critical=True)
        if group is not None:
            text = bytes([0x16, len(group)]) + group.encode()
            builder = builder.add_extension(x509.UnrecognizedExtension(DIRAC_GROUP, text), critical=False)
        path = self.folder / f"x509up_{user}_{group}_{number}"
        _write_secret(path, _pem(builder.sign(key, hashes.SHA256())) + _key_pem(own) + _pem(certificate))
        return path

    def _signed(self, common_name: str, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
        usage = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
        uses = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = _builder(_name(common_name), self._name, key, timedelta(days=1))
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        return builder.add_extension(usage, critical=True).add_extension(uses, critical=False)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    lasts: timedelta,
    begins: timedelta = timedelta(),
) -> x509.CertificateBuilder:
    now = datetime.now(UTC) + begins
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    begin = min(now, now + lasts) - timedelta(minutes=5)
    return builder.not_valid_before(begin).not_valid_after(now + lasts)


def _name(common_name: str) -> x509.Name:
    organisation = x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, ORGANISATION)
    return x509.Name([organisation, x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write_secret(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
