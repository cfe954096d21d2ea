"""`VineCluster`: one distributed cluster of workers at several sites."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import Client, Security
from distributed.core import Status
from distributed.deploy.adaptive import Adaptive
from distributed.deploy.cluster import Cluster
from distributed.deploy.spec import SpecCluster
from distributed.utils import NoOpAwaitable, get_ip

from cachingclient.environments.environment import Environment, checked
from cachingclient.scheduler.version_check import VersionCheck
from cachingclient.storage import Store
from cachingclient.tunnel.certificates import as_files, checked_security
from cachingclient.vine.call_back import Answering
from cachingclient.vine.discovery import publish
from cachingclient.vine.engine import Engine, Spec, make_engine
from cachingclient.vine.engines.pool.adaptive import PoolAdaptive
from cachingclient.vine.engines.pool.ports import checked_free
from cachingclient.vine.report.plot import plot
from cachingclient.vine.report.table import CallableStatus, SiteTable
from cachingclient.vine.running import find_cluster
from cachingclient.vine.scheduler.estimates import estimates_of
from cachingclient.vine.scheduler.scheduler import VineScheduler
from cachingclient.vine.sites import Site, check_arguments, parse_sites, share
from cachingclient.worker.credentials import Given, Renewal

logger = logging.getLogger("cachingclient")

SEPARATOR = "-"
"""The text between the site and the number in a worker's name."""


