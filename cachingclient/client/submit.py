"""From dask's client to the scheduler: a graph is planned against a store, and the part that is not a hit is sent."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain
from typing import Any

from distributed import Future

from cachingclient import config
from cachingclient.client.annotations import apply_annotations, impure_keys, uncached
from cachingclient.client.collecting import collecting_rarely
from cachingclient.client.links import Links
from cachingclient.client.outdated import with_held
from cachingclient.client.port import Port
from cachingclient.client.reports import Records
from cachingclient.client.rewrite import needs_of_runs, read_what_is_held, rewrite, sites_of_loads
from cachingclient.client.sent import Registry, Run
from cachingclient.client.session_classes import SessionClasses
from cachingclient.client.workers_code import WorkersCode
from cachingclient.forks.children import free_in_children
from cachingclient.graph import Key, TaskGraph, is_of_single_calls, lower, to_dask
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.inputs.told import Told
from cachingclient.hashing.keys import Step
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.explain import notes_for
from cachingclient.plan.files_seen import remember_beside
from cachingclient.plan.lookup import LookUp, surroundings
from cachingclient.plan.plan import Plan
from cachingclient.plan.planner import make_plan
from cachingclient.plan.policy import CachePolicy
from cachingclient.plan.report import RunReport
from cachingclient.plan.steps import Action, Constraints
from cachingclient.plan.unkept import ONLY_READS
from cachingclient.storage import EntryInfo, Store
from cachingclient.warn_once import NoteKeeper
from cachingclient.worker.context import Context
from cachingclient.worker.process import process
from cachingclient.worker.writer import Job


class Submission:
    """Plans graphs against a store and sends what is left of them; it knows what was sent before.

    Parameters
    ----------
    port
        The client that sends.
    store
        The store with the results.
    policy, mode
        As for `DiracClient`.
    notes
        Warns the user.
    registry
        The steps behind the client's futures.
    records
        Gets the report of each graph.
    surroundings
        Returns what the workers told of their surroundings.

    Attributes
    ----------
    planning
        The lock under which a graph is planned and sent: of two threads, the second finds what the first has sent.
    lost
        The step keys whose entries turned out to be lost, until all is flushed: they are not looked up.
    """

    def __init__(
        self,
        port: Port,
        store: Store,
        policy: CachePolicy,
        mode: str,
        notes: NoteKeeper,
        registry: Registry,
        records: Records,
        surroundings: Callable[[], Collection[Told | None]],
    ) -> None:
        self.port = port
        self.store = store
        self.notes = notes
        self.registry = registry
        self.planning = free_in_children(threading.RLock())
        self.lost: set[str | None] = set()
        self._policy = policy
        self._mode = mode
        self.workers_code = WorkersCode(port)
        self._records = records
        self._surroundings = surroundings
        self._environment = config.environment()
        self._inputs = config.inputs()
        self._unobserved = config.unobserved()
        self._drawn: dict[bytes, Key] = {}
        self._seen: set[str] = set()
        self._run_count = 0
        remember_beside(store, writes=self._keeps)
        self.links = Links(store, notes) if self._keeps else None  # files step keys

    def submit(
        self, expr: Any, keys: Iterable[Key], *args: Any, impure: bool = False, **options: Any
    ) -> dict[Key, Future[Any]]:
        """Plan a graph, send what is left of it, and remember what its keys stand for.

        Parameters
        ----------
        expr
            What dask's client is about to send.
        keys
            The wanted keys.
        *args, **options
            As `distributed.Client` sends it: priorities, retries, resources and so on.
        impure
            Whether the user called the wanted steps not pure.
        """
        keys = list(keys)
        with self.planning, collecting_rarely():
            try:
                run, graph = self._prepare(expr, keys, options, impure)
            except Exception as error:
                self.notes.add(f"this graph runs without the cache: {type(error).__name__}: {error}")
                return self.send_unplanned(expr, keys, *args, **options)
            with self.port.lock:
                fresh = [key for key in run.plan.wanted if key not in self.port.states]
                run.alive, run.unfinished = set(fresh), set(fresh)
                graph, readers = self.read_held_inputs(graph)
                if self.links is not None:
                    self.links.wait_for(run, self.registry, overwrite=self._mode == "refresh")
                # First: what is known of a key decides what is done about an answer, which may come at once.
                self.registry.add(run, fresh, graph.nodes)
                futures = self.send(graph, readers, keys, *args, **options)
                self.registry.let_go(run)
                if not fresh:
                    run.pinned.clear()
        if run.plan.new_functions and self._keeps:
            self._keep_ingredients(run.plan)
        run.plan.slim()
        return futures

    def replan(
        self, run: Run, keys: Iterable[Key], held: Iterable[Key], lost: frozenset[Key]
    ) -> tuple[Plan, TaskGraph]:
        """Plan a run anew for some of its keys; return the plan, and the graph under keys that are all new.

        Parameters
        ----------
        run
            The run.
        keys
            The wanted keys.
        held
            The keys whose results, or whose computation, the scheduler has.
        lost
            The keys whose entries are lost, so that their steps run.
        """
        constraints = Constraints(run.impure, run.unkept, frozenset(held), lost, self._drawn, self._seen)
        plan = self._make_plan(run.lowered, keys, constraints)
        return plan, rewrite(plan, run.lowered, self._common.of_run(run.name), self.registry.taken, anew=True)

    def plan(self, graph: TaskGraph, wanted: list[Key]) -> Plan:
        """Return the plan of a graph, without sending anything."""
        graph = apply_annotations(graph)
        constraints = Constraints(
            unkept=uncached(graph),
            held=frozenset(self.pin(graph, wanted)),
            drawn=dict(self._drawn),
            seen=set(self._seen),
        )
        plan = self._make_plan(graph, wanted, constraints)
        plan.learn(self.find)
        for step in plan.steps.values():
            if step.action is Action.RUN and not step.unkept:
                kind = step.name, len(step.dependencies)
                step.unkept = self._records.not_worth.get(kind, "")
        return plan

    def identities(self) -> Merkle:
        """Return what names values by their content, as plans do."""
        return Merkle({}, Inputs(self._inputs), self._environment)

    def send_unplanned(self, expr: Any, keys: Iterable[Key], *args: Any, **options: Any) -> dict[Key, Future[Any]]:
        """Send a graph without planning it; its tasks read the unread hits that they take, like any other's."""
        keys = list(keys)
        with self.port.lock:
            if self.registry.holds_any():
                futures = self.send(*self.read_held_inputs(lower(expr)), keys, *args, **options)
            else:
                futures = self.port.send(expr, keys, *args, **options)
        self.registry.steps.update(dict.fromkeys(keys, Step(None, "it was sent without a plan")))
        return futures

    def read_held_inputs(self, graph: TaskGraph) -> tuple[TaskGraph, dict[Key, Key]]:
        """Return a graph whose tasks read the unread hits they take, and the tasks added to read some, by the hit."""
        known = self.registry
        nodes, readers = read_what_is_held(graph.nodes, known.taken, known.steps, known.readers, known.again)
        return TaskGraph(nodes, graph.annotations), readers

    def send(
        self, graph: TaskGraph, readers: Mapping[Key, Key], keys: Iterable[Key], *args: Any, **options: Any
    ) -> dict[Key, Future[Any]]:
        """Send a graph; a task that was added to read an unread hit keeps its future as long as the hit has one."""
        keys, nodes = list(keys), graph.nodes
        if priorities := options.get("internal_priority"):
            # The scheduler trips over a key without one, such as a large keyword of map.
            options["internal_priority"] = {**dict.fromkeys(nodes, -1), **priorities}
        if options.get("actors") is True:
            options["actors"] = tuple(keys)  # not the readers
        wanted = [*keys, *readers.values()]
        annotations = needs_of_runs(graph.annotations, nodes)
        futures = self.port.send(to_dask(nodes, annotations), wanted, *args, **options)
        for key, reader in readers.items():
            self.registry.keep_read(key, futures.pop(reader))
        return futures

    def _keep_ingredients(self, plan: Plan) -> None:
        """Keep the ingredients of the code of new steps, so that a later miss can be explained."""
        try:
            for entry in notes_for(plan.new_functions, private=self.store.private, source=config.source()):
                process().writer.submit(Job(self.store, entry, False, lambda kept, note: None))
        except Exception as error:  # the graph is sent
            self.notes.add(f"later misses can't be explained: {type(error).__name__}: {error}")

    def _prepare(
        self, expr: Any, keys: list[Key], options: Mapping[str, Any], called_impure: bool
    ) -> tuple[Run, TaskGraph]:
        """Plan a graph, and build the graph that is sent for it."""
        start = time.perf_counter()
        lowered = apply_annotations(lower(expr))
        impure = frozenset(keys) if called_impure else frozenset(impure_keys(expr, lowered, keys))
        unkept = uncached(lowered)
        with self.port.lock:  # what an earlier graph has no future for may be released at any moment
            pinned = self.pin(lowered, keys)
            again = [key for key in keys if key in self.registry.taken and key not in pinned]
            sent_before = self.registry.closure(again)
        constraints = Constraints(impure, unkept, frozenset(pinned).union(again), drawn=self._drawn, seen=self._seen)
        plan = self._make_plan(lowered, keys, constraints)
        self._run_count += 1
        name = f"{self.port.id}/{self._run_count}"
        # What a graph of collections gives is taken at once; of single calls, often only the last one's result is.
        hold = is_of_single_calls(expr)
        graph = rewrite(plan, lowered, self._common.of_run(name), self.registry.taken, hold=hold)
        for key in sent_before.keys() & plan.steps.keys():
            plan.steps[key].action = Action.RUN
        report = RunReport(plan, (), time.perf_counter() - start, self.store.url)
        kept = {name: value for name, value in options.items() if name not in ("internal_priority", "actors")}
        run = Run(name, self._run_count, lowered, plan, report, kept, set(keys), impure, unkept, pinned=pinned)
        self._records.add(name, report)
        annotations = {**graph.annotations, **sites_of_loads(plan, graph.nodes)}
        nodes = {**graph.nodes, **sent_before} if sent_before else graph.nodes  # no copy: graphs may be large
        return run, TaskGraph(nodes, annotations)

    def _make_plan(self, lowered: TaskGraph, wanted: Iterable[Key], constraints: Constraints) -> Plan:
        nodes = lowered.nodes
        if constraints.held:
            nodes = {key: node for key, node in nodes.items() if key not in constraints.held}
        merkle = Merkle(self.registry, Inputs(self._inputs), self._environment)
        classes = SessionClasses(self._environment)
        elsewhere = functools.partial(self.workers_code.refused, context=self._common)
        here = surroundings(self.store, classes.changed, self._surroundings())
        constraints = constraints.objecting(classes.objection, elsewhere)
        constraints = with_held(constraints, self.port.states, self.registry, self.links, here)
        look_up = LookUp(self.store, self.notes, here)
        find = functools.partial(self.find, look_up=look_up)
        plan = make_plan(TaskGraph(nodes, lowered.annotations), wanted, merkle, find, constraints)
        plan.differences, plan.unanswered = look_up.reasons, look_up.unanswered
        for step in plan.steps.values() if look_up.reasons else ():
            if step.action is Action.RUN and step.step_key in look_up.reasons:
                step.miss = look_up.reasons[step.step_key]
        for step in plan.steps.values() if classes.packed else ():
            if step.action is Action.LOAD and step.info is not None:
                step.classes = classes.packed.get(step.info.key)
        if not self._keeps:
            for step in plan.steps.values():
                step.unkept = ONLY_READS
        plan.lost |= {key for key, step in plan.steps.items() if step.step_key in self.lost}
        for code in plan.codes.values():
            for warning in code.warnings:
                self.notes.add(warning)
        return plan

    def pin(self, lowered: TaskGraph, wanted: Iterable[Key] = ()) -> dict[Key, Future[Any]]:
        """Return the keys in or before a graph that this client has, finished or on their way, and see that they stay.

        What a graph takes from earlier ones stays too: should an entry there turn out to be lost, all are sent again.
        """
        inputs = chain.from_iterable(node.dependencies for node in lowered.nodes.values())
        with self.port.lock:
            states = self.port.states
            return {
                key: self.port.future(key)
                for key in {key for key in chain(inputs, lowered.nodes, wanted) if key in states}
                if states[key].status in ("pending", "finished", "lost")
            }

    @functools.cached_property
    def _common(self) -> Context:
        """The context of every run, but for the run's name."""
        overwrite = self._mode == "refresh"
        patience = 0.0 if overwrite or not self._keeps else config.patience()
        return Context(
            "", self.store, self._policy, self._environment, self._inputs, overwrite, self._keeps, patience,
            self._unobserved,
        ).pack()  # fmt: skip

    @property
    def _keeps(self) -> bool:
        """Whether results are kept at all."""
        return self._mode != "read" and not self.store.read_only

    def find(self, keys: Iterable[str], look_up: LookUp | None = None) -> Mapping[str, EntryInfo]:
        """Return the entries of these step keys; none in the mode ``"refresh"``, and none that was found to be lost."""
        there = [key for key in keys if key not in self.lost]
        return {} if self._mode == "refresh" else (look_up or LookUp(self.store, self.notes))(there)
