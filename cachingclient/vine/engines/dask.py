"""Engine ``dask``: every worker of a site is a dask worker, and values stay where dask keeps them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, ClassVar

from distributed import Client, WorkerPlugin
from distributed import Future as DaskFuture
from distributed.protocol.pickle import dumps

from cachingclient.vine.engine import Engine, Handle, HandleLost, Needs, SiteStats, Spec
from cachingclient.vine.extra_files import ExtraFiles, Given, parse_extra_files
from cachingclient.vine.launch.launch import worker_spec
from cachingclient.vine.sites import PREFIX, Site
from cachingclient.worker.credentials import Contents, CredentialFiles


class DaskEngine(Engine):
    """Plain dask workers.

    Parameters
    ----------
    extra_files
        Files that each task finds in its working folder, which is then the worker's own: paths, or paths by names.
    """

    name: ClassVar[str] = "dask"
    proxied: ClassVar[bool] = False

    def __init__(self, *, extra_files: Given = None) -> None:
        files = parse_extra_files(extra_files)
        self.worker_plugins: dict[str, WorkerPlugin] = {ExtraFiles.name: ExtraFiles(files)} if files else {}
        self._cluster: Any = None
        self._client: Client | None = None
        self._held: dict[str, DaskFuture[Any]] = {}
        self._lock = threading.Lock()

    @classmethod
    def check(cls) -> None:
        """Nothing is needed but dask."""

    def start(self, cluster: Any) -> None:
        """Remember the cluster."""
        self._cluster = cluster

    def deliver(self, credentials: Contents) -> None:
        """Give workers these, those that come later too."""
        plugin = CredentialFiles(credentials)
        self.worker_plugins[plugin.name] = plugin
        scheduler = getattr(self._cluster, "scheduler", None)
        if scheduler is not None:
            given = {"plugin": dumps(plugin), "name": plugin.name, "idempotent": False}
            scheduler.loop.add_callback(scheduler.register_worker_plugin, None, **given)

    def spec(self, site: Site) -> Spec:
        """Return how one worker of the site is started."""
        return worker_spec(site, self._cluster)

    def resize(self, site: Site, workers: int) -> None:
        """The cluster starts and stops the workers itself."""

    def run(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], needs: Needs
    ) -> Future[Handle]:
        """Submit a task."""
        with self._lock:
            given = [self._held.get(each.key, each) if isinstance(each, Handle) else each for each in args]
            named = {
                name: self._held.get(each.key, each) if isinstance(each, Handle) else each
                for name, each in kwargs.items()
            }
        lost = [each.key for each in (*given, *named.values()) if isinstance(each, Handle)]
        found: Future[Handle] = Future()
        if lost:
            found.set_exception(HandleLost(lost[0]))
            return found
        future = self._connected().submit(function, *given, pure=False, resources=_resources(needs), **named)
        future.add_done_callback(lambda done: self._finish(done, found))
        return found

    def _finish(self, done: DaskFuture[Any], found: Future[Handle]) -> None:
        """Hold the result of a task, and set the future that waits for it."""
        if not found.set_running_or_notify_cancel():
            return
        error = done.exception()
        if error is not None:
            found.set_exception(error)
            return
        key, scheduler = str(done.key), self._cluster.scheduler
        task = scheduler.tasks.get(key)
        place = next(iter(task.who_has or ()), None) if task is not None else None
        site = scheduler.site_of(place) if place is not None else None
        with self._lock:
            self._held[key] = done
        nbytes = task.nbytes if task is not None else 0
        found.set_result(Handle(key, nbytes, task.type if task is not None else "object", site))

    def fetch(self, handles: Sequence[Handle]) -> list[Any]:
        """Gather values."""
        with self._lock:
            lost = [handle.key for handle in handles if handle.key not in self._held]
            futures = [self._held[handle.key] for handle in handles if handle.key in self._held]
        if lost:
            raise HandleLost(lost[0])
        return self._connected().gather(futures)

    def release(self, handles: Iterable[Handle]) -> None:
        """Let go of futures."""
        with self._lock:
            for handle in handles:
                self._held.pop(handle.key, None)

    def stats(self) -> dict[str, SiteStats]:
        """Return the scheduler's counts."""
        found: dict[str, SiteStats] = self._cluster.scheduler.observer.stats()
        return found

    def stop(self) -> None:
        """Close the client; the cluster closes its workers."""
        with self._lock:
            client, self._client = self._client, None
            self._held.clear()
        if client is not None:
            client.close()

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                cluster = self._cluster
                self._client = Client(cluster.scheduler_address, security=cluster.security, set_as_default=False)
            return self._client


def _resources(needs: Needs) -> dict[str, float]:
    """Return the resources that a task asks of its worker."""
    found = {"cores": needs.cores} if needs.cores != 1 else {}
    if needs.gpus:
        found["gpus"] = needs.gpus
    if needs.site is not None:
        found[f"{PREFIX}{needs.site}"] = 1
    return found
