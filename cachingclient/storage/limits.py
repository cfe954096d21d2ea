"""How much is believed of what others may have written: sizes, depths and counts beyond which a value is refused.

They guard stores that others can write to. A folder of one's own, and entries that are signed, are bounded by what the
bytes say about themselves alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class UnsafeError(ValueError):
    """Bytes that say something about themselves that can't be so, or ask for more than is allowed.

    Examples
    --------
    >>> str(UnsafeError("its dtype is object"))
    'its dtype is object'
    """


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a value may ask for.

    Examples
    --------
    >>> Limits().depth
    100
    """

    nbytes: int = 2 << 30  # of a value, in its store and once it is loaded
    depth: int = 100  # of containers in containers
    count: int = 10_000_000  # of values in one value, such as the items of its lists
    seconds: float = 10.0  # that a file system may take to answer

    def allow(self, nbytes: int, what: str) -> int:
        """Return a number of bytes that is no larger than allowed.

        Raises
        ------
        UnsafeError
            It is larger, or negative.
        """
        if 0 <= nbytes <= self.nbytes:
            return nbytes
        raise UnsafeError(f"{what} would take {nbytes:,} bytes, and the setting limits.bytes allows {self.nbytes:,}")


def limits() -> Limits:
    """Return the limits of this process.

    Examples
    --------
    >>> limits() == Limits()
    True
    """
    return _tellers[-1]()


def set_by(teller: Callable[[], Limits]) -> Callable[[], Limits]:
    """Say which function reads the limits from the settings; the room of the settings does."""
    _tellers.append(teller)
    return teller


_tellers: list[Callable[[], Limits]] = [Limits]
