"""A Rucio server with PostgreSQL, an RSE on local disk and an ordinary account."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from tests.services.service import Service, free_port

RSE = "CACHE_SCRATCHDISK"  # ordinary accounts may add replicas only where the name ends so
SERVER = ["rucio==41.5.1", "gunicorn==27.0.1", "psycopg[binary]==3.3.9"]

SERVER_CFG = """
[common]
logdir = {folder}
loglevel = WARNING
mailtemplatedir = {prefix}/rucio/etc/mail_templates
[database]
default = {database}
pool_recycle = 3600
echo = 0
pool_reset_on_return = rollback
[bootstrap]
userpass_identity = admin
userpass_pwd = secret
userpass_email = nobody@localhost
[policy]
permission = generic
schema = generic
lfn2pfn_algorithm_default = hash
support = nobody
support_rucio = nobody
[metadata]
plugins = rucio.core.did_meta_plugins.json_meta.JSONDidMeta
[alembic]
cfg = {folder}/alembic.ini
[trace]
tracedir = {folder}
brokers = 127.0.0.1
port = 61013
username = u
password = p
topic = /topic/none
"""

ALEMBIC_INI = """
[alembic]
script_location = {packages}/rucio/db/sqla/migrate_repo
sqlalchemy.url = {database}
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = generic
[logger_root]
level = WARN
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = generic
[formatter_generic]
format = %(message)s
"""

CLIENT_CFG = """
[common]
logdir = {folder}
loglevel = WARNING
[client]
rucio_host = http://127.0.0.1:{port}
auth_host = http://127.0.0.1:{port}
auth_type = userpass
username = {user}
password = secret
account = {account}
request_retries = 3
auth_token_file_path = {folder}/token-{account}/auth_token
[policy]
permission = generic
schema = generic
lfn2pfn_algorithm_default = hash
support = nobody
support_rucio = nobody
"""

MAKE_DATABASE = """
from rucio.common.types import InternalAccount
from rucio.core.account import add_account_attribute
from rucio.db.sqla.constants import DatabaseOperationType
from rucio.db.sqla.session import db_session
from rucio.db.sqla.util import build_database, create_base_vo, create_root_account
build_database()
create_base_vo()
create_root_account()
with db_session(DatabaseOperationType.WRITE) as session:
    add_account_attribute(account=InternalAccount("root"), key="admin", value=True, session=session)
"""

POPULATE = """
import sys
from rucio.client import Client
rse, folder = sys.argv[1:]
allow = {"read": 1, "write": 1, "delete": 1}
client = Client()
client.add_rse(rse, deterministic=True, volatile=False)
protocol = {
    "scheme": "file", "hostname": "localhost", "port": 0, "prefix": folder,
    "impl": "rucio.rse.protocols.posix.Default",
    "domains": {"lan": allow, "wan": {**allow, "third_party_copy_read": 1, "third_party_copy_write": 1}},
}
client.add_protocol(rse, protocol)
client.add_rse_attribute(rse, "greedyDeletion", True)
client.add_rse_attribute(rse, "quality", "bulk")
for other, is_open in (("BUSY_SCRATCHDISK", False), ("FAST_SCRATCHDISK", True)):
    client.add_rse(other, deterministic=True, volatile=False)
    client.add_protocol(other, {**protocol, "prefix": f"{folder}-{other}"})
    client.add_rse_attribute(other, "greedyDeletion", True)
    client.add_rse_attribute(other, "quality", "fast")
    client.update_rse(other, {"availability_write": is_open})
client.add_account("alice", "USER", "alice@localhost")
client.add_identity(account="alice", identity="alice", authtype="USERPASS", email="a@localhost",
                    password="secret", default=True)
for each in (rse, "BUSY_SCRATCHDISK", "FAST_SCRATCHDISK"):
    client.set_local_account_limit("alice", each, -1)
client.add_scope("alice", "user.alice")
"""

END = """
import sys
from rucio.client import Client
scope, *names = sys.argv[1:]
for name in names:
    Client().set_metadata(scope, name, "lifetime", -1)
