"""`DiracClient`: a `distributed.Client` whose graphs are planned against a store before they are sent."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import os
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

import dask
from dask.utils import key_split
from distributed import Client, Future

from cachingclient import config
from cachingclient.explain import explain, made_of_entry, made_of_step
from cachingclient.fitness import Fitness
from cachingclient.graph import (
    GraphNode,
    Key,
    Lowered,
    as_dask_sends,
    is_impure_map,
    is_of_single_calls,
    lower,
    lower_collections,
    raise_,
    under_other_keys,
)
from cachingclient.hashing.identities import Step
from cachingclient.hashing.inputs import Inputs
from cachingclient.hashing.merkle import Merkle
from cachingclient.ingredients import notes_for
from cachingclient.lazy import kept_among, reading_itself
from cachingclient.lookup import LookUp, within
from cachingclient.notes import NoteKeeper
from cachingclient.planner import Action, Choices, Plan, make_plan
from cachingclient.policy import CachePolicy, find_policy
from cachingclient.records import Records
from cachingclient.recovery import MOST_LOADING_ATTEMPTS, Recovery
from cachingclient.registry import Registry, Run
from cachingclient.report import RunReport, StepRecord
from cachingclient.rewrite import needs_of_runs, read_what_is_held, rewrite, sites_of_loads
from cachingclient.scattering import steps_of_data, steps_of_futures
from cachingclient.step import apply_annotations, uncached
from cachingclient.steps import Context
from cachingclient.storage import EntryInfo, EntryLost, Store, StoreError, open_store
from cachingclient.upkeep import Upkeep
from cachingclient.worker import flush_worker, process, topic_of
from cachingclient.writer import Job

Mode = Literal["readwrite", "read", "refresh", "off"]
_impure: contextvars.ContextVar[bool] = contextvars.ContextVar("impure", default=False)
_OWN_FRAMES = r"cachingclient[\\/]steps"


class DiracClient(Client):
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
        self._mode = _check_mode(mode if mode is not None else config.mode())
        self._policy = find_policy(policy if policy is not None else config.policy())
        self._environment = config.environment()
        self._inputs = config.inputs()
        self._notes = NoteKeeper()
        self.cache = None if cache is False or self._mode == "off" else self._opened(cache)
        self._registry = Registry()
        self._drawn: dict[bytes, Key] = {}
        self._seen: set[str] = set()
        self._lost: set[str | None] = set()
        self._run_count = 0
        limit = config.size_limit()
        self._upkeep = Upkeep(self.cache, limit, self._notes) if self.cache is not None and limit is not None else None
        self._records = Records(self._notes, self._upkeep.kept if self._upkeep is not None else lambda nbytes: None)
        self._recovery = Recovery(self, super()._handle_task_erred)
        self._planning = threading.RLock()
        self._fitness = Fitness(self)
        super().__init__(address, **kwargs)
        if self.cache is not None:
            self.subscribe_topic(topic_of(self.id), self._records.receive)
            _hide_own_frames()
            if (learn := getattr(self.cluster, "learn", None)) is not None:
                threading.Thread(target=learn, args=(self.cache,), name="cachingclient-learn", daemon=True).start()
            atexit.register(_flush_at_exit, weakref.ref(self))

    def _opened(self, cache: str | os.PathLike[str] | Store | None) -> Store | None:
        """Open the store; one that can't be reached in time costs a warning, and this is a plain client."""
        url, options = (config.store(), config.store_options()) if cache is None else (cache, {})
        try:
            return within(config.look_up_timeout(), lambda url: open_store(url, **options), url)
        except (StoreError, TimeoutError) as error:
            self._notes.add(f"this client runs without the cache: {error}")
            return None

    # ---- what the user sees ----

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

    def step_key_of(self, key: Key) -> str | None:
        """Return the step key behind one of this client's futures; None if it is uncacheable or unknown."""
        step = self._registry.get(key)
        return step.key.hex() if step is not None and step.key is not None else None

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the client, once everything that is to be kept is in the store."""
        if self.cache is not None and not self.asynchronous and self.status == "running":
            with contextlib.suppress(Exception):
                self.flush()
        return super().close(*args, **kwargs)

    # ---- between dask's client and the scheduler ----

    def submit(self, func: Callable[..., Any], *args: Any, pure: bool = True, **kwargs: Any) -> Future[Any]:
        """As `distributed.Client.submit`; with ``pure=False`` the step runs every time."""
        token = _impure.set(not pure)
        try:
            return super().submit(func, *args, pure=pure, **kwargs)
        finally:
            _impure.reset(token)

    def _graph_to_futures(self, expr: Any, keys: Iterable[Key], *args: Any, **options: Any) -> dict[Key, Future[Any]]:
        """Plan a graph, send what is left of it, and remember what its keys stand for."""
        keys = list(keys)
        expr = as_dask_sends(expr)  # recreate_error_locally sends a dict, which the scheduler would refuse
        if self.cache is None:
            return super()._graph_to_futures(expr, keys, *args, **options)
        if options.get("actors") or self._fitness.lacking:
            return self._send_as_it_is(expr, keys, *args, **options)
        with self._planning:
            try:
                run, nodes = self._prepare(expr, keys, options)
                annotations = {**run.lowered.annotations, **sites_of_loads(run.plan, nodes)}
            except Exception as error:
                self._notes.add(f"this graph runs without the cache: {type(error).__name__}: {error}")
                return self._send_as_it_is(expr, keys, *args, **options)
            with self._refcount_lock:
                fresh = [key for key in run.plan.wanted if key not in self.futures]
                futures, sent = self._send(Lowered(nodes, annotations), keys, *args, **options)
                run.alive, run.unfinished = set(fresh), set(fresh)
                self._registry.add(run, fresh, sent)
                self._registry.let_go(run)
                if not fresh:
                    run.pinned.clear()
        self._keep_ingredients(run.plan)
        run.plan.slim()
        return futures

    def _send_as_it_is(self, expr: Any, keys: Iterable[Key], *args: Any, **options: Any) -> dict[Key, Future[Any]]:
        """Send a graph that is not planned. It, too, takes results, not where they are kept."""
        keys = list(keys)
        if self._registry.holds_any():
            futures, _ = self._send(lower(expr), keys, *args, **options)
        else:
            futures = super()._graph_to_futures(expr, keys, *args, **options)
        self._registry.steps.update(dict.fromkeys(keys, Step(None, "it was sent without a plan")))
        return futures

    def _send(
        self, graph: Lowered, keys: Iterable[Key], *args: Any, **options: Any
    ) -> tuple[dict[Key, Future[Any]], dict[Key, GraphNode]]:
        """Send a graph, with tasks that read what it needs of what the scheduler holds unread; return its nodes too."""
        registry, keys = self._registry, list(keys)
        nodes, readers = read_what_is_held(
            graph.nodes, registry.taken, registry.steps, registry.readers, registry.again
        )
        if priorities := options.get("internal_priority"):
            # The scheduler trips over a key without one, such as a large keyword of map.
            options["internal_priority"] = {**dict.fromkeys(nodes, -1), **priorities}
        if options.get("actors") is True:
            options["actors"] = tuple(keys)  # not the readers
        wanted = [*keys, *readers.values()]
        annotations = needs_of_runs(graph.annotations, nodes)
        futures = super()._graph_to_futures(raise_(nodes, annotations), wanted, *args, **options)
        registry.read.update((key, futures.pop(reader)) for key, reader in readers.items())
        return futures, nodes

    def _keep_ingredients(self, plan: Plan) -> None:
        """Keep what the code of new steps is made of, so that a later miss can be explained."""
        if self.cache is None or not self._keeps:
            return
        for entry in notes_for(plan.new_functions):
            process().writer.submit(Job(self.cache, entry, False, lambda kept, note: None))

    def _prepare(self, expr: Any, keys: list[Key], options: Mapping[str, Any]) -> tuple[Run, dict[Key, GraphNode]]:
        """Plan a graph and build what is sent for it."""
        start = time.perf_counter()
        lowered = apply_annotations(lower(expr))
        impure = frozenset(keys) if _impure.get() or is_impure_map(expr) else frozenset()
        unkept = uncached(lowered)
        pinned = self._pin(lowered, keys)
        again = [key for key in keys if key in self._registry.taken and key not in pinned]
        choices = Choices(impure, unkept, frozenset(pinned).union(again), drawn=self._drawn, seen=self._seen)
        plan = self._make_plan(lowered, keys, choices)
        self._run_count += 1
        name = f"{self.id}/{self._run_count}"
        sent_before = self._registry.closure(again)
        # What a graph of collections gives is taken at once; of single calls, often only the last one's result is.
        hold = is_of_single_calls(expr)
        nodes = rewrite(plan, lowered, self._context(name), self._registry.taken, hold=hold) | sent_before
        for key in sent_before.keys() & plan.steps.keys():
            plan.steps[key].action = Action.RUN
        report = RunReport(plan, (), time.perf_counter() - start, self.cache.url if self.cache else "")
        kept = {name: value for name, value in options.items() if name not in ("internal_priority", "actors")}
        run = Run(name, self._run_count, lowered, plan, report, kept, set(keys), impure, unkept, pinned=pinned)
        self._records.add(name, report)
        return run, nodes

    def send_again(self, run: Run, keys: Iterable[Key]) -> None:
        """Send keys of a run once more, its lost entries computed again."""
        with self._planning, self._refcount_lock:
            keys = [key for key in keys if key in self.futures]
            needed = {key for node in run.lowered.nodes.values() for key in node.dependencies}
            self.run_again(key for key in needed if self.step_key_of(key) in run.lost)
            hopeless = run.attempts > MOST_LOADING_ATTEMPTS
            lost = frozenset(k for k, step in run.plan.steps.items() if hopeless or step.step_key in run.lost)
            run.pinned = {key: future for key, future in self._pin(run.lowered).items() if key not in keys}
            choices = Choices(run.impure, run.unkept, frozenset(run.pinned), lost, self._drawn, self._seen)
            plan = self._make_plan(run.lowered, keys, choices)
            nodes = rewrite(plan, run.lowered, self._context(run.name), self._registry.taken)
            _, sent = self._send(Lowered(nodes, run.lowered.annotations), keys, **run.options)
            self._registry.add(run, (), sent)
            run.plan.steps.update((key, step) for key, step in plan.steps.items() if step.action is not Action.HELD)

    def run_again(self, keys: Iterable[Key]) -> dict[Key, Future[Any]]:
        """Have results computed that the scheduler holds unread and that are lost; return where they will be."""
        with self._planning, self._refcount_lock:
            keys = list(keys)
            lost: dict[Run, dict[Key, Key]] = {}
            for key in keys:
                run = self.run_of(key)
                if run is not None and self._registry.is_held(key) and key not in self._registry.again:
                    lost.setdefault(run, {})[key] = f"{key_split(key)}-again-{uuid.uuid4().hex}"
            for run, names in lost.items():
                self._lost.update(run.plan.steps[key].step_key for key in names)
                # Under keys of their own: what waits for the lost ones at the scheduler need not be undone first.
                graph = under_other_keys(run.origin.whole() if run.origin is not None else run.lowered, names)
                futures = self._graph_to_futures(raise_(*graph), list(names.values()), **run.options)
                self._registry.again.update((key, futures[name]) for key, name in names.items())
                self._registry.runs[next(iter(futures))].number = run.number  # where it stands if all is sent again
            return {key: self._registry.again[key] for key in keys if key in self._registry.again}

    def forget_at_scheduler(self, keys: list[Key]) -> None:
        """Have the scheduler forget keys whose futures stay."""
        for key in keys:
            self._registry.taken.pop(key, None)
        self._send_to_scheduler({"op": "client-releases-keys", "keys": keys, "client": self.id})

    def run_of(self, key: Key) -> Run | None:
        """Return the run that a future of this client came from."""
        return self._registry.runs.get(key)

    def note(self, text: str) -> None:
        """Tell the user, once."""
        self._notes.add(text)

    def _handle_task_erred(self, key: Any = None, exception: Any = None, traceback: Any = None) -> None:
        if not self._recovery.takes(key, exception, traceback, self.run_of(key)):
            super()._handle_task_erred(key, exception, traceback)
            self._finish(key)

    def _handle_key_in_memory(self, key: Any = None, type: Any = None, workers: Any = None) -> None:
        super()._handle_key_in_memory(key, None if self._registry.is_held(key) else type, workers)
        self._finish(key)

    def _handle_restart(self) -> None:
        super()._handle_restart()
        self._registry.clear()

    def _finish(self, key: Key) -> None:
        run = self.run_of(key)
        # One that is only held may turn out to be lost: what it is computed from stays until it is let go.
        if run is not None and not self._registry.is_held(key):
            run.finish(key)

    def _make_plan(self, lowered: Lowered, wanted: Iterable[Key], choices: Choices) -> Plan:
        nodes = {key: node for key, node in lowered.nodes.items() if key not in choices.held}
        merkle = Merkle(self._registry, Inputs(self._inputs), self._environment)
        plan = make_plan(Lowered(nodes, lowered.annotations), wanted, merkle, self._find, choices)
        plan.lost |= {key for key, step in plan.steps.items() if step.step_key in self._lost}
        for code in plan.codes.values():
            for warning in code.warnings:
                self._notes.add(warning)
        return plan

    def _pin(self, lowered: Lowered, wanted: Iterable[Key] = ()) -> dict[Key, Future[Any]]:
        """Return the keys in or before a graph that this client has, finished or on their way, and see that they stay.

        What a graph takes from earlier ones stays too: should an entry there turn out to be lost, all are sent again.
        """
        keys = {dependency for node in lowered.nodes.values() for dependency in node.dependencies}
        keys.update(lowered.nodes, wanted)
        with self._refcount_lock:
            return {
                key: Future(key, self)
                for key in keys
                if key in self.futures and self.futures[key].status in ("pending", "finished")
            }

    def _context(self, name: str) -> Context:
        assert self.cache is not None
        overwrite = self._mode == "refresh"
        patience = 0.0 if overwrite or not self._keeps else config.patience()
        return Context(
            name, self.cache, self._policy, self._environment, self._inputs, overwrite, self._keeps, patience
        )

    @property
    def _keeps(self) -> bool:
        """Whether results are kept at all."""
        return self._mode != "read" and self.cache is not None and not self.cache.read_only

    def _find(self, keys: Iterable[str]) -> Mapping[str, EntryInfo]:
        assert self.cache is not None
        there = [key for key in keys if key not in self._lost]
        return {} if self._mode == "refresh" else LookUp(self.cache, self._notes)(there)

    def _release_key(self, key: Key) -> None:
        super()._release_key(key)
        self._registry.release(key)

    async def _gather_remote(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Gather results, and read those that the scheduler holds unread."""
        with reading_itself():
            response = await super()._gather_remote(*args, **kwargs)
        if response["status"] != "OK":
            return response
        data = response["data"]
        loads = kept_among(data)
        read = await asyncio.gather(*(asyncio.to_thread(load.read) for load in loads.values()), return_exceptions=True)
        lost: dict[Key, EntryLost] = {}
        for (key, load), found in zip(loads.items(), read, strict=True):
            if isinstance(found, EntryLost):
                lost[key] = found
            elif isinstance(found, BaseException):
                raise found
            else:
                data[key], seconds, info = found
                record = StepRecord(load.known_as, load.name, "loaded", seconds, info.nbytes, saved=info.seconds)
                self._records.take(load.context.run, [record])
        if not lost:
            return response
        data.update(await self._recovery.bring_back(lost))
        return response

    async def _scatter(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Scatter data, which is then known by its content."""
        if self.cache is None:
            return await super()._scatter(data, *args, **kwargs)
        if isinstance(data, Iterator):
            data = list(data)
        merkle = Merkle({}, Inputs(self._inputs), self._environment)
        steps = await asyncio.to_thread(steps_of_data, data, merkle)
        scattered = await super()._scatter(data, *args, **kwargs)
        self._registry.steps.update(steps_of_futures(scattered, steps))
        return scattered

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
