"""A real OpenSSH server on loopback, with keys of its own."""

from __future__ import annotations

from pathlib import Path

from tests.services.service import Service, free_port, listens, needs

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
SetEnv PYTHONPATH={root}
"""


class Sshd(Service):
    """A server that lets in whoever has its key; `options` are those of ``ssh``."""

    def start(self) -> None:
        needs("sshd", "ssh-keygen", package="openssh-server", root=True)
        for name in ("host", "user"):
            self.call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name])
        self.port = free_port()
        configuration = self.folder / "sshd_config"
        configuration.write_text(CONFIGURATION.format(port=self.port, folder=self.folder, root=ROOT))
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.run(["/usr/sbin/sshd", "-D", "-e", "-f", configuration])
        self.wait(lambda: listens(self.port), "sshd does not listen")

    @property
    def options(self) -> list[str]:
        """What the command ``ssh`` is told, beside the host."""
        settings = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes")
        words = ["-p", str(self.port), "-i", str(self.folder / "user")]
        return [*words, *(word for setting in settings for word in ("-o", setting))]
