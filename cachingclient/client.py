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
from typing import Any, Literal, get_args

import dask

from cachingclient import config
from cachingclient.explain import explain, made_of_entry, made_of_step
from cachingclient.graph import Key, lower_collections
from cachingclient.lookup import LookUp, within
from cachingclient.notes import NoteKeeper
from cachingclient.plan import Choices, Plan
from cachingclient.policy import CachePolicy, find_policy
from cachingclient.receiving import ReceivingClient
from cachingclient.report import RunReport
from cachingclient.step import apply_annotations, uncached
from cachingclient.storage import Store, StoreError, open_store
from cachingclient.warming import warm_up
from cachingclient.worker import flush_worker, process, topic_of

Mode = Literal["readwrite", "read", "refresh", "off"]
_OWN_FRAMES = r"cachingclient[\\/](context|steps|loading)"


class DiracClient(ReceivingClient):
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

    def __init__(
        self,
        address: Any = None,
        *,
        cache: str | os.PathLike[str] | Store | Literal[False] | None = None,
        policy: str | CachePolicy | None = None,
        mode: Mode | None = None,
        **kwargs: Any,
    ) -> None:
        chosen = _check_mode(mode if mode is not None else config.mode())
        keeping = find_policy(policy if policy is not None else config.policy())
        notes = NoteKeeper()
        store = None if cache is False or chosen == "off" else _opened(cache, notes)
        super().__init__(address, store, keeping, chosen, notes, **kwargs)
        if self.cache is not None:
            warm_up()
            self.subscribe_topic(topic_of(self.id), self._records.receive)
            _hide_own_frames()
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
            self.reports[-1].plan.learn(self._find)
        return self.reports[-1]

    @contextlib.contextmanager
    def reporting(self) -> Iterator[RunReport]:
        """Give one report of all graphs that are sent meanwhile; it is complete when the block is left.

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
            each.plan.learn(self._find)
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
        if self.cache is None:
            raise ValueError("this client has no cache (cache=False or mode='off'), so there is nothing to plan")
        for collection in collections:
            if not dask.is_dask_collection(collection):
                raise TypeError(f"plan takes dask collections, got a {type(collection).__name__}")
        lowered, wanted = lower_collections(collections, optimize_graph)
        lowered = apply_annotations(lowered)
        choices = Choices(
            unkept=uncached(lowered),
            held=frozenset(self._pin(lowered, wanted)),
            drawn=dict(self._drawn),
            seen=set(self._seen),
        )
        plan = self._make_plan(lowered, wanted, choices)
        plan.learn(self._find)
        return plan

    def explain(self, key: Key, plan: Plan | None = None) -> str:
        """Say why a step is not found in the store: what changed since the nearest result that is kept of it.

        Parameters
        ----------
        key
            The step's key in the graph, such as a future's.
        plan
            What `plan` returned; None for what was sent, as far as it was kept.
        """
        if self.cache is None:
            raise ValueError("this client has no cache (cache=False or mode='off'), so there is nothing to explain")
        if plan is not None and key in plan.details:
            step = plan.steps[key]
            return step.reason or explain(made_of_step(step.name, plan.details[key]), step.step_key, self.cache)
        steps = [report.plan.steps[key] for report in self.reports if key in report.plan.steps]
        if not steps:
            raise ValueError(f"key is {key!r}, which none of this client's reports has")
        if not self.asynchronous:
            self.flush()
        found = self._find([steps[-1].step_key]) if steps[-1].step_key is not None else {}
        if not found:
            return steps[-1].reason or "its result was not kept: ask before it runs, with plan=client.plan(...)"
        info = next(iter(found.values()))
        return explain(made_of_entry(info, self.cache), steps[-1].step_key, self.cache)

    def flush(self) -> Any:
        """Wait until everything that is to be kept is in the store, on every worker."""
        return self.sync(self._flush)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the client, once everything that is to be kept is in the store."""
        if self.cache is not None and not self.asynchronous and self.status == "running":
            with contextlib.suppress(Exception):
                self.flush()
        return super().close(*args, **kwargs)

    async def _update_scheduler_info(self, *args: Any, **kwargs: Any) -> None:
        await super()._update_scheduler_info(*args, **kwargs)
        if self.cache is not None:
            await self._fitness.look()

    async def _flush(self) -> None:
        """Have every worker write and hand over its records; wait for those that it sent before."""
        if self.cache is None:
            return
        answers = await self._run(flush_worker, self._records.runs(), on_error="ignore")
        await self._records.complete(answers.values())
        await asyncio.to_thread(self._look_after)
        self._lost.clear()  # what was computed again is in the store by now
        await asyncio.to_thread(process().writer.flush)

    def _look_after(self) -> None:
        """Warn if what was kept is there no more: somebody removed the store, or a part of it, during the run."""
        keys = set(self._records.kept_since())
        if keys and self.cache is not None and self._upkeep is None:
            self.cache.refresh()
            gone = keys - LookUp(self.cache, self._notes)(keys).keys()
            if gone:
                self._notes.add(
                    f"of {len(keys)} results that were kept, {len(gone)} are gone from {self.cache.url}: was it, or a "
                    f"part of it, removed? They are computed again when they are needed"
                )

    async def _close(self, fast: bool = False) -> None:
        if self.cache is not None and not fast and self.status in ("running", "closing"):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._flush(), config.flush_timeout())
        await super()._close(fast)


def _check_mode(mode: str) -> str:
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}; it takes {', '.join(map(repr, get_args(Mode)))}")
    return mode


def _opened(cache: str | os.PathLike[str] | Store | None, notes: NoteKeeper) -> Store | None:
    """Open the store; one that can't be reached in time costs a warning, and this is a plain client."""
    url, options = (config.store(), config.store_options()) if cache is None else (cache, {})
    try:
        return within(config.look_up_timeout(), lambda url: open_store(url, **options), url)
    except (StoreError, TimeoutError) as error:
        notes.add(f"this client runs without the cache: {error}")
        return None


def _hide_own_frames() -> None:
    """Leave the wrapper of a step out of the tracebacks that users see, as dask does with its own."""
    shortened = dask.config.get("admin.traceback.shorten")
    if _OWN_FRAMES not in shortened:
        dask.config.set({"admin.traceback.shorten": [*shortened, _OWN_FRAMES]})


def _flush_at_exit(reference: weakref.ref[DiracClient]) -> None:
    """Flush before a script that never closed its client ends."""
    client = reference()
    if client is not None and client.status == "running" and not client.asynchronous:
        with contextlib.suppress(Exception):
            client.flush()
