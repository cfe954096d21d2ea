"""What this process remembers from one step to the next, and from which files.

A loader behind `functools.cache` reads its file once, and later steps get what it remembers without opening anything.
So what was observed while a memory was filled counts for every step that reaches the memory. And a file that changed
since this process first saw it, and that a step is given but does not open, may be remembered by anything.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from cachingclient.forks.children import free_in_children
from cachingclient.hashing.inputs.fingerprint import Fingerprint, is_unchanged
from cachingclient.hashing.inputs.merge import are_of_one_state
from cachingclient.hashing.inputs.trace import Trace

MOST_FILES = 100_000
_MAGIC = re.compile(r"[*?\[]")


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
        self._made_from: WeakKeyDictionary[Any, list[Trace]] = WeakKeyDictionary()
        self._first_seen: dict[str, Fingerprint] = {}
        self._opened: set[str] = set()
        self._lock = free_in_children(threading.Lock())

    def fill(self, memories: Iterable[Any]) -> dict[Any, int]:
        """Return how often each memory was filled so far, to be asked before a step runs."""
        return {memory: memory.cache_info().misses for memory in memories}

    def filled(self, before: Mapping[Any, int], trace: Trace) -> None:
        """Note what a step depended on that filled some of these memories."""
        if not trace:
            return
        with self._lock:
            for memory, misses in before.items():
                if memory.cache_info().misses > misses:
                    known = self._made_from.setdefault(memory, [])
                    if trace not in known:
                        known.append(trace)

    def behind(self, memories: Iterable[Any]) -> Trace:
        """Return what these memories were made from.

        Raises
        ------
        ValueError
            If a file or variable changed between the times when they were filled.
        """
        with self._lock:
            return Trace().after(trace for memory in memories for trace in self._made_from.get(memory, ()))

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
