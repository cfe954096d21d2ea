"""Many jobs in few requests, whatever a server's limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# The most jobs in one submission that servers of all versions take by default.
AS_THEY_COME = 20


class TooMany(Exception):
    """The server takes no more than so many jobs at once."""

    def __init__(self, most: int) -> None:
        super().__init__(f"no more than {most} jobs at once")
        self.most = most


class Batches:
    """The size of submissions that a server takes, learnt from its refusals.

    Examples
    --------
    >>> def submit(words):
    ...     if len(words) > 2:
    ...         raise TooMany(2)
    ...     return [int(word) for word in words]
    >>> Batches().submit(["1", "2", "3"], submit, print)
    [1, 2]
    [3]
    """

    def __init__(self) -> None:
        self.size = AS_THEY_COME

    def submit(
        self, each: Sequence[str], submit: Callable[[Sequence[str]], list[int]], done: Callable[[list[int]], object]
    ) -> None:
        """Submit one job for each word, or one without any; ``done`` gets the numbers of each submission's."""
        rest: Sequence[str] = each
        while True:
            some = rest[: self.size]
            try:
                done(submit(some))
            except TooMany as limit:
                if not 0 < limit.most < len(some):
                    raise
                self.size = limit.most
                continue
            rest = rest[len(some) :]
            if not rest:
                return
