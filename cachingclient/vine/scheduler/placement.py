"""The site that a task without inputs is meant for, so that tasks whose results are reduced together share a site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any
from weakref import WeakKeyDictionary

from sortedcontainers import SortedKeyList


class Placement:
    """Divides the tasks that a graph begins with among sites, and keeps those that wait, by site.

    A graph's order puts tasks next to each other whose results meet soon. So each site gets a range of it, as long
    as its share of the threads. A site whose range is done takes the far part of the longest one left: what is
    moved stays a range, and few reductions span two sites.

    A task is anything with a `priority` and a `state`.
    """

    def __init__(self) -> None:
        self._home: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._waiting: dict[str, SortedKeyList] = {}

    def divide(
        self, tasks: Iterable[Any], threads: Mapping[str, int], given: Callable[[Any], str | None] = lambda task: None
    ) -> None:
        """Give the first tasks of a graph their homes: a given one if that has threads, else by the sites' threads."""
        ordered = []
        for task in sorted(tasks, key=attrgetter("priority")):
            home = given(task)
            if home is not None and home in threads:
                self._home[task] = home
            else:
                ordered.append(task)
        total, before = sum(threads.values()), 0
        for site in sorted(threads):
            first = len(ordered) * before // total
            before += threads[site]
            for task in ordered[first : len(ordered) * before // total]:
                self._home[task] = site

    def of(self, task: Any) -> str | None:
        """Return the home of a task; None if it has none."""
        return self._home.get(task)

    def counts(self) -> dict[str, int]:
        """Return how many tasks wait for each site."""
        return {site: len(tasks) for site, tasks in self._waiting.items() if tasks}

    def forget_waiting(self) -> None:
        """Forget tasks that wait no more: those that were cancelled, or sent without being asked for."""
        self._waiting.clear()

    def wait(self, task: Any, site: str) -> None:
        """Have a task wait until its home asks for one."""
        self._home[task] = site
        self._waiting.setdefault(site, SortedKeyList(key=attrgetter("priority"))).add(task)

    def take(self, site: str, threads: Mapping[str, int]) -> Any | None:
        """Return the next task for a site; None if there is none that waits."""
        own = self._waiting.setdefault(site, SortedKeyList(key=attrgetter("priority")))
        while True:
            while own:
                task = own.pop(0)
                if task.state == "queued":
                    return task
            if not self._share(site, threads):
                return None

    def _share(self, site: str, threads: Mapping[str, int]) -> bool:
        """Move a part of the longest range to a site; tell whether there was one."""
        longest = max(self._waiting, key=lambda name: len(self._waiting[name]))
        tasks = self._waiting[longest]
        if not tasks:
            return False
        ours, theirs = threads.get(site, 1), threads.get(longest, 0)
        for _ in range(-(-len(tasks) * ours // (ours + theirs))):
            self.wait(tasks.pop(), site)
        return True
