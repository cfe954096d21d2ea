"""A stand-in for a DIRAC server whose jobs are processes of this machine, and which fails when it is told to.

The real servers are in `tests/services`; what can't be had from them are losses at a given moment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cachingclient.dirac.api.errors import NotOffered, ServerUnavailable
from cachingclient.dirac.api.interface import DiracApi
from cachingclient.dirac.api.job import Job
from cachingclient.dirac.api.models import Identity, JobStatus, Transition


class JobsHere(DiracApi):
    """Runs jobs in folders of their own, each at the first of its sites."""

    url, vo = "https://127.0.0.1:8443", "test"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        self.down = False
        self.lose_answers = 0
        self.hold = False
        """Whether jobs that come now stay waiting."""
        self.groups: dict[int, str] = {}
        self.names: dict[int, str] = {}
        self.sites_of: dict[int, str] = {}
        self.states: dict[int, str] = {}
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def _request(self, what: str) -> None:
        self.requests.append(what)
        if self.down:
            raise ServerUnavailable("the server is down")

    def whoami(self) -> Identity:
        return Identity("alice", "user", self.vo)

    def submit(self, job: Job, each: Sequence[str] = ()) -> list[int]:
        with self._lock:
            self._request("submit")
            ids = [self._start(job, word) for word in each]
        if self.lose_answers:
            self.lose_answers -= 1
            raise ServerUnavailable("the answer was lost")
        return ids

    def _start(self, job: Job, word: str) -> int:
        id = len(self.states) + 1
        self.groups[id], self.names[id], self.states[id] = job.group, f"{job.name}-{word}", "Waiting"
        self.sites_of[id] = job.sites[0] if job.sites else "LCG.Here.uk"
        if not self.hold:
            folder = self.folder / str(id)
            folder.mkdir(parents=True)
            for name, content in job.sandbox.items():
                (folder / name).write_bytes(content)
                (folder / name).chmod(0o700)
            with (folder / "std.out").open("wb") as out, (folder / "std.err").open("wb") as err:
                self.processes[id] = subprocess.Popen(
                    ["./start.sh", word],
                    cwd=folder,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                    env={**os.environ, "DIRACSITE": self.sites_of[id]},
                )
            self.states[id] = "Running"
        return id

    def status(self, ids: Iterable[int]) -> dict[int, JobStatus]:
        self._request("status")
        return {id: self._status(id) for id in ids if id in self.states}

    def _status(self, id: int) -> JobStatus:
        process = self.processes.get(id)
        if self.states[id] == "Running" and process is not None and process.poll() is not None:
            self.states[id] = "Failed" if process.returncode else "Done"
        minor = f"exit {process.returncode}" if process is not None and self.states[id] == "Failed" else ""
        return JobStatus(id, self.states[id], minor, site=self.sites_of[id], name=self.names[id], group=self.groups[id])

    def jobs(self, *, group: str | None = None, states: Iterable[str] = (), limit: int = 100) -> list[JobStatus]:
        self._request("jobs")
        return [self._status(id) for id in self.states if group in (None, self.groups[id])]

    def kill(self, ids: Iterable[int]) -> dict[int, str]:
        self._request("kill")
        for id in ids:
            if not self._status(id).ended:
                self.states[id] = "Killed"
                if id in self.processes:
                    os.killpg(self.processes[id].pid, signal.SIGTERM)
        return {}

    def delete(self, ids: Iterable[int]) -> dict[int, str]:
        return self.kill(ids)

    def reschedule(self, ids: Iterable[int]) -> dict[int, str]:
        raise NotOffered("reschedule")

    def history(self, id: int) -> list[Transition]:
        return []

    def logs(self, id: int) -> dict[str, bytes]:
        return {name: (self.folder / str(id) / name).read_bytes() for name in ("std.out", "std.err")}

    def upload(self, files: Mapping[str, bytes]) -> str:
        raise NotOffered("upload")

    def download(self, sandbox: str) -> dict[str, bytes]:
        raise NotOffered("download")

    def sites(self) -> dict[str, str]:
        return {"LCG.Here.uk": "Active"}

    @property
    def catalogue(self) -> Any:
        raise NotOffered("catalogue")

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
