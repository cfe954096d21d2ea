"""A store's sums in Prometheus' text format, for the textfile collector of its node exporter or any web server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cachingclient.plan.pruned import Pruned

METRICS = {
    "entries": "Entries of a step in the store.",
    "nbytes": "Bytes of a step's results in the store.",
    "seconds": "Seconds that the results of a step took to compute.",
    "newest": "Unix time of the newest entry of a step.",
}
PRUNED = {
    "entries": "Entries that were ever pruned of the store.",
    "nbytes": "Bytes of results that were ever pruned of the store.",
    "seconds": "Seconds that the results which were ever pruned had taken to compute.",
}
NAMES = {"nbytes": "bytes", "newest": "newest_timestamp_seconds"}


def exposition(store: str, steps: Mapping[str, Mapping[str, float]], pruned: Pruned) -> str:
    """Return the lines of all metrics.

    Parameters
    ----------
    store
        The store's URL.
    steps
        Sums by the names of steps.
    pruned
        What was ever pruned.

    Examples
    --------
    >>> sums = {"entries": 2, "nbytes": 16, "seconds": 1.5, "newest": 0}
    >>> print(exposition("memory://docs", {"fill": sums}, Pruned()))
    # HELP cachingclient_store_entries Entries of a step in the store.
    # TYPE cachingclient_store_entries gauge
    cachingclient_store_entries{store="memory://docs",step="fill"} 2
    ...
    """
    return "\n".join([*_lines(store, steps), *_pruned_lines(store, pruned)])


def _lines(store: str, steps: Mapping[str, Mapping[str, float]]) -> Iterable[str]:
    for field, text in METRICS.items():
        name = f"cachingclient_store_{NAMES.get(field, field)}"
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} gauge"
        for step, sums in steps.items():
            yield f'{name}{{store="{_escaped(store)}",step="{_escaped(step)}"}} {sums[field]}'


def _pruned_lines(store: str, pruned: Pruned) -> Iterable[str]:
    for field, text in PRUNED.items():
        name = f"cachingclient_store_pruned_{NAMES.get(field, field)}_total"
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} counter"
        yield f'{name}{{store="{_escaped(store)}"}} {getattr(pruned, field)}'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
