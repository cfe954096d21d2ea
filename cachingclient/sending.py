"""From dask's client to the scheduler: graphs are planned against a store, and what is left of them is sent."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from distributed import Client, Future

from cachingclient import config
from cachingclient.context import Context
from cachingclient.fitness import Fitness
from cachingclient.graph import (
    Key,
    Lowered,
    as_dask_sends,
    is_impure_map,
    is_of_single_calls,
    lower,
    raise_,
)
from cachingclient.hashing.identities import Step
from cachingclient.hashing.inputs import Inputs
from cachingclient.hashing.merkle import Merkle
from cachingclient.ingredients import notes_for
from cachingclient.lookup import LookUp
from cachingclient.notes import NoteKeeper
from cachingclient.plan import Action, Choices, Plan
from cachingclient.planner import make_plan
from cachingclient.policy import CachePolicy
from cachingclient.records import Records
from cachingclient.registry import Registry, Run
from cachingclient.report import RunReport
from cachingclient.rewrite import needs_of_runs, read_what_is_held, rewrite, sites_of_loads
from cachingclient.step import apply_annotations, uncached
from cachingclient.storage import EntryInfo, Store
from cachingclient.upkeep import Upkeep
from cachingclient.worker import process
from cachingclient.writer import Job

_impure: contextvars.ContextVar[bool] = contextvars.ContextVar("impure", default=False)


class SendingClient(Client):
    """A client of dask that plans what it sends.

    Parameters
    ----------
    address
        As for `distributed.Client`.
    store
        Where results are kept; None for a plain client.
    policy, mode
        As for `DiracClient`.
    notes
        Passes on what the user should hear of.
    **kwargs
        Everything else that `distributed.Client` takes.
    """

    def __init__(
        self, address: Any, store: Store | None, policy: CachePolicy, mode: str, notes: NoteKeeper, **kwargs: Any
    ) -> None:
        self.cache = store
        self._policy = policy
        self._mode = mode
        self._notes = notes
        self._environment = config.environment()
        self._inputs = config.inputs()
        self._registry = Registry()
        self._drawn: dict[bytes, Key] = {}
        self._seen: set[str] = set()
        self._lost: set[str | None] = set()
        self._run_count = 0
        limit = config.size_limit()
        self._upkeep = Upkeep(store, limit, notes) if store is not None and limit is not None else None
        self._records = Records(notes, self._upkeep.kept if self._upkeep is not None else lambda nbytes: None)
        self._planning = threading.RLock()
        self._fitness = Fitness(self)
        super().__init__(address, **kwargs)

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
                run, graph = self._prepare(expr, keys, options)
            except Exception as error:
                self._notes.add(f"this graph runs without the cache: {type(error).__name__}: {error}")
                return self._send_as_it_is(expr, keys, *args, **options)
            with self._refcount_lock:
                fresh = [key for key in run.plan.wanted if key not in self.futures]
                run.alive, run.unfinished = set(fresh), set(fresh)
                graph, readers = self._read_what_is_held(graph)
                # First: what is known of a key decides what is done about an answer, which may come at once.
                self._registry.add(run, fresh, graph.nodes)
                futures = self._send(graph, readers, keys, *args, **options)
                self._registry.let_go(run)
                if not fresh:
                    run.pinned.clear()
        self._keep_ingredients(run.plan)
        run.plan.slim()
        return futures

    def _send_as_it_is(self, expr: Any, keys: Iterable[Key], *args: Any, **options: Any) -> dict[Key, Future[Any]]:
        """Send a graph that is not planned. It, too, takes results, not where they are kept."""
        keys = list(keys)
        with self._refcount_lock:
            if self._registry.holds_any():
                futures = self._send(*self._read_what_is_held(lower(expr)), keys, *args, **options)
            else:
                futures = super()._graph_to_futures(expr, keys, *args, **options)
        self._registry.steps.update(dict.fromkeys(keys, Step(None, "it was sent without a plan")))
        return futures

    def _read_what_is_held(self, graph: Lowered) -> tuple[Lowered, dict[Key, Key]]:
        """Return a graph that reads what it needs of what is held unread, and the tasks that read, by key."""
        registry = self._registry
        nodes, readers = read_what_is_held(
            graph.nodes, registry.taken, registry.steps, registry.readers, registry.again
        )
        return Lowered(nodes, graph.annotations), readers

    def _send(
        self, graph: Lowered, readers: Mapping[Key, Key], keys: Iterable[Key], *args: Any, **options: Any
    ) -> dict[Key, Future[Any]]:
        """Send a graph; the futures of the tasks that read for others are kept as long as what they read."""
        keys, nodes = list(keys), dict(graph.nodes)
        if priorities := options.get("internal_priority"):
            # The scheduler trips over a key without one, such as a large keyword of map.
            options["internal_priority"] = {**dict.fromkeys(nodes, -1), **priorities}
        if options.get("actors") is True:
            options["actors"] = tuple(keys)  # not the readers
        wanted = [*keys, *readers.values()]
        annotations = needs_of_runs(graph.annotations, nodes)
        futures = super()._graph_to_futures(raise_(nodes, annotations), wanted, *args, **options)
        for key, reader in readers.items():
            self._registry.keep_read(key, futures.pop(reader))
        return futures

    def _keep_ingredients(self, plan: Plan) -> None:
        """Keep what the code of new steps is made of, so that a later miss can be explained."""
        if self.cache is None or not self._keeps:
            return
        for entry in notes_for(plan.new_functions):
            process().writer.submit(Job(self.cache, entry, False, lambda kept, note: None))

    def _prepare(self, expr: Any, keys: list[Key], options: Mapping[str, Any]) -> tuple[Run, Lowered]:
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
        graph = rewrite(plan, lowered, self._context(name), self._registry.taken, hold=hold)
        for key in sent_before.keys() & plan.steps.keys():
            plan.steps[key].action = Action.RUN
        report = RunReport(plan, (), time.perf_counter() - start, self.cache.url if self.cache else "")
        kept = {name: value for name, value in options.items() if name not in ("internal_priority", "actors")}
        run = Run(name, self._run_count, lowered, plan, report, kept, set(keys), impure, unkept, pinned=pinned)
        self._records.add(name, report)
        annotations = {**graph.annotations, **sites_of_loads(plan, graph.nodes)}
        return run, Lowered({**graph.nodes, **sent_before}, annotations)

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
                if key in self.futures and self.futures[key].status in ("pending", "finished", "lost")
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

    def note(self, text: str) -> None:
        """Tell the user, once."""
        self._notes.add(text)

    def step_key_of(self, key: Key) -> str | None:
        """Return the step key behind one of this client's futures; None if it is uncacheable or unknown."""
        step = self._registry.get(key)
        return step.key.hex() if step is not None and step.key is not None else None
