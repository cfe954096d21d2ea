"""One call of a step inside a task or in plain Python: looked up by what its arguments contain, else run and kept."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import multiprocessing.util
import time
from collections.abc import Callable
from dataclasses import replace
from types import FunctionType
from typing import Any

from dask.base import is_dask_collection
from dask.utils import funcname
from distributed.worker import thread_state

from cachingclient.hashing.content_keys import code_of_call
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.hashing.keys import Code
from cachingclient.hashing.libraries.awkward.links import link, loses_by_keeping, objection
from cachingclient.hashing.relevant import relevant_arguments
from cachingclient.plan.lookup import surroundings
from cachingclient.plan.policy import Cost, KeepAll
from cachingclient.plan.record import QUICK
from cachingclient.plan.variants import find_variants, trace_of
from cachingclient.storage import Encoded
from cachingclient.storage.codecs import decode
from cachingclient.warn_once import NoteKeeper
from cachingclient.worker.as_planned import stands_in_key
from cachingclient.worker.attempt import Attempt
from cachingclient.worker.context import Context, inherit
from cachingclient.worker.observe.current import observers
from cachingclient.worker.options import options_of
from cachingclient.worker.process import process
from cachingclient.worker.recent_results import recent_results
from cachingclient.worker.shared_arguments import any_argument
from cachingclient.worker.tasks import RunAndKeep

WORTH_LOOKING = 10.0
"""A step is looked up if its run takes more than this many times as long as hashing its arguments."""
WORTH_LOOKING_AGAIN = 1.5
"""The same for a step that had a hit in this process before: there, a look-up often saves the run."""
MARKED = 1.0
"""The chance that the result of a call is asked for again: as that of a step before the final one."""
TRIED_SECONDS = 0.1
"""What looking at calls that were not worth it may take in all, for each step and size, before calls are run as they
are: one that is slow after some quick ones is found and kept."""
_NOTHING = object()
_notes = NoteKeeper()
_numbers = itertools.count()
_looking: dict[str, float] = {}
_tried: dict[tuple[str, int], float] = {}
"""The seconds that looks at calls took which were not worth it, since the last one that was."""
_met: set[str] = set()
"""The names of steps that had a hit in this process."""
_unknown: set[str] = set()
_inside: contextvars.ContextVar[str] = contextvars.ContextVar("inside", default="")
"""The call that this thread runs: calls made inside it are named after it, so that a picture shows them below it."""


class Call(RunAndKeep):
    """One call of a step that no client planned."""

    __slots__ = ("arguments", "extent", "looking", "read", "read_by_others")

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        known_as = f"{_inside.get() or getattr(thread_state, 'key', '')}/{process().name}-{next(_numbers)}"
        super().__init__(function, None, None, funcname(function), context, seek=True, known_as=known_as, asked=MARKED)
        self.arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self.looking = _looking.get(self.name, 0.0)
        self.extent = 0
        self.read: Any = _NOTHING
        self.read_by_others: tuple[str, ...] = ()

    def _prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Attempt:
        """Hash the arguments, unless the step has been quicker than hashing them several times in a row."""
        _flush_at_the_end_of_pools()
        self.extent = _extent_of(args, kwargs)
        if self._is_hopeless():
            process().attach(self.context.run)
            return Attempt(args)
        self.arguments = args, kwargs
        start = time.perf_counter()
        attempt = super()._prepare(args, kwargs)
        self.looking = _looking[self.name] = time.perf_counter() - start
        return attempt

    def _is_hopeless(self) -> bool:
        return super()._is_hopeless() and _tried.get(self._kind, 0.0) > TRIED_SECONDS

    def _is_worth_a_look(self) -> bool:
        return not self._is_hopeless()  # no client found it by a step key: nothing but a look can

    def _may_be_seen(self) -> Callable[[object], bool]:
        return any_argument  # the caller has them all

    @property
    def _kind(self) -> tuple[str, int]:
        """The name and the order of magnitude of the arguments: a small chunk's time tells nothing of a large one's."""
        return self.name, self.extent

    def _note_without_look(self, result: Any, seconds: float) -> str:
        if self.arguments is not None or not (
            self.context.keep and RunAndKeep._is_worth_it(self, self._cost(result, seconds))
        ):
            return QUICK if self.context.keep and self.arguments is None else ""
        _tried.pop(self._kind, None)
        note = "not kept: calls like it were quicker than a look at their arguments, so nobody looked at these"
        self._tell(note)
        return note

    def _is_measured(self) -> bool:
        return False  # the peak of memory is the process's, and belongs to the task around the call

    def _seek(self, attempt: Attempt) -> None:
        """Look for the result in this process's memory, then in the store."""
        assert attempt.content is not None
        start = time.perf_counter()
        with contextlib.suppress(KeyError):
            value, seconds, trace = recent_results().get(self._remembered_as(attempt.content), attempt.classes)
            attempt.value = link(value, self._given())
            self._found(attempt, trace)
            self._record("cut off", time.perf_counter() - start, 0, saved=seconds)
            return
        store = self.context.store
        here = surroundings(store, attempt.classes.changed)
        process().writer.wait_for(attempt.content)
        info = find_variants(store.find, [attempt.content], here).found.get(attempt.content)
        if info is None or attempt.cannot_load(info):
            return
        value, trace = store.read(info, attempt.classes), trace_of(info)
        if self._may_remember():
            encoded = attempt.encode(value, store)
            recent_results().add(self._remembered_as(attempt.content), encoded, info.seconds, trace)
        attempt.value = link(value, self._given())
        self._found(attempt, trace)
        store.touch([info.key])
        self._record("cut off", time.perf_counter() - start, info.nbytes, saved=info.seconds)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, or return what was kept for equal inputs; what that read counts for the step around it."""
        result = super().__call__(*args, **kwargs)
        for observed in observers() if self.read_by_others else ():
            observed.remote.update(self.read_by_others)
        return result

    def _found(self, attempt: Attempt, trace: Trace) -> None:
        """Note that a look was worth it; the step around this call depends on what the result depends on."""
        attempt.found, attempt.trace = True, trace
        inherit(trace)
        # What stands in this call's key does not stand in that of the step around it.
        in_key = [each for each in attempt.named if stands_in_key(each)]
        inherit(Trace({each.url: replace(each, in_key=False) for each in in_key if each.is_local}))
        self.read_by_others = tuple(each.url for each in in_key if not each.is_local)
        _met.add(self.name)
        process().not_worth.pop(self._kind, None)
        _tried.pop(self._kind, None)

    def _run(self, attempt: Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the step; a result that was decoded again to be kept is returned as a later hit will load it."""
        token = _inside.set(str(self.known_as))
        try:
            result = super()._run(attempt, args, kwargs)
        finally:
            _inside.reset(token)
        return self.read if self.read is not _NOTHING else result

    def _finish(self, attempt: Attempt, result: Any, seconds: float) -> None:
        """Remember and keep the result, unless the step changed its arguments or left too much of it unread."""
        note = ""
        attempt.look_back(self.function, self.context, result)
        try:
            if attempt.content is None:
                note = self._why_unknown()
            elif attempt.sound and self._is_slower_than_looking(seconds):
                note = self._objection(attempt, result)
                if not note:
                    attempt.encoded = self._remember(attempt, result, seconds)
            elif attempt.why_not:
                note = f"not kept: {attempt.why_not}"
        except Exception as error:
            note = f"not kept: {type(error).__name__}: {error}"
        if note:
            self._tell(note)
            self._record("ran", seconds, 0, note=note)
        else:
            self._conclude(attempt, result if self.read is _NOTHING else self.read, seconds)

    def _remember(self, attempt: Attempt, result: Any, seconds: float) -> Encoded:
        """Hold the result in memory; return it as it is to be kept."""
        assert attempt.content is not None
        encoded = attempt.encode(result, self.context.here)
        attempt.adds(encoded.classes)
        inherit(Trace(classes=attempt.trace.classes))
        if self._may_remember():
            # What is held in memory is also what is written: the caller may do to the result what it likes.
            encoded = recent_results().add(self._remembered_as(attempt.content), encoded, seconds, attempt.trace)
        if loses_by_keeping(result):
            # Later steps must see the same array as when it is loaded.
            self.read = link(decode(bytearray().join(encoded.frames), attempt.classes), self._given())
        return encoded

    def _is_worth_it(self, cost: Cost) -> bool:
        """Tell whether the result is worth keeping; a run that is quicker than its look-up never is."""
        if self._is_slower_than_looking(cost.seconds):
            worth = super()._is_worth_it(cost)
        else:
            counts = process().not_worth
            counts[self._kind] = counts.get(self._kind, 0) + 1
            worth = False
        _tried[self._kind] = 0.0 if worth else _tried.get(self._kind, 0.0) + self.looking
        return worth

    def _is_slower_than_looking(self, seconds: float) -> bool:
        margin = WORTH_LOOKING_AGAIN if self.name in _met else WORTH_LOOKING
        return isinstance(self.context.policy, KeepAll) or seconds > margin * self.looking

    def _given(self) -> list[Any]:
        """Return the values of all arguments."""
        args, kwargs = self.arguments or ((), {})
        return [*args, *kwargs.values()]

    def _remembered_as(self, content: str) -> str:
        """Return the key in this process's memory: a hit in one store says nothing of another."""
        return f"{content} {self.context.store.url}"

    def _may_remember(self) -> bool:
        """Whether a result in memory may be returned without a check of its age."""
        return options_of(self.function).ttl is None and not self.context.overwrite

    def _objection(self, attempt: Attempt, result: Any) -> str:
        """Return why a result must not be kept, or nothing; of its arguments only functions are left to compare."""
        assert self.arguments is not None
        merkle = self.context.merkle()
        now = code_of_call(self.function, self.arguments[0], merkle)
        functions = [(value, before) for value, before in attempt.looked_at if isinstance(value, (FunctionType, type))]
        if _digest(now) != _digest(attempt.code) or any(
            _digest(merkle.identity(value)) != _digest(before) for value, before in functions
        ):
            return f"not kept: {self.name} changed a variable that it, or a function that it was given, reads"
        lost = objection(result, self._given())
        return f"not kept: {self.name} {lost}" if lost else ""

    def _why_unknown(self) -> str:
        """Return why the call has no key; empty after the first such call of a step."""
        if self.arguments is None or self.name in _unknown:
            return ""
        _unknown.add(self.name)
        merkle = self.context.merkle()
        code = merkle.code(self.function)
        if isinstance(code, str) or code.varying:
            return f"not kept: {code if isinstance(code, str) else code.varying[0]}"
        args, kwargs = relevant_arguments(self.function, *self.arguments)
        return f"not kept: {merkle.value([*args, *kwargs.values()]).reason}"

    def _tell(self, note: str) -> None:
        """Warn in this process if there is no client to warn."""
        if getattr(thread_state, "key", None) is None:
            _notes.add(f"step {self.name}: {note}")


def _digest(found: Code | Identity | str | None) -> object:
    return found.digest if isinstance(found, (Code, Identity)) else None


def _extent_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return the order of magnitude of how much a call is given.

    Examples
    --------
    >>> _extent_of(([0] * 1000,), {}) == _extent_of(([0] * 1100,), {}) != _extent_of(([0] * 100_000,), {})
    True
    """
    extent = 0
    for each in (*args, *kwargs.values()):
        try:
            if not isinstance(each, (str, bytes)) and not is_dask_collection(each):  # whose length would be computed
                extent += len(each)
        except Exception:  # what a length costs or raises is up to the user's classes
            continue
    return extent.bit_length() // 2


@functools.cache
def _flush_at_the_end_of_pools() -> None:
    """Have the processes of a pool write what waits before they leave: they end without the usual exit functions."""
    multiprocessing.util.Finalize(None, _flush, exitpriority=10)


def _flush() -> None:
    process().writer.flush()
