"""`DiracClient`: a `distributed.Client` whose graphs are planned against a store before they are sent."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal

import dask

from cachingclient import config
from cachingclient.client.arguments import Mode, check_keywords, check_mode, opened
from cachingclient.client.hooks import CLOSED, HookedClient
from cachingclient.client.ship import ShippedCredentials, make_parcel, send
from cachingclient.config import check
from cachingclient.graph import Key, lower_collections
from cachingclient.hashing.inputs.remembered import save_memory
from cachingclient.plan.advice import advice
from cachingclient.plan.because import because, explain, learn_because
from cachingclient.plan.forecast import Forecast
from cachingclient.plan.history import History, history_of, note
from cachingclient.plan.plan import Plan
from cachingclient.plan.policy import CachePolicy, find_policy
from cachingclient.plan.progress import follow
from cachingclient.plan.report import RunReport
from cachingclient.storage import Store
from cachingclient.warn_once import NoteKeeper
from cachingclient.worker.process import flush_here, flush_worker, topic_of
from cachingclient.worker.startup import warm_up
from cachingclient.worker.tracebacks import hide_own_frames


class DiracClient(HookedClient):
    """A `distributed.Client` that does not run again what was computed before.

    Parameters
    ----------
    address
        As for `distributed.Client`: the address of a scheduler or a cluster; None starts a ``LocalCluster``.
    cache
        Where results are kept: a URL, a `Store`, or False for none (then it is a plain client). None takes
        ``cachingclient.store`` from dask's configuration, else a folder in the user's cache folder.
    policy
        ``"auto"`` keeps what is cheaper to load than to run, ``"all"`` keeps everything that can be kept; or a
        `CachePolicy`. None takes the configured one, ``"auto"`` unless set.
    mode
        ``"readwrite"``; ``"read"`` keeps nothing new; ``"refresh"`` runs everything and overwrites; ``"off"``
        is a plain client. None takes the configured one, ``"readwrite"`` unless set.
    **kwargs
        Everything else that `distributed.Client` takes.

    Raises
    ------
    ValueError
        If the policy, the mode or the scheme of the URL is not known, or the store's path is a file.

    Examples
    --------
    >>> import tempfile
    >>> def square(x):
    ...     return x**2
    >>> with DiracClient(
    ...     processes=False, dashboard_address=None, cache=f"file://{tempfile.mkdtemp()}", policy="all"
    ... ) as client:
    ...     client.submit(square, 7).result()
    49
    """

    _shipped: ShippedCredentials | None = None

    def __init__(
        self,
        address: Any = None,
        *,
        cache: str | os.PathLike[str] | Store | Literal[False] | None = None,
        policy: str | CachePolicy | None = None,
        mode: Mode | None = None,
        **kwargs: Any,
    ) -> None:
        if faults := [*check.faults(), *check.misspelled()]:
            raise config.ConfigurationError(faults[0])
        check_keywords(kwargs)
        chosen = check_mode(mode if mode is not None else config.mode())
        keeping = find_policy(policy if policy is not None else config.policy())
        notes = NoteKeeper()
        store = None if cache is False or chosen == "off" else opened(cache, notes)
        self._process = os.getpid()
        super().__init__(address, store, keeping, chosen, notes, **kwargs)
        if self.cache is not None:
            warm_up()
            self._records.foresee = Forecast(self.cache)
            self.subscribe_topic(topic_of(self.id), self._records.receive)
            hide_own_frames()
            if (learn := getattr(self.cluster, "learn", None)) is not None:
                threading.Thread(target=learn, args=(self.cache,), name="cachingclient-learn", daemon=True).start()
            atexit.register(_flush_at_exit, weakref.ref(self))

    @property
    def reports(self) -> deque[RunReport]:
        """What each graph did, the last thousand of them."""
        return self._records.reports

    @property
    def report(self) -> RunReport | None:
        """What the last graph did; None before the first."""
        if not self.reports:
            return None
        if not self.asynchronous and self.status == "running":
            self.flush()
            self._learn(self.reports[-1])
        return self.reports[-1]

    @property
    def history(self) -> History:
        """What was run with this client's store, in earlier sessions too; the last runs of two steps and more."""
        if self.cache is None:
            raise ValueError("this client has no cache (cache=False or mode='off'), so it has no history")
        return history_of(self.cache)

    def progress(self) -> None:
        """Show bars until the last graph is done, with the seconds left; nothing where nobody looks, as in a log."""
        if self.reports and self.cache is not None:
            follow(self.reports[-1], self.cache, lambda: sum(self.nthreads().values()), self._is_pending)

    @contextlib.contextmanager
    def reporting(self) -> Iterator[RunReport]:
        """Return one report of all graphs that are sent inside the block; it is complete when the block is left.

        Examples
        --------
        >>> import tempfile
        >>> cache = f"file://{tempfile.mkdtemp()}"
        >>> with DiracClient(processes=False, dashboard_address=None, cache=cache, policy="all") as client:
        ...     with client.reporting() as report:
        ...         client.gather([client.submit(abs, -1), client.submit(abs, -2)])
        [1, 2]
        >>> report.summary().total.ran
        2
        """
        before = list(self.reports)
        report = RunReport(Plan({}, frozenset()))
        yield report
        if not self.asynchronous:
            self.flush()
        sent = [each for each in self.reports if not any(each is one for one in before)]
        for each in sent:
            self._learn(each)
        report.add(sent)

    def plan(self, *collections: Any, optimize_graph: bool = True) -> Plan:
        """Return what computing these collections would load, run and keep, without running anything.

        Parameters
        ----------
        *collections
            Dask collections, as for `compute`.
        optimize_graph
            As for `compute`.
        """
        self._refuse_if_closed()
        if self._submission is None:
            raise ValueError("this client has no cache (cache=False or mode='off'), so there is nothing to plan")
        if not (collections and all(dask.is_dask_collection(each) for each in collections)):
            got = ", ".join(type(each).__name__ for each in collections) or "nothing"
            raise TypeError(f"plan takes dask collections, got {got}")
        lowered, wanted = lower_collections(collections, optimize_graph)
        plan = self._submission.plan(lowered, wanted)
        learn_because(plan, self._submission.store)
        return plan

    def explain(self, what: Any, plan: Plan | None = None) -> str:
        """Say why steps are misses: in what they differ from the nearest results that are kept of these steps.

        Parameters
        ----------
        what
            The key of a step in the graph, a future, or a plan or a collection, for all of its steps that would run.
            With a plan also a name or a glob, such as ``"select*"``.
        plan
            A plan, as `plan` returned it; None for a step of a graph that was sent, if its result was kept.

        Raises
        ------
        ValueError
            If no step of that key or name is known, or the client has no cache.
        RuntimeError
            If the client is closed.
        """
        self._refuse_if_closed()
        if self.cache is None or self._submission is None:
            raise ValueError("this client has no cache (cache=False or mode='off'), so there is nothing to explain")
        if not isinstance(plan, Plan | None):
            raise TypeError(f"plan is a {type(plan).__name__}; it takes what client.plan(...) returned, or None")
        if isinstance(what, Plan) or dask.is_dask_collection(what):
            return because(what if isinstance(what, Plan) else self.plan(what), self.cache)
        key: Key = getattr(what, "key", what)
        if plan is None and not self.asynchronous:
            self.flush()
        return explain(key, plan, self.cache, self.reports, self._submission.find)

    def _repr_html_(self) -> str:
        shown = super()._repr_html_()
        return f"<div>{shown}{self._records.as_html(self.cache)}</div>" if self.cache is not None else shown

    def advise(self) -> str:
        """Say what would save more, in three lines at most: by what was run and kept, and where tasks spend time."""
        self._refuse_if_closed()
        history = list(self.history)  # which refuses a client without a cache
        assert self.cache is not None
        return "\n".join(advice(self.cache, history, self.profile())) or "nothing to advise"

    def ship(self, *modules: ModuleType | str, proxy: str | None = None, token: str | None = None) -> Any:
        """Send this package and modules of yours to the scheduler and to all workers, also those that come later.

        What is installed there stays as it is, in whatever version; what was sent before is replaced.

        Parameters
        ----------
        *modules
            Modules, or their names; a package is sent as a whole. A ValueError says which has no file.
        proxy, token
            Files for the workers' ``X509_USER_PROXY`` and ``BEARER_TOKEN_FILE``, which only you may read; what is new
            in them is sent too, as long as this client is open.
        """
        self._refuse_if_closed()
        if self._shipped is not None:
            self._shipped.stop()
        self._shipped = ShippedCredentials(self, proxy, token)
        return self.sync(send, make_parcel(modules), self._shipped, self, self._notes, self._worker_check)

    def step_key_of(self, key: Key) -> str | None:
        """Return the step key behind one of this client's futures; None if it is uncacheable or unknown."""
        return self._registry.step_key_of(key)

    def flush(self) -> Any:
        """Wait until every worker has written all results that are to be kept to the store."""
        self._refuse_if_closed()
        return self.sync(self._flush)

    def _refuse_if_closed(self) -> None:
        if self.status == "closed":
            raise RuntimeError(CLOSED)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Flush, and close the client; in a forked child, which has not the loop that would do it, only close it."""
        if not self.asynchronous and self.status == "running" and self._process == os.getpid():
            self.sync(self._flush_in_time)
        return super().close(*args, **kwargs)

    def _learn(self, report: RunReport) -> None:
        """Look up how long the steps took that a graph did not need, and why others ran: the report tells it."""
        if self._submission is not None:
            report.plan.learn(self._submission.find)
            learn_because(report.plan, self._submission.store)

    async def _flush(self) -> None:
        """Have every worker write its waiting entries and return its records; wait for records that it sent before."""
        if self._submission is None:
            return
        answers = await self._run(flush_worker, self.id, self._records.runs(), on_error="ignore")
        await self._records.complete(answers.values())
        await self._results.tell()
        if self._submission.links is not None:
            await asyncio.to_thread(self._submission.links.flush, config.flush_timeout())
        await asyncio.to_thread(self._look_after)
        self._submission.lost.clear()  # what was computed again is in the store by now
        await asyncio.to_thread(flush_here)
        await asyncio.to_thread(save_memory)

    def _is_pending(self, report: RunReport) -> bool:
        """Tell whether a graph is still running."""
        return any(key in self.futures and self.futures[key].status == "pending" for key in report.plan.wanted)

    def _look_after(self) -> None:
        """Add to the history, and warn if results that were kept are gone: the store, or a part of it, was removed."""
        if self.cache is not None:
            note(list(self.reports), self.cache, self._is_pending)
        if self.cache is not None and self._auto_prune is None:
            removed = self._submission.links.removed if self._submission and self._submission.links else ()
            kept, gone = self._records.gone_since(self.cache, removed)
            if gone:
                self._notes.add(
                    f"of {kept} results that were kept, {gone} are gone from {self.cache.url}: was it, or a "
                    f"part of it, removed? They are computed again when they are needed"
                )

    async def _flush_in_time(self) -> None:
        """Flush before the end: if there is still a scheduler, and within the time limit."""
        comm = self.scheduler_comm.comm if self.scheduler_comm is not None else None
        if self.cache is not None and comm is not None and not comm.closed():
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._flush(), config.flush_timeout())

    async def _shutdown(self) -> None:
        await self._flush_in_time()
        await super()._shutdown()

    async def _close(self, fast: bool = False) -> None:
        if not fast and self.status in ("running", "closing"):
            await self._flush_in_time()
        await super()._close(fast)
        if self._submission is not None and self._submission.links is not None:
            self._submission.links.close()


def _flush_at_exit(reference: weakref.ref[DiracClient]) -> None:
    """Flush before a script that never closed its client ends."""
    client = reference()
    if client is None or client._process != os.getpid():  # a forked child has not the loop that would do it
        return
    if client.status == "running" and not client.asynchronous:
        with contextlib.suppress(Exception):
            client.sync(client._flush_in_time)
