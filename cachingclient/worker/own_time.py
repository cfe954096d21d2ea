"""What a run of a step counts for in the account of what keeping may cost.

Keeping is charged by the processor's time. On a busy machine a step is also there for as long as others have the
processor, which is no work of its own: with it the account would grow by how busy the machine is. What it waits for
files or a server counts. And what steps called inside counted for is not counted again by the step around them.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

_SCHEDULE = "/proc/thread-self/schedstat"
"""Of this thread, in nanoseconds: the time on a processor, the time that it was ready and none was free."""
_thread = threading.local()


class _Schedule:
    """What the system tells of one thread, open for as long as the thread lives: reading it again is one call."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.handle = os.open(_SCHEDULE, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        with suppress(AttributeError, OSError):
            if self.process == os.getpid():  # a forked child may have closed it, and the number be that of another file
                os.close(self.handle)

    def queued(self) -> float:
        """Return the seconds that the thread was ready and no processor was free."""
        return int(os.pread(self.handle, 100, 0).split()[1]) / 1e9


def queued_seconds() -> float:
    """Return for how long this thread was ready so far and others had the processor; 0 where no system tells."""
    try:
        schedule: _Schedule | None = getattr(_thread, "schedule", None)
        if schedule is None or schedule.process != os.getpid():  # a forked child's thread is another
            schedule = _thread.schedule = _Schedule()
        return schedule.queued()
    except (OSError, ValueError, IndexError):
        return 0.0


class OwnTime:
    """A run of a step, from now on.

    Examples
    --------
    >>> around = OwnTime()
    >>> spent, own = OwnTime().ends(2.0)
    >>> spent == own > 1.9
    True
    >>> spent, own = around.ends(5.0)
    >>> 2.9 < own <= 3.1 < 4.9 < spent
    True
    """

    __slots__ = ("_counted", "_queued")

    def __init__(self) -> None:
        self._counted = _counted()
        self._queued = queued_seconds()

    def ends(self, seconds: float) -> tuple[float, float]:
        """Return what a run of these seconds took without the queue, and how much of it nothing inside counted for."""
        spent = max(0.0, seconds - (queued_seconds() - self._queued))
        own = max(0.0, spent - (_counted() - self._counted))
        _thread.counted = _counted() + own
        return spent, own


def _counted() -> float:
    """Return the seconds that runs in this thread counted for so far."""
    counted: float = getattr(_thread, "counted", 0.0)
    return counted
