"""Counting the entries of a store, and checking that they are sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cachingclient.storage.base import Store
from cachingclient.storage.model import Problem


@dataclass(slots=True)
class VerifyReport:
    """The outcome of a verification."""

    entries: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(store: Store, repair: bool = False) -> VerifyReport:
    """Read every entry in full and compare digests; with ``repair`` move damaged entries out of the way.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> verify(open_store("memory://verify-example")).sound
    True
    """
    report = VerifyReport()
    for problem in store.check(repair=repair):
        report.entries += 1
        if problem is not None:
            report.problems.append(problem)
    return report


def stats(store: Store) -> dict[str, Any]:
    """Numbers and bytes of the entries and files in a store, without reading any entry.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> stats(open_store("memory://stats-example"))["entries"]
    {'files': 0, 'bytes': 0}
    """
    totals = {sort: {"files": files, "bytes": nbytes} for sort, (files, nbytes) in store.totals().items()}
    return {"url": store.url, "read_only": store.read_only, **totals}
