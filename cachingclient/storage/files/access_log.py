"""When entries were last used, for folders where a file's time can't be set.

Uses are gathered in memory and written together, as one file of keys, every few minutes and at the end; the time of
that file is the time of the uses. So recording costs no request a read, and is late by minutes.
"""

from __future__ import annotations

import atexit
import multiprocessing.util
import os
import threading
import time
import weakref
from collections.abc import Iterable

from cachingclient.forks.children import free_in_children, reset_in_children
from cachingclient.storage.files.folder import Folder
from cachingclient.storage.files.layout import USES
from cachingclient.storage.model import StoreError

EVERY = 300.0
MOST = 100_000
AT_ONCE = 100  # files of uses, of up to a megabyte each
MOST_BYTES = 32 * MOST  # of a file of uses; others wrote what has more
MOST_READ = 2_000_000  # keys
_logs: weakref.WeakSet[AccessLog] = weakref.WeakSet()


class AccessLog:
    """Gathers the keys of the entries that are used through one folder.

    Examples
    --------
    >>> from cachingclient.storage.files.fsspec_folder import RemoteFolder
    >>> log = AccessLog(RemoteFolder("memory://uses-example"))
    >>> log.record(["0f" * 16])
    >>> log.write()
    >>> list(log.read())
    ['0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f']
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._keys: set[str] = set()
        self._written = time.monotonic()
        self._lock = free_in_children(threading.Lock())
        _logs.add(self)
        reset_in_children(self._keys_are_the_parent_s)
        # Nothing closes a store, and most processes end before minutes are over: keys are written at their end.
        # Processes of a pool end without running atexit's functions; in others multiprocessing's finalizers run too
        # late, when XRootD's client is already gone. So both are used.
        atexit.register(_write_at_the_end, weakref.ref(self))
        multiprocessing.util.Finalize(self, _write_at_the_end, (weakref.ref(self),), exitpriority=5)

    def _keys_are_the_parent_s(self) -> None:
        self._keys = set()

    def record(self, keys: Iterable[str]) -> None:
        """Note that entries were used now."""
        with self._lock:
            self._keys.update(keys)
            due = len(self._keys) >= MOST or time.monotonic() - self._written >= EVERY
        if due:
            self.write()

    def write(self) -> None:
        """Write the gathered keys to a file; if that fails, only the record of these uses is lost."""
        with self._lock:
            keys, self._keys = self._keys, set()
            self._written = time.monotonic()
        if not keys:
            return
        content = b"".join(bytes.fromhex(key) for key in sorted(keys))
        try:
            self.folder.put([f"{USES}/{os.urandom(8).hex()}"], [memoryview(content)])
        except StoreError:
            return

    def read(self) -> dict[str, float]:
        """The last recorded use of each key."""
        last: dict[str, float] = {}
        when = {s.name: s.modified for s in self.folder.walk(USES) if s.nbytes <= MOST_BYTES}
        names = sorted(when, key=when.__getitem__, reverse=True)
        for begin in range(0, len(names), AT_ONCE):
            if len(last) > MOST_READ:
                break  # who fills a store with uses
            for name, content in self.folder.fetch(names[begin : begin + AT_ONCE]).items():
                for start in range(0, len(content) - 15, 16):
                    key = content[start : start + 16].hex()
                    last[key] = max(when[name], last.get(key, 0.0))
        return last


def write_all() -> None:
    """File what this process has gathered, in every folder: a worker that leaves may be killed before its end.

    Examples
    --------
    >>> write_all()
    """
    for log in list(_logs):
        log.write()


def _write_at_the_end(reference: weakref.ref[AccessLog]) -> None:
    log = reference()
    if log is not None:
        log.write()
