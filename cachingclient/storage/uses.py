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

from cachingclient.storage.base import StoreError
from cachingclient.storage.folder import Folder
from cachingclient.storage.layout import USES

EVERY = 300.0
MOST = 100_000
AT_ONCE = 100  # files of uses, of up to a megabyte each
_journals: weakref.WeakSet[UseJournal] = weakref.WeakSet()


class UseJournal:
    """Gathers the keys that are used through one folder.

    Examples
    --------
    >>> from cachingclient.storage.remote import RemoteFolder
    >>> journal = UseJournal(RemoteFolder("memory://uses-example"))
    >>> journal.record(["0f" * 16])
    >>> journal.write()
    >>> list(journal.read())
    ['0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f']
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._keys: set[str] = set()
        self._written = time.monotonic()
        self._lock = threading.Lock()
        _journals.add(self)
        # Nothing closes a store, and most processes do not live for minutes: they do it as they end. Those of a pool
        # leave without running what atexit knows; elsewhere multiprocessing is too late, as XRootD has left by then.
        atexit.register(_write_at_the_end, weakref.ref(self))
        multiprocessing.util.Finalize(self, _write_at_the_end, (weakref.ref(self),), exitpriority=5)

    def record(self, keys: Iterable[str]) -> None:
        """Note that entries were used now."""
        with self._lock:
            self._keys.update(keys)
            due = len(self._keys) >= MOST or time.monotonic() - self._written >= EVERY
        if due:
            self.write()

    def write(self) -> None:
        """File what was gathered; if that fails, only the record of these uses is lost."""
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
        when = {status.name: status.modified for status in self.folder.walk(USES)}
        names = list(when)
        for begin in range(0, len(names), AT_ONCE):
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
    for journal in list(_journals):
        journal.write()


def _write_at_the_end(reference: weakref.ref[UseJournal]) -> None:
    journal = reference()
    if journal is not None:
        journal.write()
