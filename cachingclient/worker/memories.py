"""What this process remembers from one step to the next, and from which files.

A loader behind `functools.cache` reads its file once, and later steps get what it remembers without opening anything.
So what was observed while a memory was filled counts for every step that reaches the memory. A memory of the user's
that was filled while nobody observed, as by a script that calls the loader itself, may hold anything. And a file that
changed since this process first saw it, and that a step is given but does not open, may be remembered by anything.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from dask.utils import funcname

from cachingclient.forks.children import free_in_children
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.inputs.fingerprint import Fingerprint, is_unchanged
from cachingclient.hashing.inputs.merge import are_of_one_state
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.worker.observe import Observed

MOST_FILES = 100_000
_MAGIC = re.compile(r"[*?\[]")


class Run(Protocol):
    """One run of a step, as far as memories go."""

    @property
    def memories(self) -> Mapping[Any, int]:
        """How often each memory that its code reaches was filled before it."""

    @property
    def seen(self) -> Observed | None:
        """What was observed of it; None if nobody looked."""


class Memories:
    """What went into the memories of this process.

    Examples
    --------
    >>> import functools
    >>> @functools.cache
    ... def load():
    ...     return 7
    >>> memories = Memories()
    >>> before = memories.fill([load])
    >>> _ = load()
    >>> memories.filled(before, Trace(variables={"ERA": "0f"}))
    >>> memories.behind([load]).variables
    {'ERA': '0f'}
    """

    def __init__(self) -> None:
        self._accounted: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._in_use: list[Run] = []
        self._made_from: WeakKeyDictionary[Any, list[Trace | None]] = WeakKeyDictionary()
        self._first_seen: dict[str, Fingerprint] = {}
        self._opened: set[str] = set()
        self._lock = free_in_children(threading.Lock())

    def fill(self, memories: Iterable[Any]) -> dict[Any, int]:
        """Return how often each memory was filled so far, to be asked before a step runs."""
        return {memory: memory.cache_info().misses for memory in memories}

    @contextlib.contextmanager
    def in_use(self, run: Run) -> Iterator[None]:
        """Take note that a step runs which may fill the memories that it reaches."""
        with self._lock:
            self._in_use.append(run)
        try:
            yield
        finally:
            with self._lock:
                self._in_use = [each for each in self._in_use if each is not run]

    def filled(self, before: Mapping[Any, int], trace: Trace | None) -> None:
        """Note what a run depended on that may have filled some of these memories; None if nobody can tell."""
        with self._lock:
            for memory, misses in before.items():
                now = memory.cache_info().misses
                if now > misses:
                    self._add(memory, trace)
                if misses <= self._accounted.get(memory, 0):
                    self._accounted[memory] = now

    def filled_by_others(self, run: Run) -> dict[Any, list[Run]]:
        """Return the user's memories that were filled by no run that ended, each with the runs that may have done it.

        Parameters
        ----------
        run
            A run that reaches them, and began after they were filled.
        """
        with self._lock:
            return {
                memory: [
                    each for each in self._in_use if each is not run and each.memories.get(memory, misses) < misses
                ]
                for memory, misses in run.memories.items()
                if misses > self._accounted.get(memory, 0) and _is_users(memory)
            }

    def add(self, memory: Any, trace: Trace | None, misses: int) -> None:
        """Note what a memory was made from that had been filled so many times; None if nobody can tell."""
        with self._lock:
            self._add(memory, trace)
            self._accounted[memory] = max(misses, self._accounted.get(memory, 0))

    def unknown(self, memories: Iterable[Any]) -> str:
        """Return the name of one of the user's of which nobody can tell what it was made from; empty if none is."""
        with self._lock:
            found = (each for each in memories if None in self._made_from.get(each, ()) and _is_users(each))
            return next((funcname(each) for each in found), "")

    def _add(self, memory: Any, trace: Trace | None) -> None:
        known = self._made_from.setdefault(memory, [])
        if trace not in known and (trace is None or trace):
            known.append(trace)

    def behind(self, memories: Iterable[Any]) -> Trace:
        """Return what these memories were made from.

        Raises
        ------
        ValueError
            If a file or variable changed between the times when they were filled.
        """
        with self._lock:
            return Trace().after(trace for each in memories for trace in self._made_from.get(each, ()) if trace)

    def saw_opened(self, paths: Iterable[str]) -> None:
        """Note files that a step read."""
        with self._lock:
            if len(self._opened) > MOST_FILES:
                self._opened.clear()
            self._opened.update(paths)

    def were_opened(self, path: str) -> bool:
        """Tell whether an earlier step of this process read a file."""
        return path in self._opened

    def changed_since_first_seen(self, files: Mapping[str, Fingerprint | None], looked_at: Collection[str]) -> str:
        """Return a file that changed since this process first saw it and was not opened now; empty if there is none.

        Parameters
        ----------
        files
            Files and patterns of files that a step was given, or read.
        looked_at
            Files that it opened and folders that it listed.
        """
        with self._lock:
            if len(self._first_seen) > MOST_FILES:
                self._first_seen.clear()
            for path, found in files.items():
                if found is None or found.kind not in ("file", "pattern"):
                    continue
                first = self._first_seen.setdefault(path, found)
                if path in looked_at or are_of_one_state(first, found):
                    continue
                if found.kind != "pattern" or not self._was_matched_now(path, looked_at):
                    return path
        return ""

    def _was_matched_now(self, pattern: str, looked_at: Collection[str]) -> bool:
        """Whether a step looked for a pattern's files, and opened those that changed since they were first seen.

        A file that is gone is none that the step found now, and nothing asks a memory for it.
        """
        folder = os.path.dirname(_MAGIC.split(pattern, maxsplit=1)[0])
        below = folder.rstrip(os.sep) + os.sep
        if not any(path == folder or path.startswith(below) for path in looked_at):
            return False
        return all(
            not os.path.exists(path) or is_unchanged(first, MOST_FILES)
            for path, first in self._first_seen.items()
            if path not in looked_at and path.startswith(below) and first.kind == "file"
        )


def _is_users(memory: Any) -> bool:
    return is_user_code(str(getattr(memory.__wrapped__, "__module__", None) or ""))
