"""Keeps a process ready beside a worker, and gives each task a copy: a new Python for each would take half a second.

``python -m cachingclient.vine.engines.pool.fork_server COMMAND...`` runs a worker. Its tasks are the shell's
`COMMAND`: where a process is kept ready they write their folder into a pipe and wait, else they start a Python of
their own.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

from cachingclient.vine.engines.pool import runner

DOOR = "CACHINGCLIENT_DOOR"
"""The environment variable with the pipe's path."""
COMMAND = (
    f'if [ -n "${DOOR}" ]; then mkfifo done && echo "$PWD" >"${DOOR}" && read code <done; exit "${{code:-1}}"; '
    "else exec python3 -m cachingclient.vine.engines.pool.runner; fi"
)
LOOK_EVERY = 500
"""Milliseconds between two looks at which processes have ended."""
MET_WITHIN = 10.0
"""Seconds for a task's shell to wait at its end of the pipe."""


def serve(command: Sequence[str]) -> int:
    """Run a worker until it ends; return its exit code."""
    gc.collect()
    gc.freeze()  # objects that exist now are shared by all copies, as long as none is changed
    with tempfile.TemporaryDirectory(prefix="cachingclient-serving-") as folder:
        place = os.path.join(folder, "door")
        os.mkfifo(place, 0o600)
        door = os.open(place, os.O_RDWR | os.O_NONBLOCK)  # for writing too, or it would close with each task
        worker = subprocess.Popen(command, env={**os.environ, DOOR: place})
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, frame: worker.send_signal(received))
        tasks: set[int] = set()
        visitors = select.poll()
        visitors.register(door, select.POLLIN)
        heard = b""
        while worker.poll() is None:
            if visitors.poll(LOOK_EVERY):
                *whole, heard = (heard + os.read(door, select.PIPE_BUF)).split(b"\n")
                tasks.update(_start(task_folder, door) for task_folder in whole)
            tasks -= {task for task in tasks if os.waitpid(task, os.WNOHANG)[0]}
        for task in tasks:
            os.kill(task, signal.SIGKILL)
        return worker.returncode


def _start(folder: bytes, door: int) -> int:
    """Run a task in a copy of this process; return the copy's number."""
    task = os.fork()
    if task:
        return task
    try:
        os.close(door)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(folder)
        shell = _meet_shell()
        threading.Thread(target=_leave_with, args=(shell,), daemon=True).start()
        runner.run_files()
        os.write(shell, b"0\n")
    finally:
        os._exit(0)  # the record that the task leaves says how it went


def _meet_shell() -> int:
    """Return our end of the pipe at whose other end the task's shell waits."""
    deadline = time.monotonic() + MET_WITHIN
    while True:
        try:
            return os.open("done", os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > deadline:
                raise
        time.sleep(0.001)


def _leave_with(shell: int) -> None:
    """End this process when the worker ends the shell: the task was taken back."""
    end = select.poll()
    end.register(shell, 0)  # hears of the other end's closing alone
    with contextlib.suppress(OSError):
        end.poll()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
