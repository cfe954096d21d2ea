"""A small process that forks one for each attack, and has nothing else: ``python -m tests.trust.attacker``.

A fork of the process of the tests would have the memory of all tests before it, and locks that their threads hold.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import cloudpickle

from cachingclient.storage.limits import Limits, set_by

MOST_SECONDS = 30
MOST_BYTES = 1 << 30
"""What an attack may take, which is twice the limit that it is read with."""
_LENGTH = struct.Struct("<Q")


def send(stream: BinaryIO, data: bytes) -> None:
    """Send bytes with their length before them."""
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> bytes:
    """Receive what `send` sent; empty at the end."""
    head = stream.read(_LENGTH.size)
    return stream.read(_LENGTH.unpack(head)[0]) if head else b""


def main() -> None:
    """Run what comes on the standard input, each in a process of its own, and tell what came of it."""
    given, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while request := receive(given):
        with tempfile.TemporaryFile() as told:
            outcome = _attempt(request, told)
            told.seek(0)
            send(answers, outcome.encode() + (b"\n" + told.read() if outcome else b""))


def _attempt(request: bytes, told: BinaryIO) -> str:
    """Return what is wrong, empty if nothing is."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.dup2(told.fileno(), 2)
            _run(cloudpickle.loads(request))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    until = time.monotonic() + MOST_SECONDS
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"it was not done after {MOST_SECONDS} s"
        time.sleep(0.002)
    _, status = os.waitpid(pid, 0)
    return "" if status == 0 else f"it ended with {os.waitstatus_to_exitcode(status)}"


def _run(action: Callable[[], object]) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, used + MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    set_by(lambda: Limits(nbytes=MOST_BYTES // 2))
    action()


if __name__ == "__main__":
    main()
