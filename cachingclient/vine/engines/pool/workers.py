"""The workers of a pool's sites: processes here that are replaced when they end, or a factory that sees to a site."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

logger = logging.getLogger("cachingclient.vine")

LOOK_EVERY = 0.3
"""Seconds between two looks at whether all workers are there."""
MOST_EARLY_ENDS = 5
"""A site whose workers end this often within seconds of their start is given up."""
EARLY = 5.0
FACTORY_ENDS = 30.0
"""Seconds for a factory to have its batch system take the workers away."""


class Workers(ABC):
    """The workers of one site.

    Attributes
    ----------
    counted
        Whether we know how many there are.
    """

    counted: ClassVar[bool]

    @abstractmethod
    def count(self, connected: int) -> int:
        """Return how many there are, given how many are connected that are not counted."""

    @abstractmethod
    def resize(self, workers: int) -> None:
        """Have as many; returns at once."""

    @abstractmethod
    def stop(self) -> None:
        """End them all, and wait for it."""

    @abstractmethod
    def trouble(self) -> str | None:
        """Return why there are none, if nothing can be expected any more."""


class LocalWorkers(Workers):
    """Processes on this machine. One that ends is replaced.

    Parameters
    ----------
    command
        The command that starts a worker.
    folder
        Where they run, and their output goes.
    environment
        Environment variables, beside our own.
    """

    counted: ClassVar[bool] = True

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        # Ended with us, however we end: the signal comes when the thread is gone that started it.
        setpriv = shutil.which("setpriv")
        self.command = [*([setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []), *command]
        self._name = command[0]
        self.folder = folder
        self.environment = with_our_python(environment)
        self.processes: list[subprocess.Popen[bytes]] = []
        self._wanted = 0
        self._early_ends = 0
        self._refusal = ""
        self._started: dict[int, float] = {}
        self._changed = threading.Event()
        self._lock = threading.Lock()
        self._stopped = False
        folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._watch, name="cachingclient-workers", daemon=True)
        self._thread.start()

    def resize(self, workers: int) -> None:
        """Have as many."""
        self._wanted = workers
        self._changed.set()

    def stop(self) -> None:
        """End them all."""
        self._stopped = True
        self._changed.set()
        self._thread.join()
        _end(self.processes)
        self.processes = []

    def count(self, connected: int) -> int:
        """Return how many run."""
        return sum(each.poll() is None for each in list(self.processes))

    def trouble(self) -> str | None:
        """Tell of a site whose workers do not stay."""
        if self._early_ends < MOST_EARLY_ENDS:
            return None
        return f"{self._name} does not stay; it says: {self._last_words()!r}"

    def _watch(self) -> None:
        while not self._stopped:
            with self._lock:
                self._look()
            self._changed.wait(LOOK_EVERY)
            self._changed.clear()

    def _look(self) -> None:
        """Bury the dead, and have as many as are wanted."""
        for process in [each for each in self.processes if each.poll() is not None]:
            self.processes.remove(process)
            _kill_session(process)  # its tasks may have outlived it
            early = time.monotonic() - self._started.pop(process.pid) < EARLY and process.returncode > 0
            self._early_ends = self._early_ends + 1 if early else 0
            if self._early_ends == MOST_EARLY_ENDS:
                logger.warning("no more workers are started: %s", self.trouble())
        surplus = self.processes[self._wanted :]
        del self.processes[self._wanted :]
        _end(surplus)
        while len(self.processes) < self._wanted and self._early_ends < MOST_EARLY_ENDS:
            try:
                process = self._start()
            except OSError as error:
                self._refusal, self._early_ends = str(error), MOST_EARLY_ENDS
                return
            self._started[process.pid] = time.monotonic()
            self.processes.append(process)

    def _start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "workers.log").open("ab") as log:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _last_words(self) -> str:
        if self._refusal:
            return self._refusal
        with contextlib.suppress(OSError):
            return (self.folder / "workers.log").read_text(errors="replace").strip()[-300:]
        return ""


class Factory(Workers):
    """Factories of the library's own, which have a batch system start a site's workers: one for each worker.

    A factory of several workers asks the manager how many are connected, and submits too few when it is not told: the
    manager has a password, which a factory can't show. One worker, which is there or is not, it gets right.

    Parameters
    ----------
    command
        The factory's command, without its scratch folder.
    folder
        For its output.
    environment
        Environment variables, beside our own.
    """

    counted: ClassVar[bool] = False

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.command = [*command, "--min-workers=1", "--max-workers=1"]
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ending: list[threading.Thread] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._environment = with_our_python(environment)

    def resize(self, workers: int) -> None:
        """Start factories, or end some, which take their workers away."""
        with self._lock:
            surplus = self._processes[workers:]
            del self._processes[workers:]
            while len(self._processes) < workers:
                self._processes.append(self._start())
            if surplus:
                self._ending = [each for each in self._ending if each.is_alive()]
                self._ending.append(threading.Thread(target=_end, args=(surplus, FACTORY_ENDS), daemon=True))
                self._ending[-1].start()

    def _start(self) -> subprocess.Popen[bytes]:
        scratch = self.folder / f"scratch-{next(self._numbers)}"
        with (self.folder / "factory.log").open("ab") as log:
            return subprocess.Popen(
                [self.command[0], "-S", str(scratch), *self.command[1:]],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Have the factories take their workers away."""
        self.resize(0)
        for thread in self._ending:
            thread.join()

    def count(self, connected: int) -> int:
        """Return how many there may be: the library does not say which site a worker is of."""
        return min(len(self._processes), connected)

    def trouble(self) -> str | None:
        """Tell of factories that have all ended."""
        codes = [process.poll() for process in list(self._processes)]
        if not codes or None in codes:
            return None
        words = (self.folder / "factory.log").read_text(errors="replace").strip()[-300:]
        return f"{self.command[0]} ended with {codes[0]}; it says: {words!r}"


def with_our_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables with which a worker's ``python`` is the one that runs here, and finds the same."""
    programs = f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', os.defpath)}"
    modules = ":".join(path for path in sys.path if path)
    return {**os.environ, "PATH": programs, "PYTHONPATH": modules, **environment}


def _end(processes: Sequence[subprocess.Popen[bytes]], patience: float = 5.0) -> None:
    """End processes and all in their groups."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    deadline = time.monotonic() + patience
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(deadline - time.monotonic(), 0.0))
        _kill_session(process)
        process.wait()


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker and its tasks: these have process groups of their own, and may outlive it."""
    for number in _all_processes():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(number) == process.pid:
                os.kill(number, signal.SIGKILL)


def _all_processes() -> Iterable[int]:
    """Return the numbers of all processes: as Linux lists them, or as POSIX's own program does."""
    with contextlib.suppress(FileNotFoundError):
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return map(int, subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, check=True).stdout.split())
