"""A picture of a run: the workers of each site, tasks by their state, and bytes moved, over time."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cachingclient.vine.engine import SiteStats
from cachingclient.vine.report.table import SiteRow, SiteTable

Sample = tuple[float, SiteTable]
# Colours that colour-blind readers tell apart.
SITE_COLOURS = ("#3d8fd1", "#e69f00", "#1aa37a", "#d5502a", "#a28bd4", "#7a7a7a")
WAITING_COLOURS = ("#7a7a7a", "#d8d8d8")


def plot(samples: Iterable[Sample], path: str | os.PathLike[str]) -> Path:
    """Draw samples of a cluster's counts; the kind of file goes by its name.

    Raises
    ------
    ValueError
        If there is nothing to draw yet.
    ImportError
        If matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    samples = list(samples)
    if not samples:
        raise ValueError("there is nothing to draw: the cluster has only just started")
    start = samples[0][0]
    times = [time - start for time, _ in samples]
    sites = [
        site
        for site in dict.fromkeys(row.name for _, table in samples for row in table.rows)
        if any(row.name == site and row.stats.workers for _, table in samples for row in table.rows)
    ]
    if not sites:
        raise ValueError("there is nothing to draw: no worker has come yet")
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    threads, tasks, done, moved = figure.subplots(4, 1, sharex=True, height_ratios=(2, 3, 2, 2))
    colours = [SITE_COLOURS[number % len(SITE_COLOURS)] for number in range(len(sites))]
    rows = [{row.name: row for row in table.rows} for _, table in samples]
    nothing = SiteRow("", SiteStats())
    stacked = [[found.get(site, nothing).threads for found in rows] for site in sites]
    threads.stackplot(times, *stacked, colors=colours, labels=sites, step="post", alpha=0.75)
    running = [sum(row.stats.running for row in table.rows) for _, table in samples]
    threads.step(times, running, where="post", color="black", linewidth=1, label="running tasks")
    waiting = [sum(row.stats.waiting for row in table.rows) for _, table in samples]
    blocked = [table.blocked for _, table in samples]
    labels = ("for a thread", "for other tasks")
    tasks.stackplot(times, waiting, blocked, colors=WAITING_COLOURS, labels=labels, step="post")
    for site, colour in zip(sites, colours, strict=True):
        stats = [found.get(site, nothing).stats for found in rows]
        done.plot(times, [each.done for each in stats], color=colour, label=site)
        moved.plot(times, [each.bytes_across / 1e6 for each in stats], color=colour)
        moved.plot(times, [each.bytes_within / 1e6 for each in stats], "--", color=colour, alpha=0.6)
    moved.plot([], [], color="black", label="from other sites")
    moved.plot([], [], "--", color="black", alpha=0.6, label="within the site")
    titles = {threads: "worker threads", tasks: "tasks that wait", done: "tasks done", moved: "MB received"}
    for axes, title in titles.items():
        _finish(axes, title, whole=axes is not moved)
    moved.set_xlabel("seconds since the start")
    moved.set_xlim(0, max(times[-1], 1))
    figure.savefig(path, dpi=120)
    return Path(path)


def _finish(axes: Any, title: str, *, whole: bool) -> None:
    axes.set_ylabel(title)
    axes.set_ylim(bottom=0)
    axes.yaxis.get_major_locator().set_params(integer=whole)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9, frameon=False)


def read_log(path: str | os.PathLike[str], every: float = 0.5) -> list[Sample]:
    """Return samples of the counts that a log of transactions tells of.

    Parameters
    ----------
    path
        A file that a cluster wrote, ``VineCluster(..., log=path)``.
    every
        Seconds between two samples; there is one more whenever a worker comes or goes, so that none is missed.

    Raises
    ------
    ValueError
        If a line is none of such a log.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
    ...     _ = file.write('{"time": 0, "event": "worker", "state": "came", "site": "RAL", "threads": 4}')
    ...     file.flush()
    ...     read_log(file.name)[-1][1].rows[0].threads
    4
    """
    replay, samples, due = _Replay(), [], None
    for event in _events(Path(path)):
        if due is None:
            due = event["time"]
        while event["time"] > due:
            samples.append((due, replay.table()))
            due += every
        replay.take(event)
        if event["event"] == "worker":
            samples.append((event["time"], replay.table()))
        last = event["time"]
    return [*samples, (last, replay.table())] if due is not None else []


def _events(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as lines:
        for number, line in enumerate(lines, 1):
            try:
                event = json.loads(line)
                yield {"time": event["time"], "event": event["event"], **event}
            except (ValueError, KeyError, TypeError) as error:
                if line.endswith("\n"):  # else it was being written when the cluster ended
                    raise ValueError(f"line {number} of {path} is none of a cluster's log") from error


class _Replay:
    """Counts tasks and bytes again from the lines of a log."""

    def __init__(self) -> None:
        self._sites: dict[str, Counter[str]] = defaultdict(Counter)
        self._states: dict[str, tuple[str, str]] = {}

    def take(self, event: dict[str, Any]) -> None:
        if event["event"] == "worker":
            sign = 1 if event["state"] == "came" else -1
            self._sites[event["site"]]["workers"] += sign
            self._sites[event["site"]]["threads"] += sign * event["threads"]
        elif event["event"] == "transfer":
            within = event["source"] == event["site"]
            self._sites[event["site"]]["within" if within else "across"] += event["bytes"]
        elif event["event"] == "task":
            site, state = event["site"], event["state"]
            if event["before"] == "processing" and state in ("memory", "erred"):
                self._sites[site]["done" if state == "memory" else "failed"] += 1
            self._states.pop(str(event["key"]), None)
            if state in ("waiting", "queued", "no-worker", "processing"):
                self._states[str(event["key"])] = (state, site)

    def table(self) -> SiteTable:
        now = Counter(self._states.values())
        rows = []
        for site, ever in self._sites.items():
            running = min(now["processing", site], ever["threads"])
            stats = SiteStats(
                workers=ever["workers"],
                waiting=now["queued", site] + now["no-worker", site] + now["processing", site] - running,
                running=running,
                done=ever["done"],
                failed=ever["failed"],
                bytes_within=ever["within"],
                bytes_across=ever["across"],
            )
            rows.append(SiteRow(site or "(any)", stats, ever["threads"]))
        return SiteTable(tuple(rows), sum(count for (state, _), count in now.items() if state == "waiting"))
