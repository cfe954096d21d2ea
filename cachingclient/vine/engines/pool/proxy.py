"""The dask worker that stands for a site's pool at the scheduler, and hands its tasks on."""

from __future__ import annotations

import asyncio
import functools
import pickle
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Any

from dask.sizeof import sizeof
from dask.typing import Key
from distributed import Reschedule, Worker
from distributed.core import Status, error_message
from distributed.protocol import to_serialize
from distributed.worker_state_machine import FreeKeysEvent

from cachingclient.versions import TOLD, own_version
from cachingclient.vine.engine import EngineLost, Handle, HandleLost, Needs, Spec
from cachingclient.vine.engines.pool.handles import Held, Pool
from cachingclient.vine.engines.pool.runner import run_node
from cachingclient.vine.sites import Site
from cachingclient.worker.process import process

AHEAD = 2
"""A proxy takes this many tasks for each that its site can run, so that the next is there when one ends."""
MOST_PASSED = 16 * 1024
"""Values that did not come from the pool are put there if they are larger than this."""


def proxy_spec(engine: Pool, site: Site) -> Spec:
    """Return the specification of a site's proxy, which the cluster starts."""
    cluster = engine.cluster
    options = {
        "engine": engine,
        "site": site,
        "security": cluster.security,
        "protocol": cluster.protocol,
        "host": cluster.host,
        "dashboard": False,
        "memory_limit": 0,
        "silence_logs": cluster.silence_logs,
    }
    return {"cls": ProxyWorker, "options": options}


class ProxyWorker(Worker):
    """A worker whose tasks run elsewhere, and whose data are handles.

    Parameters
    ----------
    engine
        The pool.
    site
        The site that it stands for.
    """

    is_proxy = True

    def __init__(self, scheduler: Any = None, *, engine: Pool, site: Site, **kwargs: Any) -> None:
        self.engine = engine
        self.site = site
        super().__init__(
            scheduler,
            nthreads=places(site, site.workers),
            resources=resources_of(site, site.workers),
            data=Held(engine),
            executor={"default": PoolExecutor(self)},
            startup_information={TOLD: lambda worker: {"version": own_version()}},
            **kwargs,
        )

    async def start_unsafe(self) -> Any:
        """Start, and be known to the other proxies."""
        started = await super().start_unsafe()
        self.engine.proxies[self.address] = self
        process().stand_for(self)
        return started

    async def get_data(
        self, comm: Any, keys: Collection[Key], who: str | None = None, serializers: list[str] | None = None
    ) -> Any:
        """Send handles to the other proxies, and values to everybody else."""
        if who in self.engine.proxies:
            return await super().get_data(comm, keys, who, serializers)
        held = {key: self.data[key] for key in keys if key in self.data}
        values = await asyncio.to_thread(self._values, held)
        self.forget(held.keys() - values.keys())
        message = {"status": "OK", "data": {key: to_serialize(value) for key, value in values.items()}}
        await comm.write(message, serializers=serializers)
        await comm.read(deserializers=serializers)
        return Status.dont_reply

    def _values(self, held: Mapping[Key, Any]) -> dict[Key, Any]:
        """Return what handles stand for, without those that are lost."""
        found: dict[Key, Any] = {}
        for key, value in held.items():
            try:
                found[key] = Pickled(self.engine.fetch_pickled([value])[0]) if isinstance(value, Handle) else value
            except (HandleLost, EngineLost):
                continue  # computed again, or found to be beyond that
        return found

    def forget(self, keys: Iterable[Key]) -> None:
        """Tell the scheduler that values are lost, so that it has them computed again."""
        stimulus = f"handle-lost-{time.time()}"
        keys = list(keys)
        self.handle_stimulus(FreeKeysEvent(keys=keys, stimulus_id=stimulus))
        for key in keys:
            self.batched_send({"op": "release-worker-data", "key": key, "stimulus_id": stimulus})

    def resize(self, workers: int) -> None:
        """Take as many tasks as a site of another size can run. Called on the event loop."""
        self.state.nthreads = places(self.site, workers)
        self.engine.cluster.scheduler.resize_worker(self.address, self.state.nthreads)
        self.loop.add_callback(self.set_resources, **resources_of(self.site, workers))


