"""What a task calls in place of a user's function to keep its result."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dask.utils import funcname

from cachingclient.graph import Key
from cachingclient.hashing.content_keys import code_of_call, look_at_call, may_change_arguments
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.keys import Code
from cachingclient.plan.explain import describe_difference
from cachingclient.plan.lookup import surroundings
from cachingclient.plan.policy import Cost, KeepAll, why_quick
from cachingclient.plan.record import BEYOND_BUDGET, QUICK
from cachingclient.plan.user_classes import Scope, UserClasses, from_modules
from cachingclient.plan.variants import find_variants, trace_of
from cachingclient.storage import Entry, UncodableError
from cachingclient.worker import other_names, packed, sent_tasks
from cachingclient.worker.allowance import ALWAYS, FILING_SECONDS, Allowance, Grant, mark_of, processor_seconds
from cachingclient.worker.as_planned import look_again
from cachingclient.worker.attempt import Attempt, details_of
from cachingclient.worker.context import Context, collecting, leave_out, run_timed
from cachingclient.worker.fills import note_fills
from cachingclient.worker.given import Given
from cachingclient.worker.half_set import settles
from cachingclient.worker.memory_peak import mark_out_of_memory, peak_since, reset_peak
from cachingclient.worker.observe import observing, unobserved
from cachingclient.worker.options import options_of
from cachingclient.worker.others import wait_for_others
from cachingclient.worker.own_time import OwnTime
from cachingclient.worker.process import process, size_of
from cachingclient.worker.remade import came_as_sent
from cachingclient.worker.run_within import key_of
from cachingclient.worker.shared_arguments import shared_arguments
from cachingclient.worker.writer import Job

HOPELESS_AFTER = 4
"""After this many runs in a row that were not worth keeping, a step is run without preparing to keep it."""
MEASURED_SECONDS = 0.1
"""The memory of a step that took fewer seconds than this before is not measured: measuring takes some 10 us."""


@dataclass(slots=True)
class RunAndKeep:
    """A task that runs a user's function and keeps the result if it is worth it.

    Attributes
    ----------
    function
        The user's function.
    step_key
        The step key, 16 bytes; None where it has none, and only the contents of the inputs can name the result.
    code
        The digest of the function's code on the client; None where no client knows of the call, or has no say in it.
    name
        The step's name.
    context
        The context of the run.
    parts
        The encodings of its arguments, kept with the entry.
    inputs
        The files that it names.
    seek
        Whether the same code ran before, so that a result for equal inputs may be there.
    dependencies, overwrite
        How many steps it takes results from; whether its result replaces an entry that could not be had.
    keep
        Whether the result may be kept. If not, the step is observed all the same: those after it need that.
    known_as
        Its key in the user's graph, where it was sent under another.
    before
        The files and URLs that stand in the keys of the steps before it.
    asked
        The chance that its result is asked for again, in proportion; `ALWAYS` for one that is kept beyond any budget.
    codes, remade, only_taker_of
        The user's code among its arguments, and what unpickling makes again; of whose results it is the only taker.
    """

    function: Callable[..., Any]
    step_key: bytes | None
    code: bytes | None
    name: str
    context: Context
    parts: tuple[bytes, ...] = ()
    inputs: tuple[Fingerprint, ...] = ()
    seek: bool = False
    dependencies: int = 0
    overwrite: bool = False
    keep: bool = True
    known_as: Key | None = None
    before: tuple[Fingerprint, ...] = ()
    asked: float = ALWAYS
    codes: tuple[bytes, ...] = ()
    only_taker_of: tuple[Key, ...] = ()
    remade: tuple[bytes, ...] = ()

    @property
    def __name__(self) -> str:
        return funcname(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, or return what was kept for equal inputs."""
        before = processor_seconds()
        with unobserved():
            attempt = self._prepare(args, kwargs)
            replaces = self.overwrite or attempt.overwrite
            if not attempt.found and attempt.sound and self.step_key is not None and self.keep and not replaces:
                wait_for_others(self, attempt)
        if attempt.found:
            return attempt.value
        attempt.keeping = processor_seconds() - before
        try:
            with process().memories.in_use(attempt):
                return self._run(attempt, args, kwargs)
        except BaseException as error:
            attempt.lease.release()
            note_fills(attempt, self.context)
            mark_out_of_memory(error, key_of(self))
            raise

    def _run(self, attempt: Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the function and keep its result."""
        if attempt.sound is None:
            result, seconds = run_timed(self.function, self.context, args, kwargs)
            self._record("ran", seconds, 0, note=self._note_without_look(result, seconds))
            return result
        leave_out(self.context.here)
        sent_tasks.install()
        before = reset_peak() if self._is_measured() else None
        attempt.unobserved = (*self.context.unobserved, *options_of(self.function).unobserved)
        attempt.started, clock = time.time(), OwnTime()
        with attempt.watch() as watch, observing(attempt.unobserved) as attempt.seen, collecting(attempt.inherited):
            result, seconds = run_timed(self.function, self.context, args, kwargs)
        attempt.spent, own = clock.ends(seconds)
        self._account.ran(own)
        attempt.opened, attempt.peak = watch.opened, peak_since(before)
        attempt.keeping -= processor_seconds()  # until it is given to the writer
        with unobserved():
            self._finish(attempt, result, seconds)
        return result

    def _note_without_look(self, result: Any, seconds: float) -> str:
        return ""  # what to tell of a run that nothing was known of before it

    def _is_measured(self) -> bool:
        return process().typical.get(self.name, MEASURED_SECONDS) >= MEASURED_SECONDS

    def _prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Attempt:
        """Check the code and look for a result by content. A fault here costs the keeping, never the result."""
        attempt = Attempt(args, kwargs)
        process().attach(self.context.run)
        if not (self.seek or self.context.keep):
            return attempt
        try:
            scope = Scope(self.function, args, kwargs)
            attempt.classes = UserClasses(self.context.environment, scope, from_modules)
            self._identify(args, kwargs, attempt)
            if attempt.content is not None and self.seek and not self.context.overwrite and not attempt.why_not:
                self._seek(attempt)
                self._account.sought(self._kind, self.context.run, attempt.found)
            if not attempt.found and attempt.code is not None:
                attempt.memories = process().memories.fill(attempt.reached())
        except Exception as error:
            attempt.found = False
            attempt.why_not = f"{type(error).__name__}: {error}"
        return attempt

    def _is_hopeless(self) -> bool:
        return not isinstance(self.context.policy, KeepAll) and process().not_worth.get(self._kind, 0) >= HOPELESS_AFTER

    def _is_worth_a_look(self) -> bool:
        seeks_in, mark = self.context.run if self.seek else "", mark_of(self.step_key)
        return not self._is_hopeless() and self._account.is_worth_a_look(self._kind, self.asked, mark, seeks_in)

    @property
    def _account(self) -> Allowance:
        return process().account(self.context.run, self.context.store.url, self.context.policy.budget)

    def _may_be_seen(self) -> Callable[[object], bool]:
        """Return what tells of an argument whether others may see what the run does to it."""
        return shared_arguments(self.dependencies, self.only_taker_of)

    @property
    def _kind(self) -> tuple[str, int]:
        """The name and the number of inputs: the time of a merge of two tells nothing of a merge of thirty."""
        return self.name, self.dependencies

    def _identify(self, args: tuple[Any, ...], kwargs: dict[str, Any], attempt: Attempt) -> None:
        """Compare the code that is about to run here with the client's, and name the call by its inputs."""
        code, key = self._look(args, kwargs, attempt)
        if settles(code, self.code, lambda: code_of_call(self.function, args, self.context.merkle())):
            code, key = self._look(args, kwargs, attempt)
        if isinstance(code, str):
            attempt.why_not = code
        elif self.code not in (None, code.digest):
            attempt.why_not = describe_difference(code, self.code or b"", self.context.store, self.function)
        elif not attempt.why_not and came_as_sent(self, code, attempt):
            attempt.code = code
            if key is not None and not code.varying:
                attempt.content = key.hex()

    def _look(self, args: tuple[Any, ...], kwargs: dict[str, Any], attempt: Attempt) -> tuple[Code | str, bytes | None]:
        """Look at the code, and at the arguments if that may be of use."""
        merkle = self.context.merkle()
        is_wanted = (self.keep and self._is_worth_a_look()) or self.codes or self.remade
        if not packed.are_left_alone(self, args, kwargs) and (
            is_wanted or may_change_arguments(code_of_call(self.function, args, merkle), self.function, args)
        ):
            call = look_at_call(self.function, args, kwargs, merkle)
            code, attempt.named = call.code, call.inputs
            key = call.content_key if self.keep else None
            attempt.looked_at, attempt.codes = merkle.looked_at, call.codes
            attempt.nameless = other_names.nameless(self, attempt, call, merkle) if key is not None else None
            if call.content_key is None:  # of what could not be taken apart here the client knows the inputs
                attempt.named += look_again(self.inputs, merkle.inputs)
        else:
            code, key = code_of_call(self.function, args, merkle), None
            attempt.named = look_again(self.inputs, merkle.inputs)
            attempt.looked_at = merkle.looked_at
        if self.code is not None:  # else no key was made elsewhere
            attempt.compare_inputs(self.inputs, self.before)
        if merkle.looked_at:  # of steps that are too quick to be kept nothing was looked at
            attempt.given = Given(merkle.looked_at, self._may_be_seen())
        return code, key

    def _seek(self, attempt: Attempt) -> None:
        """Load what was kept for equal code and equal inputs; the client files it under this step's key too."""
        assert attempt.content is not None
        start = time.perf_counter()
        here = surroundings(store := self.context.here, attempt.classes.changed)
        process().writer.wait_for(attempt.content)
        info = find_variants(store.find, [attempt.content], here).found.get(attempt.content)
        if info is None or attempt.cannot_load(info):
            other_names.seek(self, attempt)
            return
        attempt.value = store.read(info, attempt.classes)
        attempt.found = True
        attempt.trace = trace_of(info)
        seconds = time.perf_counter() - start
        self._record(
            "cut off", seconds, info.nbytes, saved=info.seconds, fact=info.key, sound=True, trace=attempt.trace
        )

    def _finish(self, attempt: Attempt, result: Any, seconds: float) -> None:
        """Keep the result if that is sound and worth it. A fault here costs the keeping, never the result."""
        attempt.look_back(self.function, self.context, result)
        self._account.kind(self._kind).changes_arguments |= attempt.spoiled
        self._conclude(attempt, result, seconds)

    def _conclude(self, attempt: Attempt, result: Any, seconds: float) -> None:
        """Keep the result if that is worth it, and tell."""
        process().typical[self.name] = seconds
        note: str | None = ""
        more: dict[str, float] = {}
        try:
            if attempt.sound and self.keep and self.context.keep:
                cost = self._cost(result, seconds)
                if not self._is_worth_it(cost):
                    note, more = QUICK, why_quick(self.context.policy, cost)
                elif (grant := self._account.grant(self._kind, self.asked, attempt.ran(self.step_key), cost)) is None:
                    note, more = BEYOND_BUDGET, {"keeping": self._account.kind(self._kind).estimate(cost.nbytes)}
                else:
                    note = self._keep(attempt, result, seconds, grant)
        except UncodableError as error:
            note = f"not kept: it can't be serialised: {error}"
        except Exception as error:
            note = f"not kept: {type(error).__name__}: {error}"
        if attempt.why_not:
            note = f"not kept: {attempt.why_not}"
        if note is not None:
            attempt.lease.release()
            told = {"sound": attempt.sound, "trace": attempt.trace, "spoiled": attempt.spoiled, "peak": attempt.peak}
            self._record("ran", seconds, 0, note=note, **told, **more)

    def _cost(self, result: Any, seconds: float) -> Cost:
        nbytes = size_of(result)
        return Cost(seconds, nbytes, self.dependencies, self.context.here.load_cost(nbytes))

    def _is_worth_it(self, cost: Cost) -> bool:
        counts, worth = process().not_worth, self.context.policy.keep(cost)
        counts[self._kind] = 0 if worth else counts.get(self._kind, 0) + 1
        return worth

    def _keep(self, attempt: Attempt, result: Any, seconds: float, grant: Grant) -> str | None:
        """Have the result written as a fact; or return why not."""
        store, content = self.context.here, attempt.content
        if content is None:
            if self.step_key is None:
                return ""
            # It has no name but the step's, which only the client gives.
            content = uuid.uuid4().hex
        encoded = attempt.encoded if attempt.encoded is not None else attempt.encode(result, store)
        attempt.adds(encoded.classes)
        later = other_names.later_keys(self.step_key, attempt)
        details = details_of(self, attempt, result, encoded, private=store.private)
        entry = Entry((content,), "result", self.name, seconds, details, encoded, later)
        ledger, run, key, step_name, trace = process(), self.context.run, key_of(self), self.name, attempt.trace
        file_nameless = other_names.filer(attempt, result)
        lease, peak, nbytes = attempt.lease, attempt.peak, encoded.nbytes  # neither result nor arguments may live on
        grant.spent = attempt.keeping + processor_seconds() + FILING_SECONDS

        def done(fact: str, note: str) -> None:
            lease.release()
            file_nameless(store, fact)
            told = {"kept": bool(fact), "note": note, "fact": fact, "sound": True, "trace": trace, "peak": peak}
            ledger.record(run, key, step_name, "ran", seconds, nbytes, **told, keeping=grant.spent)

        replaces = self.context.overwrite or self.overwrite or attempt.overwrite
        ledger.keep(Job(store, entry, replaces, done, trace, grant.settle))
        return None

    def _record(self, action: str, seconds: float, nbytes: int, **more: Any) -> None:
        process().record(self.context.run, key_of(self), self.name, action, seconds, nbytes, **more)
