"""Single flight: of several clients that are about to run the same step, one runs it.

A lease is a small file that its holder writes anew again and again, each time different. Whether a holder still
lives is judged by whether the file still changes, on the watcher's own clock, so clocks may differ. Leases are
advice: when in doubt a step is run twice, which costs time and nothing else.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from cachingclient.storage.base import Store
from cachingclient.storage.files.folder import Folder
from cachingclient.storage.files.layout import lease_name
from cachingclient.storage.model import EntryInfo, Lease, StoreError

BEATS = 3  # times a lease is renewed in its life

_seen: dict[tuple[str, str], tuple[bytes, float]] = {}  # (folder, key) -> content, since when it is the same


def claim(folder: Folder, key: str, seconds: float) -> Lease | None:
    """Take the lease of a key, unless a living holder has it."""
    name = lease_name(key)
    lease = FileLease(folder, name, seconds)
    try:
        if folder.put([name], [memoryview(lease.content())]):
            _seen.pop((folder.url, key), None)
            return lease.started()
        content = folder.fetch([name]).get(name, b"")
        last, since = _seen.get((folder.url, key), (b"", 0.0))
        if content != last:
            _seen[folder.url, key] = content, time.monotonic()
            return None
        if time.monotonic() - since < seconds:
            return None
        mine = lease.content()
        folder.put([name], [memoryview(mine)], overwrite=True)  # its holder is dead
        if folder.fetch([name]).get(name) != mine:
            return None
    except StoreError:
        return Lease()  # without a store that answers, everyone runs
    return lease.started()


class FileLease(Lease):
    """A lease that is renewed in the background until it is released."""

    def __init__(self, folder: Folder, name: str, seconds: float) -> None:
        self._folder, self._name, self._seconds = folder, name, seconds
        self._owner = os.urandom(8)
        self._beats = 0
        self._released = threading.Event()

    def content(self) -> bytes:
        """The next content of the file."""
        self._beats += 1
        return self._owner + self._beats.to_bytes(8, "little")

    def started(self) -> FileLease:
        """Begin to renew."""
        threading.Thread(target=self._renew, name="cachingclient-lease", daemon=True).start()
        return self

    def _renew(self) -> None:
        while not self._released.wait(self._seconds / BEATS):
            try:
                there = self._folder.fetch([self._name]).get(self._name, b"")
                if there[:8] != self._owner:
                    return  # someone thought us dead
                self._folder.put([self._name], [memoryview(self.content())], overwrite=True)
            except StoreError:
                continue

    def release(self) -> None:
        if not self._released.is_set():
            self._released.set()
            try:
                self._folder.remove([self._name])
            except StoreError:
                return


def run_or_wait(
    store: Store,
    key: str,
    *,
    patience: float,
    seconds: float = 30.0,
    poll: float = 1.0,
    pause: Callable[[float], object] = time.sleep,
) -> EntryInfo | Lease:
    """Wait for another client that is running this step, or get the lease to run it.

    Returns
    -------
    EntryInfo
        Another one has kept the result meanwhile.
    Lease
        Run the step, and release the lease when the result is kept or given up. After ``patience`` seconds this is
        a lease that claims nothing: running twice is better than waiting for ever.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> lease = run_or_wait(open_store("memory://leases"), "0f" * 16, patience=60)
    >>> lease.release()
    """
    until = time.monotonic() + patience
    while True:
        lease = store.lease(key, seconds)
        found = store.find([key]).get(key)
        if found is not None:
            if lease is not None:
                lease.release()
            return found
        if lease is not None:
            return lease
        if time.monotonic() >= until:
            return Lease()
        pause(min(poll, max(0.0, until - time.monotonic())))
