"""A DIRAC 9 server with MariaDB and X.509: jobs, sandboxes, files and sites, with a Matcher and optimizers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services.certificates import ORGANISATION, Authority
from tests.services.diracx import OnHost
from tests.services.installing import server_python
from tests.services.service import Service, free_port, needs

HERE = Path(__file__).parent
VO = "tests"
SITES = ["LCG.Here.uk", "LCG.There.uk"]
BANNED = "LCG.Banned.uk"
STORAGE = "Here-disk"
SYSTEMS = {
    "WorkloadManagement": ["JobManager", "JobMonitoring", "JobStateUpdate", "SandboxStore"],
    "DataManagement": ["FileCatalog"],
    "ResourceStatus": ["ResourceStatus"],
    "Framework": ["ProxyManager"],
}
DATABASES = {
    "WorkloadManagement": ["JobDB", "JobLoggingDB", "TaskQueueDB", "PilotAgentsDB", "SandboxMetadataDB"],
    "Framework": ["ProxyDB"],
    "DataManagement": ["FileCatalogDB"],
    "StorageManagement": ["StorageManagementDB"],
    "ResourceStatus": ["ResourceStatusDB", "ResourceManagementDB"],
}
OWN_STATEMENTS = ("use ", "create database", "drop database", "source ")
ADD_SITES = """
import sys
import DIRAC
DIRAC.initialize(require_auth=False)
from DIRAC.ResourceStatusSystem.Client.ResourceStatusClient import ResourceStatusClient
for site, status in (word.split("=") for word in sys.argv[1:]):
    element = {"name": site, "statusType": "all", "status": status, "elementType": "Site", "reason": "tests"}
    done = ResourceStatusClient().addOrModifyStatusElement("Site", "Status", **element, vO="all", tokenOwner="rs_svc")
    assert done["OK"], done
