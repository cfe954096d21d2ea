"""How long results live in a Rucio store: all equally long, or by the time that they save for the bytes they take."""

from __future__ import annotations

import re
import time

WEEK = 7 * 86400
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
BYTE_SECONDS = 10e6 * 86400
"""The bytes times seconds of keeping that one second of running is worth: ten megabytes for a day."""
DESCRIPTION = 1024
"""Bytes that an entry takes besides its result, about."""
STEP = 4
"""Each lifetime is so many times the one before it: results of one lifetime share files, which should not be many."""


_stamp = re.compile(r"cachingclient\.([0-9]{1,15})\.[0-9a-f]{32}\.(?:idx|pack)").fullmatch


class Lifetimes:
    """The lifetimes that results of a store can have, from the least to the most.

    Parameters
    ----------
    least, most
        In seconds; where they are the same, nothing is prolonged.

    Examples
    --------
    >>> lifetimes = Lifetimes.parse("7d-180d")
    >>> [seconds // 86400 for seconds in lifetimes.steps]
    [7, 28, 112, 180]
    >>> lifetimes.of("result", seconds=3.0, nbytes=1_000_000) // 86400
    28
    """

    def __init__(self, least: int, most: int) -> None:
        steps = [least]
        while 0 < steps[-1] < most:
            steps.append(min(STEP * steps[-1], most))
        self.steps = tuple(steps)

    @classmethod
    def parse(cls, text: str) -> Lifetimes:
        """Read a lifetime, or the least and the most. Raises ValueError."""
        words = text.split("-")
        seconds = [_seconds(word) for word in words]
        if len(seconds) > 2 or None in seconds:
            raise ValueError(f"lifetime={text!r} takes a number with s, m, h, d or w, as 30d, or two, as 7d-180d")
        least, most = (each or 0 for each in (seconds[0], seconds[-1]))
        if len(seconds) == 2 and not 0 < least < most:
            raise ValueError(f"lifetime={text!r} takes the least and the most, which is longer, as 7d-180d")
        return cls(least, most)

    @property
    def vary(self) -> bool:
        """Whether they depend on the result, and uses prolong them."""
        return len(self.steps) > 1

    @property
    def most(self) -> int:
        """The longest."""
        return self.steps[-1]

    def of(self, kind: str, seconds: float, nbytes: int) -> int:
        """Return the lifetime of an entry, by the seconds that it saves and the bytes that it takes.

        Notes, which say why a step runs, live longest.
        """
        if kind != "result":
            return self.most
        earned = BYTE_SECONDS * seconds / (nbytes + DESCRIPTION)
        return max((step for step in self.steps if step <= earned), default=self.steps[0])


def this_week() -> int:
    """Return the number of the week that it is now."""
    return int(time.time()) // WEEK


def week_of(name: str) -> int | None:
    """Return the number of the week in which an index or a pack was made, by its name; None if it is none of ours.

    Examples
    --------
    >>> week_of(f"cachingclient.{1000 * WEEK * 3:013}.{'0f' * 16}.idx")
    3
    """
    made = _stamp(name)
    return int(made[1]) // 1000 // WEEK if made else None


def _seconds(word: str) -> int | None:
    number, unit = word[:-1], word[-1:]
    return int(number) * UNITS[unit] if number.isdecimal() and unit in UNITS else None
