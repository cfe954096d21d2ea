"""Processes that are killed while they write."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cachingclient.storage import Store
from tests.support.entries import entry

CALLS = ("open", "write", "close", "link", "replace", "unlink", "mkdir", "stat")


def value_of(key: str, big: bool) -> Any:
    """The one right result for a key, small or in a blob."""
    numbers = np.frombuffer(bytes.fromhex(key) * (6000 if big else 4), "u1")
    return numbers.copy()


def is_right(key: str, value: Any) -> bool:
    """Whether a result that was read is the one for its key."""
    return any(np.array_equal(value, value_of(key, big)) for big in (False, True))


def write_and_tell(store: Store, keys: list[str], channel: int) -> None:
    """Write results, and tell of each that the store says is kept."""
    for number, key in enumerate(keys):
        if store.write(entry(value_of(key, big=number % 2 == 1), key, os.urandom(16).hex())):
            os.write(channel, bytes.fromhex(key))


@contextmanager
def dying_at(call: int) -> Iterator[None]:
    """Kill this process with SIGKILL at its so-many-th call into the operating system."""
    left = call
    lock = threading.Lock()

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **keywords: Any) -> Any:
            nonlocal left
            with lock:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        return count

    originals = {name: getattr(os, name) for name in CALLS}
    for name, real in originals.items():
        setattr(os, name, counted(real))
    try:
        yield
    finally:
        for name, real in originals.items():
            setattr(os, name, real)


class Child:
    """A forked process that runs an action with a pipe to us; what it said can be read after it ended."""

    def __init__(self, action: Callable[[int], None]) -> None:
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self.reader)
                action(writer)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)

    def kill(self) -> None:
        """Kill it, if it still runs."""
        os.kill(self.pid, signal.SIGKILL)

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def keys(self) -> tuple[list[str], bool]:
        """Wait for its end: the keys that it told of, and whether it was killed."""
        said = b"".join(iter(lambda: os.read(self.reader, 65536), b""))
        os.close(self.reader)
        _, status = os.waitpid(self.pid, 0)
        keys = [said[start : start + 16].hex() for start in range(0, len(said) - 15, 16)]
        return keys, os.WIFSIGNALED(status)