"""


class Dirac9(Service):
    """The server at ``url`` for the organisation ``tests``; ``ca`` is the folder of authorities to trust it by.

    Parameters
    ----------
    folder
        Where all of it lives.
    host
        The address that it is bound to.
    command
        Makes a command run where that address is, as ``sites["head"].command`` does.
    """

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", command: OnHost | None = None) -> None:
        super().__init__(folder)
        self.host = host
        self.on_host = command or (lambda words: [str(word) for word in words])
        self.port, self._matcher, self._mind, self._database, self._documents = (free_port() for _ in range(5))
        self.url = f"https://{host}:{self.port}"

    def start(self) -> None:
        needs("mariadbd", "mariadb-install-db", package="mariadb-server")
        needs("swig", "pkg-config", "gcc", package="libmariadb-dev swig pkg-config libssl-dev gcc")
        self.python = server_python("dirac-9.1.22", HERE / "dirac-9.1.22.txt", prepare=_add_shim)
        self.authority = Authority(self.folder)
        hashed = self.call(["openssl", "x509", "-in", self.authority.ca, "-noout", "-hash"]).strip()
        self.ca = self.authority.certificates(hashed)
        self.authority.host(self.host)
        self._make_databases()
        self._configure()
        self.run(self.on_host([sys.executable, HERE / "documents.py", self.host, str(self._documents)]))
        self.serve()
        # Both make tables that the other needs, if there are none: not at once.
        self._start("mind", "Listening at", "dirac-service", "WorkloadManagement/OptimizationMind")
        self._start("matcher", "Listening at", "dirac-service", "WorkloadManagement/Matcher")
        admin = {"X509_USER_PROXY": str(self.authority.proxy("alice", "tests_admin"))}
        states = [*(f"{site}=Active" for site in SITES), f"{BANNED}=Banned"]
        self.call(self.on_host([self.python, "-c", ADD_SITES, *states]), self.environment("user") | admin)
        self._start("optimizers", "JobScheduling", "dirac-executor", "WorkloadManagement/Optimizers")

    def serve(self) -> None:
        """Start the services that speak HTTPS, which can be ended and started again."""
        self.server = self._start("services", "Listening on port", "tornado-start-all", "-ddd")

    def environment(self, kind: str) -> dict[str, str]:
        """What a server's program needs (``server``), or a client's (``user``)."""
        return {
            "DIRAC": str(self.folder),
            "DIRACSYSCONFIG": str(self.folder / f"{kind}.cfg"),
            "X509_CERT_DIR": str(self.ca),
            # One of these in the environment would win over what DIRAC trusts.
            **dict.fromkeys(["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"], str(self.authority.ca)),
            "OPENSSL_ALLOW_PROXY_CERTS": "1",
            "DIRAC_USE_TORNADO_IOLOOP": "Yes",
            "DIRAC_TEST_ADDRESS": self.host,
            "HOME": str(self.folder),
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
        }

    def agent(self, site: str, *, slots: int = 2, tags: Sequence[str] = ()) -> tuple[list[str | Path], dict[str, str]]:
        """The command of a site's agent and its environment, to be run where the site is."""
        proxies = {
            "X509_USER_PROXY": str(self.authority.proxy("alice", "tests_pilot")),
            "OWNERS_PROXY": str(self.authority.proxy("alice", "tests_user")),
        }
        words = [self.python, HERE / "dirac9_agent.py", self.url, site, str(slots), ",".join(tags)]
        return words, self.environment("user") | proxies | {"PAYLOAD_PATH": os.environ["PATH"]}

    def _start(self, name: str, ready: str, program: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a component and wait until it says that it is ready."""
        log = self.folder / f"{name}.log"
        log.unlink(missing_ok=True)
        command = " ".join([str(self.python.parent / program), *words, "-o", "LogLevel=VERBOSE", f"> {log} 2>&1"])
        started = self.run(self.on_host(["sh", "-c", f"exec {command}"]), **self.environment("server"))
        self.wait(lambda: log.exists() and ready in log.read_text(errors="replace"), f"{name} is not ready")
        return started

    def _make_databases(self) -> None:
        data = self.folder / "mariadb"
        data.mkdir()
        user = ["--user=mysql"] if os.getuid() == 0 else []
        if user:
            shutil.chown(data, "mysql")
        common = ["--no-defaults", *user, f"--datadir={data}"]
        fresh = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        self.call(["mariadb-install-db", *common, *fresh])
        quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M"]
        # DIRAC leaves columns without defaults out, which a strict MariaDB does not take.
        loose = ["--sql-mode=NO_ENGINE_SUBSTITUTION", f"--pid-file={data}/pid"]
        where = [f"--socket={data}/socket", f"--bind-address={self.host}", f"--port={self._database}"]
        self.run(self.on_host(["mariadbd", *common, *quick, *loose, *where]))
        client = ["mariadb", "--no-defaults", "-u", "root", "-S", str(data / "socket")]
        ready = [*client, "-e", "select 1"]
        self.wait(lambda: subprocess.run(ready, capture_output=True).returncode == 0, "MariaDB does not answer")
        packages = self.call([self.python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]).strip()
        statements = []
        for system, names in DATABASES.items():
            for name in names:
                statements.append(f"CREATE DATABASE {name}; USE {name};")
                statements.append(f"GRANT ALL ON {name}.* TO 'Dirac'@'%' IDENTIFIED BY 'Dirac';")
                schema = Path(packages) / "DIRAC" / f"{system}System" / "DB" / f"{name}.sql"
                lines = schema.read_text().splitlines() if schema.exists() else []
                statements += [line for line in lines if not line.strip().lower().startswith(OWN_STATEMENTS)]
        subprocess.run([*client], input="\n".join(statements), text=True, check=True)

    def _configure(self) -> None:
        (self.folder / "sandboxes").mkdir()
        for kind, own in (("server", "yes"), ("user", "no")):
            (self.folder / f"{kind}.cfg").write_text(_written(self._configuration(own)))

    def _configuration(self, own_certificate: str) -> Mapping[str, object]:
        name = f"/O={ORGANISATION}/CN="
        systems: dict[str, dict[str, dict[str, object]]] = {
            system: {"Databases": {}, "URLs": {}, "Services": {}} for system in DATABASES
        }
        for system, names in DATABASES.items():
            account = {"Host": self.host, "Port": self._database, "User": "Dirac", "Password": "Dirac"}
            systems[system]["Databases"] = {name: {"DBName": name, **account} for name in names}
        for system, names in SYSTEMS.items():
            for service in names:
                handler = f"DIRAC/{system}System/Service/Tornado{service}Handler.py"
                options = {"Protocol": "https", "Port": self.port, "HandlerPath": handler}
                allowed: dict[str, object] = {"Authorization": {"Default": "authenticated"}}
                systems[system]["Services"][service] = {**options, **allowed}
                systems[system]["URLs"][service] = f"{self.url}/{system}/{service}"
        jobs = systems["WorkloadManagement"]
        jobs["Services"]["SandboxStore"] |= {"BasePath": str(self.folder / "sandboxes")}  # type: ignore[operator]
        jobs["Databases"]["JobParametersDB"] = {"Host": self.host, "Port": self._documents, "SSL": "No"} | {
            "User": "Dirac",
            "Password": "Dirac",
        }
        for service, port in (("OptimizationMind", self._mind), ("Matcher", self._matcher)):
            allowed = {"Authorization": {"Default": "authenticated"}}
            jobs["Services"][service] = {"Port": port, "Protocol": "dips", "LoadJobPeriod": 2, **allowed}
            jobs["URLs"][service] = f"dips://{self.host}:{port}/WorkloadManagement/{service}"
        optimizers = {"Optimizers": {"Load": "JobPath, JobSanity, JobScheduling"}, "JobPath": {}, "JobSanity": {}}
        jobs["Executors"] = {**optimizers, "JobScheduling": {"CheckPlatform": "False"}}
        security = {
            "UseServerCertificate": own_certificate,
            "SkipCAChecks": "no",
            "CertFile": self.folder / "hostcert.pem",
            "KeyFile": self.folder / "hostkey.pem",
            "Grid-Security": self.folder,
        }
        users = {user: {"DN": name + user, "Email": "tests@localhost"} for user in ("alice", "bob")}
        groups = {
            "tests_user": ("alice, bob", "NormalUser"),
            "tests_pilot": ("alice", "GenericPilot, LimitedDelegation"),
            "tests_admin": ("alice", "NormalUser, JobAdministrator, Operator, ServiceAdministrator, FullDelegation"),
        }
        host = {
            "DN": f"{name}host",
            "Properties": "TrustedHost, JobAdministrator, FullDelegation, ProxyManagement, Operator",
        }
        element = {"Name": "Here", "CE": "ce.here", "CEs": {"ce.here": {"CEType": "SSH"}}}
        return {
            "DIRAC": {
                "VirtualOrganization": VO,
                "Hostname": self.host,
                "Security": security,
                "Configuration": {"Master": "no", "AutoMerge": "no", "EnableAutoMerge": "no"},
            },
            "LocalSite": {"Site": "LCG.Head.uk"},
            "Registry": {
                "DefaultGroup": "tests_user",
                "VO": {VO: {"VOAdmin": "alice"}},
                "Users": users,
                "Groups": {
                    group: {"Users": members, "Properties": properties, "VO": VO}
                    for group, (members, properties) in groups.items()
                },
                "Hosts": {"host": host},
            },
            "Operations": {"Defaults": {"Services": {"JobMonitoring": {"GlobalJobsInfo": "yes"}}}},
            "Resources": {
                "Sites": {"LCG": dict.fromkeys([*SITES, BANNED], element)},
                "StorageElements": {STORAGE: {"BackendType": "local"}},
                "FileCatalogs": {"FileCatalog": {"AccessType": "Read-Write", "Status": "Active", "Master": "True"}},
            },
            "Systems": {"Tornado": {"Port": self.port}, **systems},
        }


def _add_shim(python: Path) -> None:
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())
    shutil.copy(HERE / "dirac9_shim.py", packages)
    (packages / "dirac9_shim.pth").write_text("import dirac9_shim\n")


def _written(section: Mapping[str, object], depth: int = 0) -> str:
    """A section as DIRAC's configuration has it."""
    indent, lines = "  " * depth, []
    for name, value in section.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}", f"{indent}{{", _written(value, depth + 1), f"{indent}}}"]
        else:
            lines.append(f"{indent}{name} = {value}")
    return "\n".join(lines)
