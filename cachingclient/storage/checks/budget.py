"""How much one value has taken so far, against what it may take."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from cachingclient.storage.limits import Limits, UnsafeError, limits


@dataclass(slots=True)
class Budget:
    """Counts what a value asks for while it is built.

    Examples
    --------
    >>> budget = Budget(Limits(count=2))
    >>> budget.count(2)
    >>> budget.count(1)
    Traceback (most recent call last):
    cachingclient.storage.limits.UnsafeError: it has more than 2 values in it (the setting limits.count)
    """

    limits: Limits
    values: int = 0
    nbytes: int = 0

    @classmethod
    def of_others(cls) -> Budget:
        """Return that for bytes that anyone may have written."""
        return cls(limits())

    @classmethod
    def of_ours(cls) -> Budget:
        """Return that for bytes that we wrote, or that somebody signed whom we believe."""
        return cls(Limits(sys.maxsize, sys.maxsize, sys.maxsize))

    def count(self, values: int) -> None:
        """Note so many more values; those that are referred to again count again, as whoever walks them meets them."""
        self.values += values
        if self.values > self.limits.count:
            raise UnsafeError(f"it has more than {self.limits.count:,} values in it (the setting limits.count)")

    def take(self, nbytes: int) -> None:
        """Note memory that is taken besides the payload's own."""
        self.nbytes = self.limits.allow(self.nbytes + max(nbytes, 0), "it")


def size(number: object, what: str) -> int:
    """Return a number of things, which is an integer and not negative. Raises UnsafeError."""
    if type(number) is not int or number < 0:
        raise UnsafeError(f"{what} is {str(number)[:40]}, and takes a number of things")
    return number
