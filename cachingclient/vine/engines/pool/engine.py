"""`PoolEngine`: an engine whose pool is run by a manager in a process of its own."""

from __future__ import annotations

import itertools
import pickle
import secrets
import shutil
import tempfile
import threading
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import cloudpickle
from dask.utils import funcname

from cachingclient.vine.engine import Engine, EngineLost, Handle, HandleLost, Needs, SiteStats, Spec
from cachingclient.vine.engines.pool.commands import ManagerAddress, check_fits
from cachingclient.vine.engines.pool.counters import Counters
from cachingclient.vine.engines.pool.handles import Holders
from cachingclient.vine.engines.pool.manager import Work
from cachingclient.vine.engines.pool.manager_process import ManagerProcess
from cachingclient.vine.engines.pool.modes import check_mode
from cachingclient.vine.engines.pool.ports import parse_ports
from cachingclient.vine.engines.pool.proxy import ProxyWorker, proxy_spec
from cachingclient.vine.engines.pool.runner import Inline, Input, Status, unpickled_error
from cachingclient.vine.engines.pool.workers import Workers
from cachingclient.vine.extra_files import Given, copy_into, parse_extra_files
from cachingclient.vine.sites import Site
from cachingclient.worker.process import process

ANSWERED_WITHIN = 600.0


class TaskDied(RuntimeError):
    """The process that ran a task died each time, without a word of why."""


