"""Slurm on one machine: a controller on the head, and a node at each site, which is a partition of its own."""

from __future__ import annotations

import getpass
import os
import secrets
import subprocess
from pathlib import Path

from tests.services.service import Service, needs
from tests.services.sites import Sites

CONF = """
ClusterName=tests
SlurmctldHost={name}({head})
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
CommunicationParameters=NoAddrCache
SchedulerParameters=sched_interval=1,bf_interval=1
KillWait=3
"""
NODE = """
NodeName={site} NodeHostName={name} NodeAddr={address} Port={port} CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName={site} Nodes={site} MaxTime=INFINITE State=UP
"""
PORT = 16817


class Slurm(Service):
    """Slurm whose nodes are the sites; its commands find it by ``environment``.

    Parameters
    ----------
    folder
        Where all of it lives.
    sites
        The head and the sites; they are named like the partitions.
    """

    def __init__(self, folder: Path, sites: Sites) -> None:
        super().__init__(folder)
        self.sites = sites
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def start(self) -> None:
        needs("munged", "slurmctld", "slurmd", "sbatch", package="slurm-wlm munge", root=True)
        for name in ("munge", "state", *(f"spool-{site}" for site in self._nodes)):
            (self.folder / name).mkdir()
        self._start_munge()
        self._configure()
        self.run(self.sites["head"].command(["slurmctld", "-D"]), **self.environment)
        for site in self._nodes:
            # Not by `ip netns exec`: it would hide the control groups that slurmd asks for.
            self.run(self.sites[site].command(["slurmd", "-D", "-N", site]), **self.environment)
        self.wait(self._idle, "not all nodes are idle")

    @property
    def ports(self) -> list[int]:
        """The ports by which the controller dials the nodes."""
        return [PORT + 1 + number for number in range(len(self._nodes))]

    @property
    def _nodes(self) -> list[str]:
        return [name for name in self.sites.hosts if name != "head"]

    def queue(self) -> list[str]:
        """The states of all jobs that are not forgotten yet."""
        shown = self._head(["squeue", "-h", "-t", "all", "-o", "%T"])
        return shown.stdout.split()

    def _start_munge(self) -> None:
        own = self.folder / "munge"
        own.chmod(0o711)
        key = own / "key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        files = {"key-file": key, "socket": own / "socket", "pid-file": own / "pid", "log-file": own / "log"}
        options = [f"--{name}={path}" for name, path in {**files, "seed-file": own / "seed"}.items()]
        self.run(["munged", "--foreground", "--force", *options])
        self.wait((own / "socket").exists, "munge does not listen")

    def _configure(self) -> None:
        common = {"folder": self.folder, "name": os.uname().nodename.partition(".")[0], "user": getpass.getuser()}
        text = CONF.format(**common, head=self.sites["head"].address, port=PORT)
        for site, port in zip(self._nodes, self.ports, strict=True):
            text += NODE.format(**common, site=site, address=self.sites[site].address, port=port)
        Path(self.environment["SLURM_CONF"]).write_text(text)

    def _idle(self) -> bool:
        shown = self._head(["sinfo", "-h", "-N", "-t", "idle", "-o", "%N"])
        return set(shown.stdout.split()) == set(self._nodes)

    def _head(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            self.sites["head"].command(command), capture_output=True, text=True, check=False, env=environment
        )
