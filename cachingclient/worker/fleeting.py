"""What of one run must not be in its result: the time, the process's id, the name of a temporary file that is gone.

Many a step looks at a clock to tell how long it took, or makes a temporary file. Whether that reaches the result can't
be told from the code, and is seen in the result.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import re
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any

import numpy as np

from cachingclient.hashing.environment.environment import is_user_code

MOST_VALUES = 100
"""So many values of a result are looked at, a few of each large array or table."""
LONGEST_TEXT = 10_000
_AT_BOTH_ENDS = 2
_TIME_OF_DAY = re.compile(r"(?<!\d)(?:\d{8})?(\d\d):?(\d\d):?(\d\d)(?!\d)")
_DIGIT = re.compile("[0-9]")
_LONG_AGO = 1e9
_TICK = 0.05
"""How much some of the system's clocks may lag behind others."""
_DATES = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y")
_SURE_SECONDS = 60.0
"""In a longer run a text may show a time of day by chance; there it counts with the date alone."""


class Fleeting:
    """What is true of one run alone.

    Parameters
    ----------
    started
        When it began, in seconds since 1970.
    ended
        When it ended; now if None.
    names
        Names that were made up for temporary files and are not there any more.
    process
        Whether it asked for the process's id.
    asks_clock
        Whether its code is known to ask for the time: then a text with the date counts too.

    Examples
    --------
    >>> Fleeting(1e9, 1e9 + 2).in_result({"made": 1e9 + 1, "cut": 30})
    'the time at which it ran'
    >>> Fleeting(1e9, 1e9 + 2).in_result([1, 2.5, "muons"])
    ''
    """

    def __init__(
        self,
        started: float,
        ended: float | None = None,
        names: Collection[str] = (),
        *,
        process: bool = False,
        asks_clock: bool = False,
    ) -> None:
        self._ended = time.time() if ended is None else ended
        self._started = min(started, self._ended) - _TICK
        self._names = tuple(names)
        self._process = os.getpid() if process else None
        self._asks_clock = asks_clock

    def in_result(self, result: object) -> str:
        """Return what of the run a result holds, in words; empty if nothing was found."""
        for value, _ in zip(_values(result), range(MOST_VALUES), strict=False):
            if found := self._in_value(value):
                return found
        return ""

    def _in_value(self, value: Any) -> str:
        if isinstance(value, str):
            return self._in_text(value[:LONGEST_TEXT]) if _DIGIT.search(value) or self._names else ""
        if isinstance(value, np.datetime64):
            value = None if np.isnat(value) else value.astype("datetime64[us]").item()
        if isinstance(value, (int, float, np.integer, np.floating)):
            if self._process is not None and value == self._process:
                return "the id of the process that ran it"
            is_time = value >= _LONG_AGO and any(self._is_now(float(value) / scale) for scale in (1, 1e3, 1e6, 1e9))
        elif isinstance(value, datetime.datetime):
            is_time = any(self._is_now(seconds) for seconds in _seconds_of(value))
        else:
            is_time = isinstance(value, datetime.date) and value in self._days
        return "the time at which it ran" if is_time else ""

    def _in_text(self, text: str) -> str:
        if any(name in text for name in self._names):
            return "the name of a temporary file"
        if self._process is not None and re.search(rf"(?<!\d){self._process}(?!\d)", text):
            return "the id of the process that ran it"
        has_date = any(date in text for date in self._dates)
        if has_date and self._asks_clock:
            return "the time at which it ran"
        if has_date or self._ended - self._started < _SURE_SECONDS:
            for hours, minutes, seconds in _TIME_OF_DAY.findall(text):
                if self._is_time_of_day(3600 * int(hours) + 60 * int(minutes) + int(seconds), has_date or ":" in text):
                    return "the time at which it ran"
        return "the time at which it ran" if any(self._is_now(float(each)) for each in _long_numbers(text)) else ""

    def _is_now(self, seconds: float) -> bool:
        return int(self._started) <= seconds <= self._ended + 0.5  # it may have been rounded

    def _is_time_of_day(self, seconds: int, is_sure: bool) -> bool:
        if not is_sure and not self._asks_clock:
            return False
        return any((seconds - (int(self._started) + offset)) % 86400 <= self._length for offset in _offsets())

    @property
    def _length(self) -> int:
        return int(self._ended) - int(self._started)

    @functools.cached_property
    def _days(self) -> set[datetime.date]:
        moments = self._started, self._ended
        return {datetime.date.fromtimestamp(each) for each in moments} | {
            datetime.datetime.fromtimestamp(each, datetime.UTC).date() for each in moments
        }

    @functools.cached_property
    def _dates(self) -> tuple[str, ...]:
        return tuple(day.strftime(form) for day in self._days for form in _DATES)


def _offsets() -> tuple[int, int]:
    """Return how many seconds local clocks are ahead of UTC, and UTC's own."""
    return time.localtime().tm_gmtoff, 0


def _seconds_of(value: datetime.datetime) -> Iterator[float]:
    """Yield the seconds since 1970 of a date and time; one without a time zone may be a local one, or UTC."""
    try:
        yield value.timestamp()
        if value.tzinfo is None:
            yield value.replace(tzinfo=datetime.UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        return


def _long_numbers(text: str) -> list[str]:
    return re.findall(r"(?<!\d)\d{10}(?!\d)", text)


def _values(result: object) -> Iterator[object]:
    """Yield the single values in a result, outer ones first."""
    waiting, seen = [result], 0
    while waiting and seen < 2 * MOST_VALUES:
        value = waiting.pop(0)
        seen += 1
        if isinstance(value, (str, int, float, datetime.date, np.generic)):
            yield value
        elif isinstance(value, bytes):
            yield value[:LONGEST_TEXT].decode("latin-1")
        elif isinstance(value, os.PathLike):
            yield os.fsdecode(value)
        else:
            with contextlib.suppress(Exception):  # of the user's class
                waiting += list(islice(_parts(value), MOST_VALUES))


def _parts(value: Any) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from value
    elif type(value) is np.ndarray:
        if value.dtype.kind in "iufMUO" and value.size:
            flat = value.reshape(-1)
            yield from (*flat[:_AT_BOTH_ENDS], *flat[-_AT_BOTH_ENDS:])
    elif (pandas := sys.modules.get("pandas")) is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        yield from value.iloc[:_AT_BOTH_ENDS].to_numpy().reshape(-1)
        yield from value.iloc[-_AT_BOTH_ENDS:].to_numpy().reshape(-1)
    elif isinstance(value, type) or not is_user_code(type(value).__module__):
        return  # what is in a library's object may have to be read first, as in arrays that are read late
    elif is_dataclass(value):
        yield from (getattr(value, each.name, None) for each in fields(value))
    else:
        own = getattr(value, "__dict__", None)
        yield from own.values() if isinstance(own, dict) else ()
