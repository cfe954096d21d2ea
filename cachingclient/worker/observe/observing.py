"""A step under observation."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextvars import Token
from types import TracebackType

from cachingclient.forks.children import free_in_children
from cachingclient.worker.observe import (
    audit,
    cluster_state,
    current,
    doors,
    entropy,
    generators,
    hdf5,
    imports_by_name,
    installed,
    looks,
    sqlite,
    variables,
)
from cachingclient.worker.observe.record import Observed

_lock = free_in_children(threading.Lock())
_installed = False


class observing:
    """Record what the code inside reads, writes and draws.

    What is observed while another observation is open in the same thread counts for both.

    Parameters
    ----------
    unobserved
        Globs of absolute paths that do not count, such as ``"*/logs/*.log"``.

    Notes
    -----
    Not seen: clocks; what libraries in C read of the environment; what they open apart from the table in `doors`; what
    other processes do; what a thread does after the step has ended.

    Examples
    --------
    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "jec.json")
    ...     written = open(path, "w").close()
    ...     with observing() as seen:
    ...         text = open(path).read()
    >>> [os.path.basename(name) for name in seen.reads]
    ['jec.json']
    """

    __slots__ = ("_seen", "_token")

    def __init__(self, unobserved: Iterable[str] = ()) -> None:
        if isinstance(unobserved, str):
            raise TypeError(f"unobserved takes globs of paths, such as ['*/logs/*.log'], not the string {unobserved!r}")
        self._seen = Observed(unobserved=tuple(unobserved))
        self._token: Token[current.Observers | None] | None = None

    def __enter__(self) -> Observed:
        if not _installed:
            install()
        generators.look_before(self._seen)
        self._token = current.mine.set((*(current.mine.get() or ()), self._seen))
        current.open_observation(self._seen)
        return self._seen

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        seen = self._seen
        current.close_observation(seen)
        current.mine.reset(self._token)
        token = current.mine.set(None)
        try:
            generators.look_after(seen)
            seen.close()
        except Exception as error:  # of the recorder: the user's result is right all the same
            seen.give_reason(f"the observation could not be ended: {type(error).__name__}: {error}")
        finally:
            current.mine.reset(token)


def install() -> None:
    """Make this process ready to be observed: once, at the first step, or when the worker starts.

    The earlier the better: a function that the user's modules imported by name before is not seen.
    """
    global _installed
    with _lock:
        if not _installed:
            parts = (audit, looks, variables, entropy, generators, sqlite, doors, hdf5, cluster_state)
            for part in (*parts, imports_by_name, installed):
                part.install()
            current.follow_threads()
            _installed = True
