"""Counts of the tasks that were given to a pool, and of their outcomes, by site."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from cachingclient.vine.engine import Handle, SiteStats


class Counters:
    """Counts tasks by site. Used from several threads.

    Examples
    --------
    >>> counters = Counters()
    >>> counters.submitted("v1", "RAL")
    >>> counters.finished("v1", True)
    'RAL'
    >>> counters.by_site({"RAL": 2}, {})["RAL"].done
    1

    Notes
    -----
    Bytes across count each value once for each other site that takes it, since workers keep copies. What a library
    moves between the workers of one site it does not tell, so there are no bytes within.
    """

    def __init__(self) -> None:
        self._sites: dict[str, str | None] = {}
        self._done: Counter[str | None] = Counter()
        self._failed: Counter[str | None] = Counter()
        self._across: Counter[str | None] = Counter()
        self._taken: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def submitted(self, key: str, site: str | None) -> None:
        """Note a task, and the site that it has to run at."""
        with self._lock:
            self._sites[key] = site

    def finished(self, key: str, well: bool) -> str | None:
        """Note a task's end; return its site."""
        with self._lock:
            site = self._sites.pop(key, None)
            (self._done if well else self._failed)[site] += 1
            return site

    def forgotten(self, key: str) -> None:
        """Note that a task was taken back."""
        with self._lock:
            self._sites.pop(key, None)

    def took(self, handles: Iterable[Handle], site: str | None) -> None:
        """Note the values that a task at a site takes."""
        with self._lock:
            for handle in handles:
                if site is None or handle.site in (None, site) or site in self._taken.get(handle.key, ()):
                    continue
                self._taken.setdefault(handle.key, set()).add(site)
                self._across[site] += handle.nbytes

    def released(self, keys: Iterable[str]) -> None:
        """Note that values are gone."""
        with self._lock:
            for key in keys:
                self._taken.pop(key, None)

    def places_of(self, keys: Iterable[str]) -> Counter[str | None]:
        """Count tasks by their site, but for those that have ended."""
        with self._lock:
            return Counter(self._sites[key] for key in keys if key in self._sites)

    def by_site(self, workers: Mapping[str, int], running: Mapping[str | None, int]) -> dict[str, SiteStats]:
        """Return the counts, given the workers of each site, and how many tasks the manager says run there."""
        with self._lock:
            now = Counter(self._sites.values())
            runs = {name: min(running.get(name, 0), now[name]) for name in workers}
            return {
                name: SiteStats(
                    workers=count,
                    waiting=now[name] - runs[name],
                    running=runs[name],
                    done=self._done[name],
                    failed=self._failed[name],
                    bytes_across=self._across[name],
                )
                for name, count in workers.items()
            }