class VineCluster(SpecCluster):
    """A cluster of workers at several sites, for `DiracClient` or distributed's own ``Client``.

    Parameters
    ----------
    sites
        For each site's name the number of its workers, a dict of the options of `Site`, or a `Site`.
    engine
        The pool that runs the tasks: ``"dask"``, ``"taskvine"`` or ``"workqueue"``.
    engine_options
        Options of the engine.
    security
        Certificates for all connections; None makes temporary ones, False goes without.
    host
        Where the scheduler listens, and workers that are started here. None: on this machine alone if all
        workers are, else everywhere.
    port
        The scheduler's port, an OSError if it is taken; 0 for any.
    credentials
        The proxy and the token that workers get, and new ones when these change: True for the user's own, or a dict
        with the paths of ``"proxy"`` and ``"token"``.
    environment
        The packed environment that all workers run in, sent to each site where it is not kept yet; None for the Python
        that is there.
    tunnel
        Whether workers that ssh or another command starts are reached through the head, for sites whose hosts can
        dial out and can't be dialled.
    dashboard_address
        Where the dashboard listens; None for none.
    log
        A file for the log of transactions, which is appended to.
    scheduler_options
        Other options of the scheduler.
    asynchronous, loop, name, silence_logs
        As for `distributed.LocalCluster`.

    Raises
    ------
    ValueError
        If a site makes no sense, or there is no such engine.
    EngineMissing
        If the engine is not installed.

    Examples
    --------
    >>> from distributed import Client
    >>> with VineCluster({"RAL": 1, "Bristol": 1}) as cluster, Client(cluster) as client:
    ...     client.submit(pow, 7, 2, resources={"site:RAL": 1}).result()
    49
    """

    def __init__(
        self,
        sites: Mapping[str, int | Mapping[str, Any] | Site],
        engine: str = "dask",
        *,
        engine_options: Mapping[str, Any] | None = None,
        security: Security | bool | None = None,
        host: str | None = None,
        port: int = 0,
        credentials: Given = None,
        environment: Environment | None = None,
        tunnel: bool = False,
        dashboard_address: str | None = ":0",
        log: str | os.PathLike[str] | None = None,
        scheduler_options: Mapping[str, Any] | None = None,
        asynchronous: bool = False,
        loop: Any = None,
        name: str | None = None,
        silence_logs: int | bool = logging.WARNING,
    ) -> None:
        self.sites = parse_sites(sites)
        check_arguments(name, tunnel=tunnel, engine_options=engine_options)
        self.engine: Engine = make_engine(engine, engine_options or {})
        self.silence_logs = silence_logs
        self.environment = checked(environment)
        made = checked_security(security)
        self._renewal = Renewal(credentials, self.engine.deliver, encrypted=bool(made.require_encryption))
        self.protocol = "tls://" if made.require_encryption else "tcp://"
        everyone_here = self.engine.proxied or all(site.how == "local" for site in self.sites.values())
        self.host = host if host is not None or not everyone_here else "127.0.0.1"
        port = checked_free(port, self.host)
        self.tunnel: Any = None
        if tunnel:
            from cachingclient.tunnel.head import Tunnel

            self.tunnel = Tunnel(made, self.host or get_ip())
        options = {
            "host": self.host,
            "port": port,
            "protocol": self.protocol,
            "security": made,
            "dashboard": dashboard_address is not None,
            "dashboard_address": dashboard_address,
            "sites": list(self.sites),
            "worker_plugins": self.engine.worker_plugins,
            "near": {name: site.near for name, site in self.sites.items() if site.near is not None},
            "log": Path(log) if log is not None else None,
            **({"pool_stats": self.engine.stats} if self.engine.proxied else {}),
            "plugins": [VersionCheck()],
            **dict(scheduler_options or {}),
        }
        self.security = made  # the specifications below need it
        self._held = environment.hold() if environment is not None else None
        self.engine.start(self)
        self.launchers: dict[str, Any] = {}  # what ways of starting workers share between sites
        self._published: Path | None = None
        self._answering: Answering | None = None
        self._files: tuple[Security, Path] | None = None
        self._made = dict.fromkeys(self.sites, 0)
        specs: dict[str, Spec] = {}
        for site in self.sites.values():
            specs |= self._more(site, 1 if self.engine.proxied else site.workers)
        super().__init__(
            workers=specs,
            scheduler={"cls": VineScheduler, "options": options},
            asynchronous=asynchronous,
            loop=loop,
            security=made,
            silence_logs=silence_logs,
            name=name,
        )

    connect = staticmethod(find_cluster)

    def _more(self, site: Site, workers: int) -> dict[str, Spec]:
        """Return the specifications of more workers of a site, by their names."""
        first = self._made[site.name]
        self._made[site.name] += workers
        return {f"{site.name}{SEPARATOR}{number}": self.engine.spec(site) for number in range(first, first + workers)}

    def workers_of(self, site: str) -> list[str]:
        """Return the names of the workers that a site is meant to have."""
        return [name for name in self.worker_spec if name.rpartition(SEPARATOR)[0] == site]

    def scale(self, n: int | Mapping[str, int] | None = None, **sites: int) -> Any:  # type: ignore[override]
        """Change the numbers of workers.

        Parameters
        ----------
        n
            How many in all, which sites share as they did at the start; or numbers by site.
        **sites
            How many at each of these sites; the others stay as they are.

        Raises
        ------
        ValueError
            If there is no such site, or a number is below 0.
        """
        wanted = dict(n) if isinstance(n, Mapping) else share(n, self.sites) if n is not None else {}
        wanted |= sites
        for name, workers in wanted.items():
            if name not in self.sites:
                raise ValueError(f"there is no site {name!r}; the sites are {', '.join(self.sites)}")
            if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
                raise ValueError(f"the number of workers of site {name} is {workers!r}; it takes 0 or more")
        if self.status not in (Status.closing, Status.closed):
            for name, workers in wanted.items():
                self._resize(self.sites[name], workers)
            assert self.loop is not None
            self.loop.add_callback(self._correct_state)
        return NoOpAwaitable() if self.asynchronous else None

    scale_up = scale  # type: ignore[assignment]

    def _resize(self, site: Site, workers: int) -> None:
        if self.engine.proxied:
            self.engine.resize(site, workers)
            return
        names = self.workers_of(site.name)
        self.worker_spec.update(self._more(site, max(workers - len(names), 0)))
        arrived = {each["name"] for each in self.scheduler_info["workers"].values()}
        names.sort(key=arrived.__contains__)  # those that never came go first
        for name in names[: max(len(names) - workers, 0)]:
            del self.worker_spec[name]

    def security_in_files(self) -> Security:
        """Return the security with its certificates in files, for workers that are told of them by paths."""
        if self._files is None:
            self._files = as_files(self.security)
        return self._files[0]

    async def _start(self) -> None:
        await super()._start()
        with suppress(OSError):  # without a home folder nobody else finds it, which is all
            self._published = publish(self.name, self.scheduler_address, self.security)
            if self.security.require_encryption:
                self._answering = Answering(self.name, self.security, self.scheduler_address)
        self._renewal.start()

    @property  # type: ignore[override]
    def status(self) -> CallableStatus:
        """The cluster's state, as in distributed; called, ``cluster.status()``, a table of what sites do and did."""
        return CallableStatus(self._status, self.table)

    @status.setter
    def status(self, new: Status) -> None:
        self._status = new

    def table(self) -> SiteTable:
        """Return what each site does now and did."""
        assert self.scheduler is not None
        table: SiteTable = self.scheduler.observer.table()
        return table

    def adapt(self, Adaptive: Any = Adaptive, **options: Any) -> Any:  # type: ignore[override]
        """As `distributed.SpecCluster.adapt`: have workers come when there is work and go when there is none."""
        return super().adapt(PoolAdaptive if self.engine.proxied else Adaptive, **options)

    def _repr_html_(self, cluster_status: str | None = None) -> str:
        if self.scheduler is not None:
            cluster_status = f'<tr><td colspan="2">{self.table()._repr_html_()}</td></tr>'
        return super()._repr_html_(cluster_status=cluster_status)

    def learn(self, store: Store) -> None:
        """Give the scheduler the time and memory of each step that the entries of a store tell.

        `DiracClient` does this when it connects. Steps that took much memory then ask for it, and those that took
        more than any worker has are warned of.
        """
        assert self.scheduler is not None
        try:
            self.scheduler.estimates |= estimates_of(store)
        except Exception as error:
            logger.warning("what steps took before can't be read from %s: %s", store.url, error)

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Draw workers by site, tasks by state and bytes moved over the cluster's time, into a PNG, PDF or SVG file."""
        assert self.scheduler is not None
        self.scheduler.observer.sample()
        return plot(self.scheduler.observer.samples, path)

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """Leave workers alone that their own service replaces when they are lost."""
        name = self.scheduler_info["workers"][msg]["name"] if op == "remove" else None
        if getattr(self.workers.get(name), "replaces_itself", False):
            Cluster._update_worker_status(self, op, msg)
        else:
            super()._update_worker_status(op, msg)

    def get(self, dsk: Any, keys: Any, **kwargs: Any) -> Any:
        """Compute a graph here: for dask's ``scheduler=`` (``collection.compute(scheduler=cluster.get)``).

        Parameters
        ----------
        dsk, keys
            The graph, and the keys whose results are wanted.
        **kwargs
            Other options of `distributed.Client.get`.
        """
        with Client(self, set_as_default=False) as client:
            return client.get(dsk, keys, **kwargs)

    async def _close(self) -> None:
        self._renewal.stop()
        self.worker_spec.clear()
        if self._held is not None:
            self._held.close()
        await asyncio.to_thread(self.engine.stop)
        if self._published is not None:
            self._published.unlink(missing_ok=True)
        if self._answering is not None:
            await self._answering.close()
        await super()._close()
        if self.tunnel is not None:
            await asyncio.to_thread(self.tunnel.close)
        for launcher in self.launchers.values():
            await launcher.close()
        if self._files is not None:
            shutil.rmtree(self._files[1], ignore_errors=True)