"""
DAEMONS = """
import sys
from rucio.daemons.judge.cleaner import run as clean_rules
from rucio.daemons.judge.evaluator import run as evaluate_rules
from rucio.daemons.reaper.reaper import run as remove_replicas
from rucio.daemons.undertaker.undertaker import run as remove_names
evaluate_rules(once=True, did_limit=1000)
remove_names(once=True)
clean_rules(once=True)
remove_replicas(once=True, greedy=True, rses=[sys.argv[1]], delay_seconds=0)
"""


class Rucio(Service):
    """The server; ``client_cfg`` is the configuration of the ordinary account ``alice``, whose scope is user.alice."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.client_cfg = folder / "alice.cfg"

    def url(self, name: str) -> str:
        """A store of alice's."""
        return f"rucio://user.alice/{name}?rse={RSE}&lifetime=1d"

    def start(self) -> None:
        self.python = _server_python()
        database = self._start_postgres()
        prefix = self.python.parent.parent
        packages = self.call([self.python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]).strip()
        server = self.folder / "server.cfg"
        server.write_text(SERVER_CFG.format(folder=self.folder, prefix=prefix, database=database))
        (self.folder / "alembic.ini").write_text(ALEMBIC_INI.format(packages=packages, database=database))
        for path, user, account in (
            (self.folder / "root.cfg", "admin", "root"),
            (self.client_cfg, "alice", "alice"),
        ):
            path.write_text(CLIENT_CFG.format(folder=self.folder, port=self.port, user=user, account=account))
            (self.folder / f"token-{account}").mkdir()
        self.call([self.python, "-W", "ignore", "-c", MAKE_DATABASE], {"RUCIO_CONFIG": str(server)})
        address = ["-b", f"127.0.0.1:{self.port}", "-w", "2", "--threads", "4", "--timeout", "120"]
        application = "rucio.web.rest.flaskapi.v1.main:application"
        gunicorn = [self.python, "-m", "gunicorn", *address, "--no-control-socket", application]
        self.run(gunicorn, RUCIO_CONFIG=str(server))
        self.wait(self.answers, "Rucio does not answer")
        rse = self.folder / "rse"
        rse.mkdir()
        root = {"RUCIO_CONFIG": str(self.folder / "root.cfg")}
        self.call([self.python, "-W", "ignore", "-c", POPULATE, RSE, rse], root)

    def answers(self) -> bool:
        """Whether the server answers a ping."""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=2).close()
        except OSError:
            return False
        return True

    @contextmanager
    def configured(self) -> Iterator[None]:
        """Have Rucio's clients here and in new processes use this server; after it, the one before."""
        with mock.patch.dict(os.environ, {"RUCIO_CONFIG": str(self.client_cfg)}):
            _forget_servers()
            yield
        _forget_servers()

    def token(self, user: str, password: str) -> str:
        """A token of the server's, as a login leaves one."""
        who = {"X-Rucio-Account": user, "X-Rucio-Username": user, "X-Rucio-Password": password}
        question = urllib.request.Request(f"http://127.0.0.1:{self.port}/auth/userpass", headers=who)
        with urllib.request.urlopen(question, timeout=20) as answer:
            return str(answer.headers["X-Rucio-Auth-Token"])

    def end(self, scope: str, *names: str) -> None:
        """Have the lifetimes of names end now."""
        self.call([self.python, "-W", "ignore", "-c", END, scope, *names], {"RUCIO_CONFIG": self._config("root")})

    def tidy(self) -> None:
        """Run Rucio's daemons once: those that evaluate rules and remove what ended its lifetime, its bytes too."""
        self.call([self.python, "-W", "ignore", "-c", DAEMONS, RSE], {"RUCIO_CONFIG": self._config("server")})

    def _config(self, name: str) -> str:
        return str(self.folder / f"{name}.cfg")

    def _start_postgres(self) -> str:
        """A database of our own on a socket; PostgreSQL does not run as root."""
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not programs:
            pytest.skip("PostgreSQL not found: apt-get install postgresql")
        data, sockets = self.folder / "postgres", Path(f"/tmp/cachingclient-pg-{os.getpid()}-{self.port}")
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        for path in (data, sockets):
            path.mkdir(mode=0o700, exist_ok=True)
            if as_postgres:
                subprocess.run(["chown", "postgres:", str(path)], check=True)
        options = ["-A", "trust", "-U", "rucio", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C"]
        self.call([*as_postgres, f"{programs[-1]}/initdb", "-D", data, *options])
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.run([*as_postgres, f"{programs[-1]}/postgres", "-D", data, *flags])
        ready = [f"{programs[-1]}/pg_isready", "-q", "-h", str(sockets), "-U", "rucio", "-d", "postgres"]
        self.wait(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL does not answer")
        self.call([f"{programs[-1]}/createdb", "-h", sockets, "-U", "rucio", "rucio"])
        return f"postgresql+psycopg://rucio@/rucio?host={sockets}"


def _server_python() -> Path:
    """A virtual environment with the server, made once and kept: installing takes a minute."""
    place = os.environ.get("CACHINGCLIENT_TEST_RUCIO") or "~/.cache/cachingclient-tests/rucio-41.5.1"
    folder = Path(place).expanduser()
    python = folder / "bin" / "python"
    if not (folder / "bin" / "gunicorn").exists():
        print(f"\ninstalling a Rucio server into {folder}")
        venv.create(folder, with_pip=True, clear=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", *SERVER], check=False, stdout=sys.stderr)
        if done.returncode:
            pytest.skip("a Rucio server can't be installed from the package index")
    return python


def _forget_servers() -> None:
    """Have Rucio's clients ask anew: they remember settings, and storage by its name alone."""
    from rucio.common.config import clean_cached_config
    from rucio.rse import rsemanager

    clean_cached_config()
    rsemanager.RSE_REGION.invalidate()
