"""The manager's process: the library's manager in one thread, and the words of the engine that it obeys.

The bindings of Work Queue and TaskVine hold the interpreter's lock while they wait, for up to a second, so nothing
else can live in their process. It speaks to the engine through a socket that the two inherit: nobody else has it.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cachingclient.vine.engines.pool.runner import Status

LINGER = 0.01
"""Seconds to look for further words before the library waits for workers: a result brings new tasks about."""
BLIND = 0.05
"""Seconds out of each that an idle manager looks after its workers, and hears nothing else."""
MOST_ATTEMPTS = 4
"""How often a task is run whose process dies before it is given up."""


@dataclass(frozen=True, slots=True)
class Work:
    """One task.

    Attributes
    ----------
    key
        Its number, and what its value is called in the pool.
    payload
        The pickled task for the runner.
    inputs
        The keys of values in the pool that it takes, by the name of the file that it finds each in.
    cores, memory, disk, gpus
        Its resources; memory and disk in bytes, 0 if not known.
    site
        Where it has to run.
    category
        The name of its function; tasks of one name take about the same resources.
    mode
        How the library finds what it takes; None for the way of all tasks of its name.
    attempts
        How often its process died.
    """

    key: str
    payload: bytes
    inputs: Mapping[str, str]
    cores: float = 1
    memory: int = 0
    disk: int = 0
    gpus: float = 0
    site: str | None = None
    category: str = "default"
    mode: str | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a task: the record that it left, or why there is none."""

    key: str
    status: bytes | None
    why: str = ""


class Backend(ABC):
    """The library's manager, as little of it as is needed. Used from one thread.

    Attributes
    ----------
    port
        Where workers connect.
    """

    port: int

    @abstractmethod
    def submit(self, work: Work) -> None:
        """Have a task run."""

    @abstractmethod
    def wait(self) -> Done | None:
        """Look after workers until a task has ended, a second at most."""

    @abstractmethod
    def cancel(self, key: str) -> None:
        """Take a task back."""

    @abstractmethod
    def waiting(self) -> int:
        """Return how many tasks wait for a worker."""

    @abstractmethod
    def put(self, key: str, path: Path) -> None:
        """Take a file into the pool; it is the pool's to delete."""

    @abstractmethod
    def fetch(self, key: str) -> Path | None:
        """Return a file here with a value, or None if it can't be had."""

    @abstractmethod
    def release(self, key: str) -> None:
        """Forget a value."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the library's counts, the keys of running tasks, and the number of values."""

    @abstractmethod
    def close(self) -> None:
        """Send the workers home."""


class Manager:
    """Obeys the engine.

    Parameters
    ----------
    backend
        The library's manager.
    connection
        To the engine.
    """

    def __init__(self, backend: Backend, connection: Connection) -> None:
        self.backend = backend
        self.connection = connection
        self.work: dict[str, Work] = {}
        self._uses: Counter[str] = Counter()
        self._doomed: set[str] = set()
        self._stopped = False

    def serve(self) -> None:
        """Work until the engine says stop, or is gone."""
        try:
            while self._listen():
                done = self.backend.wait()
                if done is not None:
                    self._finish(done)
        except (EOFError, OSError):
            pass  # the engine's process is gone: there is nobody to work for
        finally:
            self.backend.close()

    def _listen(self) -> bool:
        """Carry out one request of the engine; return False for the request to end."""
        patience = self._patience()
        while self.connection.poll(patience):
            word, *arguments = self.connection.recv()
            getattr(self, f"_do_{word}")(*arguments)
            patience = 0.0
        return not self._stopped

    def _patience(self) -> float:
        """Return how long to listen before workers are looked after."""
        if not self.work:
            return max(1.0 - BLIND - time.time() % 1.0, 0.0)  # the library waits until a whole second
        return 0.0 if self.backend.waiting() else LINGER

    def _do_run(self, work: Work) -> None:
        self.work[work.key] = work
        self._uses.update(work.inputs.values())
        self._submit(work)

    def _submit(self, work: Work) -> None:
        try:
            self.backend.submit(work)
        except KeyError as error:
            self._forget(work.key)
            self.connection.send(("lost", work.key, str(error.args[0])))
        except Exception as error:
            self._forget(work.key)
            self.connection.send(("failed", work.key, f"{type(error).__name__}: {error}"))

    def _do_cancel(self, key: str) -> None:
        if key in self.work:
            self.backend.cancel(key)
            self._forget(key)
            self.backend.release(key)

    def _do_put(self, key: str, path: Path) -> None:
        self.backend.put(key, path)

    def _do_release(self, keys: list[str]) -> None:
        for key in keys:
            if self._uses[key]:
                self._doomed.add(key)
            else:
                self.backend.release(key)

    def _do_fetch(self, request: int, key: str) -> None:
        self._answer(request, self.backend.fetch, key)

    def _do_describe(self, request: int) -> None:
        self._answer(request, self.backend.describe)

    def _answer(self, request: int, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            self.connection.send(("answer", request, function(*arguments), None))
        except Exception as error:
            self.connection.send(("answer", request, None, f"{type(error).__name__}: {error}"))

    def _do_stop(self) -> None:
        self._stopped = True

    def _finish(self, done: Done) -> None:
        """Tell the engine of a task's end, or run it again if its process died."""
        work = self.work.get(done.key)
        if work is None:  # it was taken back
            return
        if done.status is None and work.attempts + 1 < MOST_ATTEMPTS:
            self.work[work.key] = work = replace(work, attempts=work.attempts + 1)
            self._submit(work)
            return
        self._forget(work.key)
        if done.status is None:
            self.connection.send(("failed", work.key, done.why))
            return
        status: Status = pickle.loads(done.status)
        if status.error is not None or status.inline is not None:
            self.backend.release(work.key)  # there is nothing in it
        self.connection.send(("done", work.key, status))

    def _forget(self, key: str) -> None:
        work = self.work.pop(key)
        for used in work.inputs.values():
            self._uses[used] -= 1
            if not self._uses[used]:
                del self._uses[used]
                if used in self._doomed:
                    self._doomed.remove(used)
                    self.backend.release(used)


def main() -> None:
    """Start the manager that the engine describes at our standard input."""
    where, options, descriptor = pickle.load(sys.stdin.buffer)
    connection = Connection(descriptor)
    module, _, name = where.partition(":")
    try:
        backend = getattr(importlib.import_module(module), name)(**options)
    except Exception as error:
        connection.send(("refused", f"{type(error).__name__}: {error}"))
        return
    connection.send(("ready", backend.port))
    Manager(backend, connection).serve()


if __name__ == "__main__":
    main()
