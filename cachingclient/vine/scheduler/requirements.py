"""The resources that tasks ask for: a site, cores, memory and GPUs; and a warning when no worker has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dask.utils import format_bytes, parse_bytes

from cachingclient.vine.sites import PREFIX

RESOURCES = ("cores", "memory", "gpus")


def restrictions(annotations: Mapping[str, Any]) -> dict[str, float]:
    """Return the resources that a task's annotations ask of its worker: `site`, `needs` and dask's own `resources`.

    Raises
    ------
    ValueError
        If something is asked that has no sense.

    Examples
    --------
    >>> restrictions({"site": "RAL", "needs": {"cores": 2, "memory": "4 GB"}})
    {'cores': 2.0, 'memory': 4000000000.0, 'site:RAL': 1}
    """
    found = {name: _amount(name, value) for name, value in (annotations.get("resources") or {}).items()}
    needs = annotations.get("needs") or {}
    if not isinstance(needs, Mapping):
        raise ValueError(f"needs is {needs!r}; it takes a dict of {', '.join(RESOURCES)}")
    for name, value in needs.items():
        if name not in RESOURCES:
            raise ValueError(f"needs names {name!r}; it takes {', '.join(RESOURCES)}")
        amount = _amount(name, value)
        # One core is the thread that every task has anyway.
        if amount > (1 if name == "cores" else 0):
            found[name] = max(amount, found.get(name, 0))
    if (site := annotations.get("site")) is not None:
        found[f"{PREFIX}{site}"] = 1
    return found


def _amount(name: str, value: Any) -> float:
    try:
        amount = float(parse_bytes(value)) if name in ("memory", "disk") else float(value)
    except (TypeError, ValueError):
        amount = -1.0
    if amount < 0:
        takes = "bytes, e.g. '4 GB'" if name in ("memory", "disk") else "a number of 0 or more"
        raise ValueError(f"a task asks for {name} {value!r}; it takes {takes}")
    return amount


def unknown_sites(asked: Iterable[str], sites: Iterable[str]) -> list[str]:
    """Return the sites among some resources that a cluster does not have.

    Examples
    --------
    >>> unknown_sites(["site:Paris", "cores"], ["RAL"])
    ['Paris']
    """
    known = set(sites)
    named = sorted({each.removeprefix(PREFIX) for each in asked if each.startswith(PREFIX)})
    return [name for name in named if name not in known]


def why_not(asked: Mapping[str, float], workers: Iterable[Mapping[str, float]]) -> str | None:
    """Return why no worker has all that a task asks for; None if one has.

    Examples
    --------
    >>> why_not({"memory": 64e9}, [{"memory": 16e9}])
    'it asks for memory 59.60 GiB, and no worker has more than 14.90 GiB'
    >>> why_not({"site:RAL": 1}, [])
    'it asks for site RAL, which has no workers'
    """
    workers = list(workers)
    if any(all(each.get(name, 0) >= amount for name, amount in asked.items()) for each in workers):
        return None
    for name, amount in asked.items():
        most = max((each.get(name, 0) for each in workers), default=0)
        if most < amount and name.startswith(PREFIX):
            return f"it asks for site {name.removeprefix(PREFIX)}, which has no workers"
        if most < amount:
            return f"it asks for {name} {_shown(name, amount)}, and no worker has more than {_shown(name, most)}"
    together = " and ".join(f"{name} {_shown(name, amount)}" for name, amount in asked.items())
    return f"it asks for {together}, and no worker has it all"


def _shown(name: str, amount: float) -> str:
    return format_bytes(int(amount)) if name in ("memory", "disk") else f"{amount:g}"
