"""A second front of a Rucio server, which knows its clients by their certificates."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.services.rucio import Rucio
from tests.services.service import free_port, listens

# What Apache's mod_ssl would tell the application of the client's certificate.
APPLICATION = """
from rucio.web.rest.flaskapi.v1.main import application as rucio

SHORT = {"commonName": "CN", "organizationName": "O"}

def application(environ, start_response):
    certificate = environ["gunicorn.socket"].getpeercert()
    if certificate:
        names = [f"{SHORT[kind]}={name}" for part in certificate["subject"] for kind, name in part]
        environ["SSL_CLIENT_VERIFY"] = "SUCCESS"
        environ["SSL_CLIENT_S_DN"] = ",".join(reversed(names))
    return rucio(environ, start_response)
"""
KNOW_ALICE = """
from rucio.client import Client
Client().add_identity(account="alice", identity="CN=Alice,O=Grid", authtype="X509", email="a@localhost", default=True)
"""


class Authority:
    """Signs certificates that last an hour, or ended an hour ago."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("cryptography", reason="pip install cryptography")
        self.folder = folder
        self._key, self._name = self._new_key(), self._subject("Test authority")
        self.file = self._write("authority", self._sign(self._name, self._key.public_key(), authority=True), None)

    def certify(self, name: str, *, expired: bool = False, host: bool = False) -> Path:
        """A file with a new certificate and its key."""
        key = self._new_key()
        certificate = self._sign(self._subject(name), key.public_key(), expired=expired, host=host)
        return self._write(name + ("-expired" if expired else ""), certificate, key)

    @staticmethod
    def _new_key() -> Any:
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.generate_private_key(65537, 2048)

    @staticmethod
    def _subject(name: str) -> Any:
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        parts = [(NameOID.ORGANIZATION_NAME, "Grid"), (NameOID.COMMON_NAME, name)]
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])

    def _sign(
        self, subject: Any, key: Any, *, authority: bool = False, expired: bool = False, host: bool = False
    ) -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        hour = datetime.timedelta(hours=1)
        end = datetime.datetime.now(datetime.UTC) + (-hour if expired else hour)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - 3 * hour)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: Any, key: Any) -> Path:
        from cryptography.hazmat.primitives import serialization as form

        pem = form.Encoding.PEM
        path = self.folder / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(pem))
        if key is not None:
            private = key.private_bytes(pem, form.PrivateFormat.TraditionalOpenSSL, form.NoEncryption())
            path.write_bytes(path.read_bytes() + private)
        path.chmod(0o600)
        return path


def start_front(server: Rucio) -> tuple[Authority, str]:
    """Start it; the authority whose certificates it takes, and the text of a client's configuration.

    ``{proxy}`` in the text is to be the client's file.
    """
    folder = server.folder / "x509"
    folder.mkdir()
    authority = Authority(folder)
    host = authority.certify("localhost", host=True)
    (folder / "x509_front.py").write_text(APPLICATION)
    server.call([server.python, "-W", "ignore", "-c", KNOW_ALICE], {"RUCIO_CONFIG": str(server.folder / "root.cfg")})
    port = free_port()
    command = [server.python, "-m", "gunicorn", "-b", f"localhost:{port}", "--threads", "4", "--no-control-socket"]
    tls = ["--certfile", host, "--keyfile", host, "--ca-certs", authority.file, "--cert-reqs", "1"]
    server.run(
        [*command, *tls, "x509_front:application"],
        RUCIO_CONFIG=str(server.folder / "server.cfg"),
        PYTHONPATH=str(folder),
    )
    server.wait(lambda: listens(port), "the front for certificates does not answer")
    text = server.client_cfg.read_text().replace(f"http://127.0.0.1:{server.port}", f"https://localhost:{port}")
    old = "auth_type = userpass\nusername = alice\npassword = secret\n"
    assert old in text
    new = f"auth_type = x509_proxy\nca_cert = {authority.file}\nclient_x509_proxy = {{proxy}}\n"
    return authority, text.replace(old, new).replace("token-alice", "token-x509")