class PoolEngine(Engine):
    """The common part of the engines with a manager.

    Parameters
    ----------
    folder
        Where the manager writes its logs, and values on their way; kept at the end. None takes a temporary folder,
        which goes with the engine.
    host
        Where workers find the manager.
    port
        Where it listens: a number, a range of two numbers, or 0 for any free one.
    extra_files
        Files that each task finds in its working folder: paths, or paths by names.
    **options
        Options of the manager.
    """

    backend: ClassVar[str]
    """The class in the manager's process, as ``module:name``."""

    measures: bool = False
    """Whether the library measures what tasks take."""

    def __init__(
        self,
        *,
        folder: str | Path | None,
        host: str,
        port: int | tuple[int, int] = 0,
        extra_files: Given = None,
        **options: Any,
    ) -> None:
        self.host = host
        self.password = secrets.token_hex(16)
        self.extra_files = parse_extra_files(extra_files)
        self._options = {**options, "ports": parse_ports(port), "password": self.password}
        self._given_folder = folder
        self._numbers = itertools.count()
        self._futures: dict[str, Future[Handle]] = {}
        self._inline: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._sites: dict[str, Site] = {}
        self._workers: dict[str, Workers] = {}
        self._link: ManagerProcess | None = None
        self._described: Future[dict[str, Any]] | None = None
        self._connected = 0
        self._running: Counter[str | None] = Counter()
        self.counters = Counters()
        self.holders = Holders()
        self.proxies: dict[str, ProxyWorker] = {}
        self.cluster: Any = None

    @property
    def link(self) -> ManagerProcess:
        """The manager's process."""
        if self._link is None:
            raise EngineLost(f"engine {self.name} was not started")
        return self._link

    # ---- what an engine of its own says ----

    @abstractmethod
    def workers_of(self, site: Site, folder: Path, address: ManagerAddress) -> Workers:
        """Return what starts the workers of a site."""

    # ---- the contract ----

    def start(self, cluster: Any) -> None:
        """Start the manager, and the workers of every site."""
        self.cluster = cluster
        self._sites = dict(cluster.sites)
        self.folder = Path(self._given_folder or tempfile.mkdtemp(prefix=f"cachingclient-{self.name}-")).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._link = ManagerProcess(self.name, self.folder, self._hear, self._mourn)
        try:
            files = copy_into(self.folder / "extra-files", self.extra_files)
            self._link.start(self.backend, {"folder": self.folder, "extra_files": files, **self._options})
            address = ManagerAddress(self.host, self._link.port, self.password)
            for name, site in self._sites.items():
                self._workers[name] = self.workers_of(site, self.folder / f"site-{name}", address)
                self._workers[name].resize(site.workers)
        except BaseException:
            self.stop()
            raise

    def spec(self, site: Site) -> Spec:
        """Return the site's proxy."""
        return proxy_spec(self, site)

    def resize(self, site: Site, workers: int) -> None:
        """Have as many workers at a site."""
        self._workers[site.name].resize(workers)
        for proxy in self.proxies.values():
            if proxy.site.name == site.name:
                proxy.loop.add_callback(proxy.resize, workers)

    def run(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], needs: Needs
    ) -> Future[Handle]:
        """Run a function in the pool."""
        future: Future[Handle] = Future()
        key = f"v{next(self._numbers)}"
        try:
            self._check_fits(needs)
            check_mode(needs.mode, self.measures)
            files: dict[str, str] = {}
            given = [self._argument(each, files) for each in args]
            named = {name: self._argument(each, files) for name, each in kwargs.items()}
            payload = cloudpickle.dumps((function, given, named), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            future.set_exception(error)
            return future
        with self._lock:
            if (lost := self.link.lost) is not None:
                future.set_exception(lost)
                return future
            self._futures[key] = future
        self.counters.submitted(key, needs.site)
        self.counters.took((each for each in (*args, *kwargs.values()) if isinstance(each, Handle)), needs.site)
        future.add_done_callback(lambda done: self._cancel(key) if done.cancelled() else None)
        category = funcname(getattr(function, "func", function))
        fits = (needs.cores, needs.memory, needs.disk, needs.gpus, needs.site)
        self.link.tell("run", Work(key, payload, files, *fits, category=category, mode=needs.mode))
        return future

    def put(self, value: Any) -> Handle:
        """Take a value into the pool, so that it is sent to a worker once and not with every task."""
        key = f"v{next(self._numbers)}"
        path = self.folder / f"put-{key}"
        with path.open("wb") as file:
            cloudpickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)
            size = file.tell()
        self.link.tell("put", key, path)  # the manager takes the file away, which may be at once
        kind = type(value)
        return Handle(key, size, f"{kind.__module__}.{kind.__qualname__}")

    def fetch(self, handles: Sequence[Handle]) -> list[Any]:
        """Return values."""
        return [pickle.loads(data) for data in self.fetch_pickled(handles)]

    def fetch_pickled(self, handles: Sequence[Handle]) -> list[bytes | bytearray]:
        """Return values as they were pickled in the pool."""
        asked = {
            handle.key: self.link.ask("fetch", handle.key)
            for handle in dict.fromkeys(handles)
            if handle.key not in self._inline
        }
        found: dict[str, bytes | bytearray] = {}
        for handle in handles:
            inline = self._inline.get(handle.key)
            if inline is not None:
                found[handle.key] = inline
                continue
            path = asked[handle.key].result(ANSWERED_WITHIN) if handle.key in asked else None
            if path is None:
                raise HandleLost(handle.key)
            found[handle.key] = bytearray(path.read_bytes())
        return [found[handle.key] for handle in handles]

    def release(self, handles: Iterable[Handle]) -> None:
        """Let the pool forget values."""
        keys = [handle.key for handle in handles if self._inline.pop(handle.key, None) is None]
        if keys:
            self.counters.released(keys)
            self.link.tell("release", keys)

    def stats(self) -> dict[str, SiteStats]:
        """Return the counts of every site; which tasks run is as of the manager's last answer."""
        self._ask()
        here = sum(each.count(self._connected) for each in self._workers.values() if each.counted)
        others = max(self._connected - here, 0)
        return self.counters.by_site({name: each.count(others) for name, each in self._workers.items()}, self._running)

    def _ask(self) -> None:
        """Ask the manager for its counts, without waiting: an answer may take a second."""
        if self._described is None or self._described.done():
            self._described = self.link.ask("describe")
            self._described.add_done_callback(self._answered)

    def _answered(self, answer: Future[dict[str, Any]]) -> None:
        """Take the manager's counts at once: half a second later short tasks that ran have ended."""
        if not answer.cancelled() and answer.exception() is None:
            self._connected = answer.result()["connected"]
            self._running = self.counters.places_of(answer.result()["running"])

    def describe(self) -> dict[str, Any]:
        """Return the counts of the library's manager."""
        found: dict[str, Any] = self.link.ask("describe").result(ANSWERED_WITHIN)
        return found

    def stop(self) -> None:
        """Stop workers and manager."""
        if self._link is None:
            return
        for workers in self._workers.values():
            workers.stop()
        self._link.stop()
        if self._given_folder is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- messages of the manager ----

    def _hear(self, word: str, *arguments: Any) -> None:
        getattr(self, f"_on_{word}")(*arguments)

    def _mourn(self, why: str) -> None:
        """Fail all futures that wait: the manager is gone."""
        with self._lock:
            futures = list(self._futures.values())
            self._futures.clear()
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_exception(EngineLost(why))

    def _on_done(self, key: str, status: Status) -> None:
        if status.records is not None:
            process().deliver(pickle.loads(status.records))
        if status.error is not None:
            self._fail(key, *unpickled_error(status.error))
            return
        site = self.counters.finished(key, True)
        if status.inline is not None:
            self._inline[key] = status.inline
        handle = Handle(key, status.nbytes, status.typename, site)
        future = self._taken(key)
        if future is None:
            self.release([handle])
        else:
            future.set_result(handle)

    def _on_failed(self, key: str, why: str) -> None:
        self._fail(key, TaskDied(why))

    def _on_lost(self, key: str, lost: str) -> None:
        self._fail(key, HandleLost(lost))

    def _fail(self, key: str, error: BaseException, trace: TracebackType | None = None) -> None:
        self.counters.finished(key, False)
        future = self._taken(key)
        if future is not None:
            future.set_exception(error.with_traceback(trace))

    def _taken(self, key: str) -> Future[Handle] | None:
        """Return a task's future for good; None if nobody waits for it."""
        with self._lock:
            future = self._futures.pop(key, None)
        return future if future is not None and future.set_running_or_notify_cancel() else None

    def _cancel(self, key: str) -> None:
        with self._lock:
            known = self._futures.pop(key, None) is not None
        if known:
            self.counters.forgotten(key)
            self.link.tell("cancel", key)

    # ---- one task ----

    def _argument(self, argument: Any, files: dict[str, str]) -> Any:
        """Return what stands for an argument in the pool, and note the file that it needs."""
        if not isinstance(argument, Handle):
            return argument
        inline = self._inline.get(argument.key)
        if inline is not None:
            return Inline(inline)
        file = f"input-{len(files)}"
        files[file] = argument.key
        return Input(file)

    def _check_fits(self, needs: Needs) -> None:
        """Raise an error for a task that no worker can ever run."""
        sites = [self._sites[needs.site]] if needs.site is not None else list(self._sites.values())
        check_fits(needs, sites)
        for site in sites:
            trouble = self._workers[site.name].trouble()
            if trouble is not None and len(sites) == 1:
                raise EngineLost(f"site {site.name} has no workers: {trouble}")
