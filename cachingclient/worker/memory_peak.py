"""The peak of the memory that a step takes, from Linux's counters of the process."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from cachingclient.plan.chunk_notes import OUT_OF_MEMORY

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # as proc(5) has it: the peak becomes what is resident now


def reset_peak() -> int | None:
    """Start over with this process's peak of resident memory; return what is resident now.

    None where that can't be known: the kernel is not Linux, or does not let us.
    """
    with contextlib.suppress(OSError, StopIteration, ValueError):
        _CLEAR.write_text(_RESET_PEAK)
        return _read("VmRSS")
    return None


def peak_since(before: int | None) -> int | None:
    """Return how many bytes more than `before` were resident at most since `reset_peak` gave it.

    What other threads took meanwhile counts too, and what was allocated before and used again does not.

    Examples
    --------
    >>> before = reset_peak()
    >>> took = len(bytearray(b"x") * 200_000_000)
    >>> before is None or peak_since(before) > 50_000_000
    True
    """
    with contextlib.suppress(OSError, StopIteration, ValueError):
        return max(_read("VmHWM") - before, 0) if before is not None else None
    return None


def mark_out_of_memory(error: BaseException, key: Any) -> None:
    """Write on an error which task it is of, if memory ran out or it was raised because of that: the client reads it.

    Examples
    --------
    >>> error = MemoryError()
    >>> mark_out_of_memory(error, "load-1")
    >>> getattr(error, OUT_OF_MEMORY)
    'load-1'
    """
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    if any(isinstance(each, MemoryError) for each in causes):
        with contextlib.suppress(AttributeError, TypeError):  # some errors take no attributes
            setattr(error, OUT_OF_MEMORY, key)


def _read(field: str) -> int:
    with _STATUS.open() as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) * 1024
