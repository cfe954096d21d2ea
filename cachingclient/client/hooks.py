"""What `DiracClient` overrides of `distributed.Client`: the one module that touches the private parts of dask's client.

Each override hands over to an object that the client owns, which sees the client as a `Port`: `Submission` plans and
sends graphs, `Results` reads what is gathered, `Recovery` runs steps whose entries are lost, and `WorkerCheck` knows
whether the workers have this package. A client without a store owns none of them and does what dask does.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from dask.utils import key_split
from distributed import Client, Future
from distributed.core import clean_exception

from cachingclient import config
from cachingclient.client.auto_prune import AutoPrune
from cachingclient.client.port import Port
from cachingclient.client.recovery import Recovery
from cachingclient.client.reports import Records
from cachingclient.client.results import Results, steps_of_data
from cachingclient.client.sent import Registry
from cachingclient.client.submit import Submission
from cachingclient.client.worker_check import WorkerCheck
from cachingclient.graph import ALL_WORKERS, Key, as_dask_sends
from cachingclient.plan.chunk_notes import learn_failure
from cachingclient.plan.history import chunk_notes_of
from cachingclient.plan.policy import CachePolicy
from cachingclient.scheduler.held import LOST
from cachingclient.scheduler.replace_tasks import REVIVED
from cachingclient.storage import Store
from cachingclient.warn_once import NoteKeeper, note_call
from cachingclient.worker import nanny
from cachingclient.worker.computation_code import without_own_modules
from cachingclient.worker.held import resolve

CLOSED = "this client is closed; its reports are still there"
ANSWER = 30.0
"""Seconds that workers may take to say what code they have."""
_impure: contextvars.ContextVar[bool] = contextvars.ContextVar("impure", default=False)
"""Whether the call of `submit` under way said ``pure=False``: dask keeps that to itself."""


class HookedClient(Client):
    """A client of dask whose hooks are served by the objects that it owns.

    Parameters
    ----------
    address
        As for `distributed.Client`.
    store
        Where results are kept; None for a plain client.
    policy, mode
        As for `DiracClient`.
    notes
        Warns the user.
    **kwargs
        Everything else that `distributed.Client` takes.
    """

    def __init__(
        self, address: Any, store: Store | None, policy: CachePolicy, mode: str, notes: NoteKeeper, **kwargs: Any
    ) -> None:
        self.cache = store
        self._notes = notes
        self._registry = Registry()
        limit = config.size_limit()
        self._auto_prune = AutoPrune(store, limit, notes) if store is not None and limit is not None else None
        self._records = Records(notes, self._auto_prune.kept if self._auto_prune is not None else lambda nbytes: None)
        port = _DaskPort(self)
        self._worker_check = WorkerCheck(port, notes)
        self._submission: Submission | None = None
        if store is not None:
            self._submission = Submission(
                port, store, policy, mode, notes, self._registry, self._records, self._worker_check.surroundings
            )
            if self._submission.links is not None:
                self._records.told = self._submission.links.take
            self._recovery = Recovery(port, self._submission)
            self._results = Results(port, self._registry, self._recovery, self._records)
        super().__init__(address, **kwargs)
        if store is not None:
            self._stream_handlers[REVIVED] = self._recovery.answered
            self._stream_handlers[LOST] = self._recovery.give
            recreate: Callable[[Any], Any] = vars(self)["recreate_task_locally"]  # where an extension of dask's puts it
            self.recreate_task_locally = lambda future: resolve(recreate(future))

    @property
    def id(self) -> str:
        """The name that the scheduler knows the client by: it begins as that of dask's own."""
        return self._id

    @id.setter
    def id(self, given: str) -> None:
        self._id = Client.__name__ + given.removeprefix(type(self).__name__)

    async def _start(self, *args: Any, **kwargs: Any) -> Any:
        if self.cluster is None and self._start_arg is None:
            nanny.choose(self._startup_kwargs)  # of the cluster that this client is about to start
        return await super()._start(*args, **kwargs)

    def sync(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """As `distributed.Client.sync`; a closed client says that it is closed, where dask speaks of a loop."""
        try:
            return super().sync(func, *args, **kwargs)
        except (AttributeError, RuntimeError) as error:
            # It has no loop any more, or no scheduler.
            if self.status == "closed" and str(error).startswith(("IOLoop is closed", "'NoneType' object")):
                raise RuntimeError(CLOSED) from None
            raise

    # ---- to the scheduler ----

    def submit(self, func: Callable[..., Any], *args: Any, pure: bool = True, **kwargs: Any) -> Future[Any]:
        """As `distributed.Client.submit`; with ``pure=False`` the step runs every time."""
        token = _impure.set(not pure)
        try:
            return super().submit(func, *args, pure=pure, **kwargs)
        finally:
            _impure.reset(token)

    def _graph_to_futures(self, expr: Any, keys: Iterable[Key], *args: Any, **options: Any) -> dict[Key, Future[Any]]:
        expr = as_dask_sends(expr)  # recreate_error_locally sends a dict, which the scheduler would refuse
        note_call()
        if self._submission is None:
            return super()._graph_to_futures(expr, keys, *args, **options)
        actors = options.get("actors")  # a bool, keys or collections, whose truth dask does not tell
        if (actors is not None and actors is not False) or self._worker_check.lacking:
            return self._submission.send_unplanned(expr, keys, *args, **options)
        return self._submission.submit(expr, keys, *args, impure=_impure.get(), **options)

    # ---- what may give the workers other code, or other values of variables, than the client has ----

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """As `distributed.Client.run`; from then on the workers are asked for their code before anything is loaded."""
        return self._stirring(super().run, *args, **kwargs)

    def register_plugin(self, *args: Any, **kwargs: Any) -> Any:
        """As `distributed.Client.register_plugin`, by which files are uploaded too; as after `run`."""
        return self._stirring(super().register_plugin, *args, **kwargs)

    def restart_workers(self, *args: Any, **kwargs: Any) -> Any:
        """As `distributed.Client.restart_workers`; as after `run`."""
        return self._stirring(super().restart_workers, *args, **kwargs)

    def _stirring(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._stir()
        try:
            return call(*args, **kwargs)
        finally:
            self._stir()  # what was asked meanwhile may have been answered before

    def _stir(self) -> None:
        if self._submission is not None:
            self._submission.workers_code.stir()

    _get_computation_code = staticmethod(without_own_modules(Client._get_computation_code))

    async def _scatter(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        if self._submission is None:
            return await super()._scatter(data, *args, **kwargs)
        if isinstance(data, Iterator):
            data = list(data)
        steps = await asyncio.to_thread(steps_of_data, data, self._submission.identities())
        futures = await super()._scatter(data, *args, **kwargs)
        self._results.scattered(futures, steps)
        return futures

    # ---- from the scheduler ----

    def _handle_task_erred(self, key: Any = None, exception: Any = None, traceback: Any = None) -> None:
        if self._submission is None:
            super()._handle_task_erred(key, exception, traceback)
        elif not self._recovery.takes(key, exception, traceback):
            with contextlib.suppress(Exception):  # a fault here costs the note, never the user's error
                learn_failure(clean_exception(exception, traceback)[1], chunk_notes_of(self._submission.store))
            super()._handle_task_erred(key, exception, traceback)
            self._results.finished(key)

    def _handle_key_in_memory(self, key: Any = None, type: Any = None, workers: Any = None) -> None:
        if self._submission is not None:
            type = self._results.type_of(key, type)
        super()._handle_key_in_memory(key, type, workers)
        if self._submission is not None:
            self._results.finished(key)

    def nbytes(self, keys: Any = None, summary: Any = True, **kwargs: Any) -> Any:
        """As `distributed.Client.nbytes`; an unread hit counts with the size of its entry, not of the reference."""
        if self._submission is None:
            return super().nbytes(keys, summary, **kwargs)
        return self.sync(self._nbytes, keys, summary)

    async def _nbytes(self, keys: Any, summary: bool) -> dict[Any, int]:
        assert self.scheduler is not None
        sizes: dict[Any, int] = await self.scheduler.nbytes(keys=keys, summary=False)
        sizes.update(self._results.sizes_of(sizes))
        if not summary:
            return sizes
        total: Counter[str] = Counter()
        for key, nbytes in sizes.items():
            total[key_split(key)] += nbytes
        return dict(total)

    async def _gather_remote(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if self._submission is None:
            return await super()._gather_remote(*args, **kwargs)
        asked: set[Key] = self._gather_keys or set()  # others may still add to it
        loads = self._results.loads_of(asked)
        asked -= loads.keys()
        if not asked:
            self._gather_keys = self._gather_future = None
            response: dict[str, Any] = {"status": "OK", "data": {}}
        else:
            response = await super()._gather_remote(*args, **kwargs)
        if loads and response["status"] == "OK":
            response["data"].update(await self._results.read(loads))
        return response

    def _release_key(self, key: Key) -> None:
        super()._release_key(key)
        self._registry.release(key)

    def _handle_restart(self) -> None:
        super()._handle_restart()
        self._stir()
        self._registry.clear()
        if self._submission is not None:
            self._recovery.asked.clear()
            if self._submission.links is not None:
                self._submission.links.clear()

    async def _update_scheduler_info(self, *args: Any, **kwargs: Any) -> None:
        await super()._update_scheduler_info(*args, **kwargs)
        if self._submission is not None and self.scheduler is not None:
            # A worker that does not answer must not keep the client from connecting; it is asked again next time.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._worker_check.look(), self._timeout / 2)


class _DaskPort(Port):
    """A `HookedClient` as the objects see it that it owns; what is called here is dask's own, without our hooks."""

    def __init__(self, client: HookedClient) -> None:
        self._client = client

    @property
    def id(self) -> str:
        return self._client.id

    @property
    def lock(self) -> AbstractContextManager[Any]:
        return self._client._refcount_lock

    @property
    def states(self) -> Mapping[Key, Any]:
        return self._client.futures

    @property
    def scheduler_identity(self) -> Mapping[str, Any]:
        return self._client._scheduler_identity

    def future(self, key: Key) -> Future[Any]:
        return Future(key, self._client)

    def send(self, graph: Any, keys: Iterable[Key], *args: Any, **options: Any) -> dict[Key, Future[Any]]:
        return Client._graph_to_futures(self._client, graph, keys, *args, **options)

    def mark_erred(self, key: Key, exception: Any, traceback: Any) -> None:
        Client._handle_task_erred(self._client, key, exception, traceback)

    def tell_scheduler(self, message: Mapping[str, Any]) -> None:
        self._client._send_to_scheduler(message)

    async def run_on_scheduler(self, function: Callable[..., Any], *args: Any) -> Any:
        return await self._client._run_on_scheduler(function, *args)

    async def run_on_workers(self, function: Callable[..., Any], *args: Any, **options: Any) -> dict[str, Any]:
        return await self._client._run(function, *args, **options)

    def ask_workers(self, function: Callable[..., Any], *args: Any) -> Mapping[str, Any] | None:
        if self._client.asynchronous:  # the loop that the answers come by would wait for them
            return None
        try:
            asking = Client._run
            return self._client.sync(asking, self._client, function, *args, on_error="return", callback_timeout=ANSWER)
        except Exception:  # the graph is sent all the same
            return None

    async def log_event(self, topic: str, message: Mapping[str, Any]) -> None:
        await self._client.log_event(topic, message)

    async def workers(self) -> dict[str, bool]:
        assert self._client.scheduler is not None
        found = (await self._client.scheduler.identity(**ALL_WORKERS))["workers"]
        return {worker: told.get("status") != "init" for worker, told in found.items()}

    async def gather(self, futures: list[Future[Any]]) -> list[Any]:
        return await self._client.gather(futures, asynchronous=True)
