"""Network namespaces of the kernel: made, entered by a thread, removed with everything that runs in them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000


def ip(*words: str) -> str:
    """Run iproute2's ``ip``; its output, or an error that shows what it said."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """This thread, and the threads and processes it starts meanwhile, are in a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(file: int) -> None:
        if libc.setns(file, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns", namespace)

    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        enter(there)
        try:
            yield
        finally:
            enter(home)
    finally:
        os.close(there)
        os.close(home)


def remove(namespace: str) -> None:
    """Remove a namespace and whatever still runs in it, this process apart."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + 5
        while (inside := _inside(namespace)) and time.monotonic() < deadline:
            for process in inside:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)
            time.sleep(0.05)
    ip("netns", "del", namespace)


def remove_abandoned(prefix: str) -> None:
    """Remove what runs that were killed left behind: their number is in the name."""
    for line in ip("netns", "list").splitlines():
        name = line.split()[0]
        owner = name.removeprefix(prefix).partition("-")[0]
        if name.startswith(prefix) and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            remove(name)


def _inside(namespace: str) -> list[int]:
    found = map(int, ip("netns", "pids", namespace).split())
    return [process for process in found if process != os.getpid()]
