"""The counts of a cluster's sites as a table: text for a terminal, HTML for a notebook, JSON for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from html import escape
from io import StringIO
from typing import Any

from distributed.core import Status
from rich.console import Console
from rich.table import Table

from cachingclient import units
from cachingclient.vine.engine import SiteStats


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One site now: its counts, its threads, and the memory that its workers use."""

    name: str
    stats: SiteStats
    threads: int = 0
    memory: int = 0


_COLUMNS: dict[str, Callable[[SiteRow], int]] = {
    "workers": lambda row: row.stats.workers,
    "threads": lambda row: row.threads,
    "waiting": lambda row: row.stats.waiting,
    "running": lambda row: row.stats.running,
    "done": lambda row: row.stats.done,
    "failed": lambda row: row.stats.failed,
    "within": lambda row: row.stats.bytes_within,
    "from others": lambda row: row.stats.bytes_across,
    "memory": lambda row: row.memory,
}
_SIZES = {"within", "from others", "memory"}


@dataclass(frozen=True, slots=True)
class SiteTable:
    """The counts of all sites: of now, and of the cluster's whole life.

    Attributes
    ----------
    rows
        One for each site; tasks that wait for any site stand in a row of their own.
    blocked
        Tasks that wait for results of others.

    Examples
    --------
    >>> table = SiteTable((SiteRow("RAL", SiteStats(workers=2, done=10, bytes_across=5000), threads=2),))
    >>> print(table)
    site  workers  threads  waiting  running  done  failed  within  from others  memory
    RAL         2        2        0        0    10       0     0 B       5.0 kB     0 B
    >>> table.to_dict()["sites"]["RAL"]["bytes_across"]
    5000
    """

    rows: tuple[SiteRow, ...]
    blocked: int = 0

    def cells(self) -> list[list[str]]:
        """The table's cells as text: the titles, a line for each site, and their sum if there are several."""
        found = [["site", *_COLUMNS]]
        for row in self.rows:
            found.append([row.name, *(_shown(title, value(row)) for title, value in _COLUMNS.items())])
        if len(self.rows) > 1:
            sums = {title: sum(map(value, self.rows)) for title, value in _COLUMNS.items()}
            found.append(["all", *(_shown(title, total) for title, total in sums.items())])
        return found

    def __str__(self) -> str:
        titles, *lines = self.cells()
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(titles[0])
        for title in titles[1:]:
            table.add_column(title, justify="right")
        for line in lines:
            table.add_row(*line)
        console = Console(file=StringIO(), width=1000, color_system=None)
        with console.capture() as capture:
            console.print(table)
        text = "\n".join(line.rstrip() for line in capture.get().splitlines())
        return f"{text}\n{self._blocked()}" if self.blocked else text

    def _blocked(self) -> str:
        return f"{self.blocked:,} tasks wait for results of others."

    def _repr_html_(self) -> str:
        titles, *lines = self.cells()
        head = "".join(f"<th>{escape(title)}</th>" for title in titles)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
        blocked = f"<p>{self._blocked()}</p>" if self.blocked else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{blocked}"

    def to_dict(self) -> dict[str, Any]:
        """The table for programs: numbers by site."""
        sites = {row.name: {"threads": row.threads, "memory": row.memory, **asdict(row.stats)} for row in self.rows}
        return {"sites": sites, "blocked": self.blocked}


def _shown(title: str, value: int) -> str:
    return units.size(value) if title in _SIZES else f"{value:,}"


class CallableStatus:
    """distributed's state of a cluster, which can also be called: there the name is taken, and users want the table.

    Examples
    --------
    >>> from distributed.core import Status
    >>> status = CallableStatus(Status.running, lambda: SiteTable(()))
    >>> status == Status.running, status in {Status.running}, status.name
    (True, True, 'running')
    >>> status().to_dict()
    {'sites': {}, 'blocked': 0}
    """

    def __init__(self, status: Status, table: Callable[[], SiteTable]) -> None:
        self._state = status
        self._table = table

    def __call__(self) -> SiteTable:
        return self._table()

    def __eq__(self, other: object) -> bool:
        return self._state == (other._state if isinstance(other, CallableStatus) else other)

    def __hash__(self) -> int:
        return hash(self._state)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    def __repr__(self) -> str:
        return repr(self._state)