def places(site: Site, workers: int) -> int:
    """Return how many tasks a proxy takes at once."""
    return max(AHEAD * workers * site.nthreads, 1)


def resources_of(site: Site, workers: int) -> dict[str, float]:
    """Return the resources of a site of so many workers, as much more as there are tasks taken ahead."""
    return {name: AHEAD * workers * amount for name, amount in site.advertised.items()}


class Pickled:
    """A value that was pickled in the pool and is unpickled where it arrives.

    Examples
    --------
    >>> pickle.loads(pickle.dumps(Pickled(pickle.dumps([1, 2]))))
    [1, 2]
    """

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> Any:
        return pickle.loads, (pickle.PickleBuffer(self.data) if protocol >= 5 else bytes(self.data),)


class PoolExecutor(Executor):
    """Hands a proxy's tasks to the pool, in the place of a thread pool.

    Parameters
    ----------
    proxy
        Whose executor it is.
    """

    def __init__(self, proxy: ProxyWorker) -> None:
        self._proxy = proxy

    def submit(self, fn: Any, /, node: Any, data: dict[Key, Any], delay: float) -> Future[Any]:  # type: ignore[override]
        """Have the pool run a task in the way of `distributed.worker._run_task_simple`, which `fn` is."""
        for key, value in data.items():
            if not isinstance(value, Handle) and sizeof(value) > MOST_PASSED:
                # Scattered, say: sent into the pool once, and not with every task.
                data[key] = self._proxy.data[key] = self._proxy.engine.put(value)
        given = (node, tuple(data), *data.values())
        found: Future[Any] = Future()
        start = time.time()
        running = self._proxy.engine.run(run_node, given, {}, self._needs(node.key))
        running.add_done_callback(functools.partial(self._finish, found, data, start + delay, delay))
        return found

    def _needs(self, key: Key) -> Needs:
        task = self._proxy.state.tasks.get(key)
        asked = (task.resource_restrictions if task is not None else None) or {}
        return Needs(
            cores=asked.get("cores", 1),
            memory=int(asked.get("memory", 0)),
            gpus=asked.get("gpus", 0),
            site=self._proxy.site.name,
            mode=((task.annotations if task is not None else None) or {}).get("resources_mode"),
        )

    def _finish(
        self, found: Future[Any], data: Mapping[Key, Any], start: float, delay: float, done: Future[Handle]
    ) -> None:
        """Put the end of a task into the words that `distributed.Worker` expects."""
        message: dict[str, Any]
        try:
            handle = done.result()
        except HandleLost as error:
            lost = [key for key, value in data.items() if isinstance(value, Handle) and value.key == error.args[0]]
            self._proxy.loop.add_callback(self._proxy.forget, lost)
            message = {**error_message(error), "op": "task-erred", "actual_exception": Reschedule()}
        except BaseException as error:
            error.__traceback__ = _without_ours(error.__traceback__)
            message = {**error_message(error), "op": "task-erred", "actual_exception": error}
        else:
            message = {
                "op": "task-finished",
                "status": "OK",
                "result": handle,
                "nbytes": handle.nbytes,
                "type": _type_named(handle.typename),
            }
        message |= {"start": start, "stop": time.time() + delay, "thread": threading.get_ident()}
        if found.set_running_or_notify_cancel():
            found.set_result(message)


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from where the task itself begins."""
    for _ in range(3):  # _finish, and two of concurrent.futures
        trace = trace.tb_next if trace is not None else None
    return trace


@functools.lru_cache(maxsize=1000)
def _type_named(name: str) -> type:
    """Return a type of a name: the scheduler shows the names of results' types, and has no other use for them."""
    module, _, short = name.rpartition(".")
    return type(short, (), {"__module__": module})
