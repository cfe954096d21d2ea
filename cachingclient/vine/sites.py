"""The sites of a cluster, as the user describes them."""

from __future__ import annotations

import numbers
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from dask.utils import parse_bytes

from cachingclient.storage.open_store import scheme_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PREFIX = "site:"
"""The beginning of the name of the resource that marks a site's workers."""


@dataclass(frozen=True)
class Site:
    """A group of workers that are near each other.

    Attributes
    ----------
    name
        The site's name; tasks are pinned by it.
    workers
        How many workers it starts with.
    how
        How they are started: ``"local"`` as processes here, ``"ssh"`` on the hosts in
        ``options={"hosts": [...]}``, ``"command"`` by any other command, by a system that dask-jobqueue knows
        (``"slurm"``, ``"htcondor"``, ...), by a name that a package registers (``"dirac"``), or a class that a
        `distributed.SpecCluster` takes for a worker.
    nthreads
        Tasks that a worker runs at once.
    memory_limit
        Memory of one worker, as for `distributed.Worker`.
    gpus
        GPUs of one worker.
    resources
        Other resources of one worker, which tasks may ask for.
    near
        The URL of a store near the workers: results that they load are kept there too, and loaded from there first.
    environment
        Environment variables of the workers.
    options
        Other options of the workers' class.

    Examples
    --------
    >>> Site("RAL", 8, nthreads=4).advertised
    {'site:RAL': 4, 'cores': 4}
    """

    name: str
    workers: int = 1
    how: str | type = "local"
    nthreads: int = 1
    memory_limit: str | int | float | None = "auto"
    gpus: int = 0
    resources: Mapping[str, float] = field(default_factory=dict)
    near: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"a site is named {self.name!r}; a name takes letters, digits, '.', '_' and '-'")
        for what, least in (("workers", 0), ("nthreads", 1), ("gpus", 0)):
            value = getattr(self, what)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{what} of site {self.name} is {value!r}; it takes a number of {least} or more")
        for what in ("resources", "environment", "options"):
            value = getattr(self, what)
            if not isinstance(value, Mapping):
                raise ValueError(f"{what} of site {self.name} is {value!r}; it takes a dict")
        self._check_memory()
        self._check_near()

    def _check_memory(self) -> None:
        limit = self.memory_limit
        try:
            if not isinstance(limit, str | numbers.Real | None) or isinstance(limit, bool):
                raise ValueError
            if isinstance(limit, str) and limit != "auto":
                parse_bytes(limit)
        except ValueError:
            takes = "a size such as '4 GB', a part of the host's memory such as 0.5, 'auto' or None"
            raise ValueError(f"memory_limit of site {self.name} is {limit!r}; it takes {takes}") from None

    def _check_near(self) -> None:
        if not isinstance(self.near, str | os.PathLike | None):
            raise ValueError(f"near of site {self.name} is {self.near!r}; it takes the URL of a store")
        try:
            scheme_of(os.fspath(self.near or "memory://none"))
        except ValueError as error:
            raise ValueError(f"near of site {self.name}: {error}") from None

    @property
    def advertised(self) -> dict[str, float]:
        """The resources that each of its workers tells the scheduler."""
        found: dict[str, float] = {f"{PREFIX}{self.name}": self.nthreads, "cores": self.nthreads}
        if self.gpus:
            found["gpus"] = self.gpus
        if isinstance(self.memory_limit, str) and self.memory_limit != "auto":
            found["memory"] = parse_bytes(self.memory_limit)
        return found | dict(self.resources)


def parse_sites(sites: Mapping[str, int | Mapping[str, Any] | Site]) -> dict[str, Site]:
    """Return the sites as the user described them: numbers of workers, options, or `Site` objects.

    Raises
    ------
    ValueError
        If there is none, or one of them has no sense.
    TypeError
        If they are described in another way.

    Examples
    --------
    >>> parse_sites({"RAL": 2, "Bristol": {"workers": 1, "nthreads": 4}})["Bristol"].nthreads
    4
    >>> parse_sites({"RAL": {"wokers": 2}})
    Traceback (most recent call last):
    ...
    ValueError: site RAL has no option 'wokers'; it takes workers, how, nthreads, memory_limit, gpus, resources,
    near, environment and options
    """
    if not isinstance(sites, Mapping):
        raise TypeError(f'sites is {sites!r}; it takes names with numbers of workers, such as {{"RAL": 8}}')
    if not sites:
        raise ValueError('sites is empty; it takes names with numbers of workers, such as {"RAL": 8}')
    return {name: _parse(name, site) for name, site in sites.items()}


def _parse(name: str, site: int | Mapping[str, Any] | Site) -> Site:
    if isinstance(site, Site):
        if site.name != name:
            raise ValueError(f"the site under the name {name!r} is named {site.name!r}")
        return site
    if isinstance(site, int):
        return Site(name, site)
    if not isinstance(site, Mapping):
        raise TypeError(f"site {name} is {site!r}; it takes a number of workers, a dict of options or a Site")
    known = [each.name for each in fields(Site) if each.name != "name"]
    unknown = [option for option in site if option not in known]
    if unknown:
        raise ValueError(f"site {name} has no option {unknown[0]!r}; it takes {', '.join(known[:-1])} and {known[-1]}")
    return Site(name, **site)


def check_arguments(name: str | None, *, tunnel: bool, engine_options: Mapping[str, Any] | None) -> None:
    """Say which argument of a cluster can't be meant, before anything is started.

    Raises
    ------
    TypeError, ValueError
        With its name, and what it takes.

    Examples
    --------
    >>> check_arguments("../ttbar", tunnel=False, engine_options=None)
    Traceback (most recent call last):
    ...
    ValueError: name is '../ttbar'; it takes letters, digits, '.', '_' and '-', the first a letter or a digit
    """
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ValueError(f"name is {name!r}; it takes letters, digits, '.', '_' and '-', the first a letter or a digit")
    if not isinstance(tunnel, bool):
        raise TypeError(f"tunnel is {tunnel!r}; it takes True or False")
    if not isinstance(engine_options, Mapping | None):
        raise TypeError(f"engine_options is {engine_options!r}; it takes a dict")


def site_of(resources: Mapping[str, float]) -> str | None:
    """Return the site of a worker by the resources that it has; None if it is of no site.

    Examples
    --------
    >>> site_of({"cores": 4, "site:RAL": 4})
    'RAL'
    """
    return next((name.removeprefix(PREFIX) for name in resources if name.startswith(PREFIX)), None)


def share(n: int, sites: Mapping[str, Site]) -> dict[str, int]:
    """Return how many of `n` workers each site gets, in the proportions that the sites started with.

    Examples
    --------
    >>> share(10, {"RAL": Site("RAL", 8), "Bristol": Site("Bristol", 4)})
    {'RAL': 7, 'Bristol': 3}
    """
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 0:
        raise ValueError(f"the number of workers is {n!r}; it takes 0 or more")
    weights = {name: site.workers for name, site in sites.items()}
    if not any(weights.values()):
        weights = dict.fromkeys(sites, 1)
    total = sum(weights.values())
    found = {name: n * weight // total for name, weight in weights.items()}
    rest = sorted(sites, key=lambda name: n * weights[name] % total, reverse=True)
    for name in rest[: n - sum(found.values())]:
        found[name] += 1
    return found
