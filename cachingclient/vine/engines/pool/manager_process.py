"""The manager's process as the engine sees it: it is started, told, asked, heard, and missed when it dies."""

from __future__ import annotations

import itertools
import pickle
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cachingclient.vine.engine import EngineLost
from cachingclient.vine.engines.pool.workers import with_our_python

STARTED_WITHIN = 60.0
STOPPED_WITHIN = 10.0
MOST_LAST_WORDS = 500


class ManagerProcess:
    """A manager's process.

    Parameters
    ----------
    name
        The engine's, for messages.
    folder
        Where it runs, and its output goes.
    hear
        Called with each word that it says, and what belongs to it.
    mourn
        Called with the reason when nothing can be asked any more.
    """

    def __init__(self, name: str, folder: Path, hear: Callable[..., None], mourn: Callable[[str], None]) -> None:
        self.name = name
        self.folder = folder
        self.port = 0
        self._hear = hear
        self._mourn = mourn
        self._words: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._answers: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._lost: str | None = None
        self._threads: list[threading.Thread] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def lost(self) -> EngineLost | None:
        """Why nothing can be asked any more; another error each time, since each is raised with its own traceback."""
        return None if self._lost is None else EngineLost(self._lost)

    def start(self, backend: str, options: Mapping[str, Any]) -> None:
        """Start the process with a class, as ``module:name``, and what that takes; wait until it has a port.

        Raises
        ------
        EngineLost
            If it does not start.
        """
        ours, theirs = socket.socketpair()
        with theirs, (self.folder / "manager.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cachingclient.vine.engines.pool.manager"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=with_our_python({}),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            assert self._process.stdin is not None
            with self._process.stdin as standard_input:
                pickle.dump((backend, dict(options), theirs.fileno()), standard_input)
        self._connection = Connection(ours.detach())
        word, told = self._greeting()
        if word != "ready":
            raise EngineLost(f"the manager of engine {self.name} does not start: {told}")
        self.port = int(told)
        for target in (self._send, self._receive):
            thread = threading.Thread(target=target, name=f"cachingclient-{self.name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _greeting(self) -> tuple[str, Any]:
        try:
            if self._connection.poll(STARTED_WITHIN):
                word, told = self._connection.recv()
                return word, told
        except EOFError:
            pass
        return "silent", self._last_words() or f"nothing is heard of it in {STARTED_WITHIN:.0f} s"

    def tell(self, *word: Any) -> None:
        """Say something; returns at once."""
        self._words.put(word)

    def ask(self, word: str, *arguments: Any) -> Future[Any]:
        """Ask something; the answer comes later, or `EngineLost`."""
        future: Future[Any] = Future()
        with self._lock:
            if (lost := self.lost) is not None:
                future.set_exception(lost)
                return future
            number = next(self._numbers)
            self._answers[number] = future
        self.tell(word, number, *arguments)
        return future

    def stop(self) -> None:
        """Have it go, and wait until it is gone."""
        self._lose("the cluster is closed")
        self.tell("stop")
        self._words.put(None)
        if self._process is not None:
            try:
                self._process.wait(STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for thread in self._threads:
            thread.join(STOPPED_WITHIN)

    def _send(self) -> None:
        # On a thread of its own: the manager may not listen for up to a second, and its socket be full.
        while (word := self._words.get()) is not None:
            try:
                self._connection.send(word)
            except OSError:
                return

    def _receive(self) -> None:
        try:
            while True:
                word, *arguments = self._connection.recv()
                if word == "answer":
                    self._answer(*arguments)
                else:
                    self._hear(word, *arguments)
        except (EOFError, OSError):
            self._bury()

    def _answer(self, number: int, answer: Any, trouble: str | None) -> None:
        with self._lock:
            future = self._answers.pop(number, None)
        if future is None:
            return
        if trouble is not None:
            future.set_exception(RuntimeError(f"the manager of engine {self.name} can't answer: {trouble}"))
        else:
            future.set_result(answer)

    def _bury(self) -> None:
        """Tell everybody that the process has ended."""
        assert self._process is not None
        code, words = self._process.wait(), self._last_words()
        self._lose(
            f"the manager of engine {self.name} is gone (its process ended with {code}), and all results in the pool "
            f"with it; make a new cluster" + (f". It said: {words}" if words else "")
        )

    def _lose(self, why: str) -> None:
        with self._lock:
            if self._lost is not None:
                return
            self._lost = why
            asked = list(self._answers.values())
            self._answers.clear()
        for future in asked:
            future.set_exception(EngineLost(why))
        self._mourn(why)

    def _last_words(self) -> str:
        log = self.folder / "manager.log"
        return log.read_text(errors="replace").strip()[-MOST_LAST_WORDS:] if log.exists() else ""
