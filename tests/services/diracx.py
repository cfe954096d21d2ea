"""A DiracX server with TLS, on SQLite, with an OpenID provider and an S3 server for sandboxes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.services.certificates import Authority
from tests.services.installing import server_python
from tests.services.service import Service, free_port, needs

HERE = Path(__file__).parent
OnHost = Callable[[Sequence[str | Path]], list[str]]
VO = "tests"
CLIENT = "diracx"
USERS = {
    "alice": "75212b23-14c2-47be-9374-eb0113b0575e",
    "bob": "5d1a3c1e-0c11-4e6c-9b0b-8d0b7d2f2f11",
    "pilot": "11111111-14c2-47be-9374-eb0113b0575e",
}
GROUPS = {
    "tests_user": (["alice", "bob"], ["NormalUser"]),
    "tests_admin": (["alice"], ["JobAdministrator", "ServiceAdministrator", "NormalUser"]),
    "tests_pilot": (["pilot"], ["GenericPilot", "LimitedDelegation"]),
}
DATABASES = ["Auth", "Job", "JobLogging", "PilotAgents", "ResourceStatus", "SandboxMetadata", "TaskQueue", "Task"]
DATABASES += ["Transformation"]
LOG_IN = """
import json, sys, urllib.parse, urllib.request, ssl, time
url, ca, key, user, group, lasts = sys.argv[1:]
query = {"preferred_username": user, "scope": f"vo:tests group:{group}", "expires_minutes": lasts}
address = f"{url}/api/auth/legacy-exchange?{urllib.parse.urlencode(query)}"
request = urllib.request.Request(address, headers={"Authorization": f"Bearer {key}"})
reply = json.load(urllib.request.urlopen(request, context=ssl.create_default_context(cafile=ca)))
reply["expires_on"] = int(time.time()) + reply.pop("expires_in")
print(json.dumps({name: reply[name] for name in ("access_token", "refresh_token", "expires_on")}))
"""


class DiracX(Service):
    """The server at ``url``, trusted by ``ca``, for the organisation ``tests``.

    Parameters
    ----------
    folder
        Where all of it lives.
    host
        The address that it is bound to.
    command
        Makes a command run where that address is, as ``sites["head"].command`` does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        command: OnHost | None = None,
    ) -> None:
        super().__init__(folder)
        self.host = host
        self.on_host = command or (lambda words: [str(word) for word in words])
        self.port, self._s3, self._idp = free_port(), free_port(), free_port()
        self.url = f"https://{host}:{self.port}"
        self.environment: dict[str, str] = {}

    def start(self) -> None:
        needs("git", "curl", package="git curl")
        self.python = server_python("diracx-0.7.0", HERE / "diracx-0.7.0.txt")
        self.authority = Authority(self.folder)
        self.ca = self.authority.ca
        certificate, key = self.authority.host(self.host)
        self._configure()
        s3 = [sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(self._s3)]
        self.run(self.on_host(s3))
        provider = [self.python, HERE / "identity_provider.py", self.host, str(self._idp), CLIENT, USERS["alice"]]
        self.run(self.on_host(provider))
        self.serve(certificate, key)

    def serve(self, certificate: Path | None = None, key: Path | None = None) -> None:
        """Start the server itself, which can be ended and started again."""
        address = ["--host", self.host, "--port", str(self.port)]
        tls = ["--ssl-certfile", certificate or self.folder / "hostcert.pem"]
        tls += ["--ssl-keyfile", key or self.folder / "hostkey.pem"]
        application = ["--factory", "diracx.testing.routers:create_app", "--timeout-graceful-shutdown", "1"]
        command = [self.python, "-m", "uvicorn", *application, *address, *tls]
        self.server = self.run(self.on_host(command), **self.environment)
        self.wait(self._answers, "DiracX does not answer")

    def credentials(self, user: str = "alice", group: str = "tests_user", *, minutes: int = 600) -> Path:
        """A file with a user's tokens, renewable for so many minutes, as if the user had logged in before."""
        words = [self.python, "-c", LOG_IN, self.url, self.ca, self.legacy_key, user, group, str(minutes)]
        path = self.folder / f"tokens-{user}-{group}-{secrets.token_hex(4)}.json"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(self.call(self.on_host(words)))
        return path

    def agent(self, site: str, *, slots: int = 2, tags: Sequence[str] = (), **environment: str) -> list[str | Path]:
        """The command of a site's agent, to be run where the site is with ``environment`` of this server."""
        return [self.python, HERE / "diracx_agent.py", self.folder, self.url, site, str(slots), ",".join(tags)]

    def _configure(self) -> None:
        secret = secrets.token_bytes(32)
        self.legacy_key = "diracx:legacy:" + base64.urlsafe_b64encode(secret).decode()
        (self.folder / "legacy_key").write_text(self.legacy_key)
        keys, configuration, databases = (self.folder / name for name in ("keys.json", "configuration", "databases"))
        self.call([self.python, "-m", "diracx.logic", "rotate-jwk", "--jwks-path", keys])
        databases.mkdir()
        configuration.mkdir()
        (configuration / "default.yml").write_text(json.dumps(self._registry()))
        git = ["git", "-C", configuration, "-c", "user.name=tests", "-c", "user.email=tests@localhost"]
        for words in (["init", "-q", "-b", "master"], ["add", "."], ["commit", "-q", "-m", "Tests"]):
            self.call([*git, *words])
        s3 = {"endpoint_url": f"http://{self.host}:{self._s3}", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
        self.environment = {
            "DIRACX_CONFIG_BACKEND_URL": f"git+file://{configuration}",
            "DIRACX_SERVICE_AUTH_TOKEN_KEYSTORE": f"file://{keys}",
            "DIRACX_SERVICE_AUTH_STATE_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
            "DIRACX_SERVICE_AUTH_TOKEN_ISSUER": self.url,
            "DIRACX_SERVICE_AUTH_ALLOWED_REDIRECTS": json.dumps([f"{self.url}/docs/oauth2-redirect"]),
            "DIRACX_LEGACY_EXCHANGE_HASHED_API_KEY": hashlib.sha256(secret).hexdigest(),
            "DIRACX_SANDBOX_STORE_BUCKET_NAME": "sandboxes",
            "DIRACX_SANDBOX_STORE_AUTO_CREATE_BUCKET": "true",
            "DIRACX_SANDBOX_STORE_S3_CLIENT_KWARGS": json.dumps(s3),
            **{f"DIRACX_DB_URL_{name.upper()}DB": _database(databases / name) for name in DATABASES},
            "DIRACX_OS_DB_JOBPARAMETERSDB": json.dumps({"sqlalchemy_dsn": _database(databases / "JobParameters")}),
        }

    def _registry(self) -> Mapping[str, object]:
        groups = {
            name: {"Properties": properties, "Users": [USERS[user] for user in users]}
            for name, (users, properties) in GROUPS.items()
        }
        registry = {
            "DefaultGroup": "tests_user",
            "Groups": groups,
            "IdP": {"ClientID": CLIENT, "URL": f"http://{self.host}:{self._idp}"},
            "Users": {subject: {"PreferedUsername": name} for name, subject in USERS.items()},
        }
        return {"DIRAC": {}, "Operations": {VO: {}}, "Registry": {VO: registry}}

    def _answers(self) -> bool:
        addresses = [
            f"{self.url}/api/health/ready",
            f"http://{self.host}:{self._idp}/keys",
            f"http://{self.host}:{self._s3}/moto-api/",
        ]
        ask = [
            "curl",
            "-sf",
            "--fail-early",
            "--cacert",
            self.ca,
            *(word for each in addresses for word in ("-o", "/dev/null", each)),
        ]
        return subprocess.run(self.on_host(ask), check=False).returncode == 0


def _database(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}.db"
