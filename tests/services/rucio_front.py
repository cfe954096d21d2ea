"""A second front of a Rucio server, with TLS: it knows users by certificates, and by tokens of an OpenID provider."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

from tests.services.certificates import ORGANISATION, Authority
from tests.services.openid import OpenIdProvider
from tests.services.rucio import Rucio
from tests.services.service import Service, free_port, listens

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
ALLOW_PROXIES = """
import ssl

def ssl_context(configuration, make):
    context = make()
    context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    return context
"""
KNOW_ALICE = """
import sys
from rucio.client import Client
for kind, identity in (("X509", sys.argv[1]), ("OIDC", sys.argv[2])):
    Client().add_identity(account="alice", identity=identity, authtype=kind, email="a@localhost", default=True)
"""


class RucioFront(Service):
    """The front of a server, for its account ``alice``."""

    def __init__(self, folder: Path, server: Rucio, provider: OpenIdProvider) -> None:
        super().__init__(folder)
        self.server, self.provider = server, provider

    def start(self) -> None:
        self.authority = Authority(self.folder)
        self.port = free_port()
        identities = [f"CN=alice,O={ORGANISATION}", f"SUB=alice, ISS={self.provider.issuer}"]
        make = [self.server.python, "-W", "ignore", "-c", KNOW_ALICE, *identities]
        self.server.call(make, {"RUCIO_CONFIG": str(self.server.folder / "root.cfg")})
        (self.folder / "front.py").write_text(APPLICATION)
        (self.folder / "tls.py").write_text(ALLOW_PROXIES)
        certificate, key = self.authority.host("127.0.0.1")
        command = [self.server.python, "-m", "gunicorn", "-b", f"localhost:{self.port}", "--threads", "4"]
        tls = ["--certfile", certificate, "--keyfile", key, "--ca-certs", self.authority.ca, "--cert-reqs", "1"]
        configuration = ["-c", self.folder / "tls.py", "--no-control-socket"]
        self.run(
            [*command, *tls, *configuration, "front:application"],
            RUCIO_CONFIG=str(self._configuration()),
            PYTHONPATH=str(self.folder),
        )
        self.wait(lambda: listens(self.port), "Rucio's front with TLS does not answer")

    def _configuration(self) -> Path:
        """That of the server, with the provider."""
        registration = {
            "issuer": self.provider.issuer,
            "client_id": "rucio",
            "client_secret": "secret",
            "redirect_uris": [f"https://localhost:{self.port}/auth/oidc_{end}" for end in ("code", "token")],
        }
        secrets = self.folder / "idpsecrets.json"
        secrets.write_text(json.dumps({"tests": {**registration, "SCIM": registration}}))
        path = self.folder / "server.cfg"
        text = (self.server.folder / "server.cfg").read_text()
        path.write_text(f"{text}[oidc]\nidpsecrets = {secrets}\nadmin_issuer = tests\nexpected_audience = rucio\n")
        return path

    def client(self, folder: Path, **settings: object) -> Path:
        """The configuration of a client with these settings, whose tokens go into the folder ``tokens``."""
        where = f"http://127.0.0.1:{self.server.port}"
        text = self.server.client_cfg.read_text().replace(where, f"https://localhost:{self.port}")
        ours = ("auth_type", "username", "password", "auth_token_file_path")
        lines = [line for line in text.splitlines() if not line.startswith(ours)]
        added = {"ca_cert": self.authority.ca, "auth_token_file_path": folder / "tokens" / "token", **settings}
        at = lines.index("[client]") + 1
        lines[at:at] = [f"{name} = {value}" for name, value in added.items()]
        path = folder / "rucio.cfg"
        path.write_text("\n".join(lines))
        return path

    def trusted(self) -> ssl.SSLContext:
        """What a browser needs to believe it."""
        return ssl.create_default_context(cafile=self.authority.ca)
