"""One call of a step inside a task or in plain Python: looked up by what its arguments contain, else run and kept."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import multiprocessing.util
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from distributed.worker import thread_state

from cachingclient.context import Context
from cachingclient.hashing.inputs import Inputs
from cachingclient.hashing.merkle import Merkle, relevant_arguments
from cachingclient.lookup import has_expired
from cachingclient.memory import recent_results
from cachingclient.notes import NoteKeeper
from cachingclient.policy import KeepAll
from cachingclient.steps import Attempt, RunAndKeep
from cachingclient.storage import Encoded, encode
from cachingclient.storage.codecs import decode
from cachingclient.worker import process

if TYPE_CHECKING:
    from cachingclient.step import StepFunction

WORTH_LOOKING = 10.0
"""A step that takes less than this many times the look at its arguments is better run without one."""
WORTH_LOOKING_AGAIN = 1.5
"""The same for a step of which equal calls were met here: a look then saves the run."""
MOST_UNREAD_COLUMNS = 32
"""A result with more lazy columns than anybody writes out by hand is a whole collection, most of it never needed."""
_LINKS = ("@events_factory", "@original_array")
_NOTHING = object()
_notes = NoteKeeper()
_numbers = itertools.count()
_looking: dict[str, float] = {}
_met: set[str] = set()
"""The steps of which a result was found in this process."""
_unknown: set[str] = set()
_inside: contextvars.ContextVar[str] = contextvars.ContextVar("inside", default="")
"""The call that this thread runs, for the name of those that it makes: a picture shows who asked for what."""


class Call(RunAndKeep):
    """One call of a step that no client planned."""

    __slots__ = ("arguments", "looking", "read")

    def __init__(self, function: StepFunction[..., Any], context: Context) -> None:
        known_as = f"{_inside.get() or getattr(thread_state, 'key', '')}/{process().name}-{next(_numbers)}"
        super().__init__(function, None, None, function.__name__, context, seek=True, known_as=known_as)
        self.arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self.looking = _looking.get(self.name, 0.0)
        self.read: Any = _NOTHING

    def _prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Attempt:
        """Look at the arguments, unless the step has been quicker than that for a while."""
        _flush_at_the_end_of_pools()
        if self._is_hopeless():
            process().attach()
            return Attempt()
        self.arguments = args, kwargs
        start = time.perf_counter()
        attempt = super()._prepare(args, kwargs)
        self.looking = _looking[self.name] = time.perf_counter() - start
        return attempt

    def _is_measured(self) -> bool:
        return False  # a process has one peak, which is that of the task around the call

    def _seek(self, attempt: Attempt) -> None:
        """Find the result in this process's memory, else in the store."""
        assert attempt.content is not None
        start = time.perf_counter()
        with contextlib.suppress(KeyError):
            value, seconds = recent_results().get(self._remembered_as(attempt.content))
            attempt.value = self._linked(value)
            self._found(attempt)
            self._record("cut off", time.perf_counter() - start, 0, saved=seconds)
            return
        store = self.context.store
        info = store.find([attempt.content]).get(attempt.content)
        if info is None or has_expired(info):
            return
        value = store.read(info)
        if self._may_remember():
            recent_results().add(self._remembered_as(attempt.content), encode(value), info.seconds)
        attempt.value = self._linked(value)
        self._found(attempt)
        store.touch([attempt.content])
        self._record("cut off", time.perf_counter() - start, info.nbytes, saved=info.seconds)

    def _found(self, attempt: Attempt) -> None:
        """Note that a look was worth it."""
        attempt.found = True
        _met.add(self.name)
        process().not_worth.pop(self._kind, None)

    def _run(self, attempt: Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the step; a result that was read to be kept is handed on as it will be loaded."""
        token = _inside.set(str(self.known_as))
        try:
            result = super()._run(attempt, args, kwargs)
        finally:
            _inside.reset(token)
        return self.read if self.read is not _NOTHING else result

    def _finish(self, attempt: Attempt, result: Any, seconds: float) -> None:
        """Remember and keep the result, unless the step changed its arguments or left too much of it unread."""
        note = ""
        try:
            if attempt.content is None:
                note = self._why_unknown()
            elif attempt.sound and self._is_slower_than_looking(seconds):
                note = self._objection(attempt.content, result)
                if not note:
                    attempt.encoded = self._remember(attempt.content, result, seconds)
        except Exception as error:
            note = f"not kept: {type(error).__name__}: {error}"
        if note:
            self._tell(note)
            self._record("ran", seconds, 0, note=note)
        else:
            super()._finish(attempt, result if self.read is _NOTHING else self.read, seconds)

    def _remember(self, content: str, result: Any, seconds: float) -> Encoded:
        """Hold the result in memory; return it as it is to be kept."""
        encoded = encode(result)
        if self._may_remember():
            # What is held in memory is also what is written: the caller may do to the result what it likes.
            encoded = recent_results().add(self._remembered_as(content), encoded, seconds)
        if any(_lazy_columns(array) or array.attrs or _is_linked(array) for array in _arrays(result)):
            # It has to look the same to the steps after it as when it is loaded.
            self.read = self._linked(decode(bytearray().join(encoded.frames)))
        return encoded

    def _is_worth_it(self, result: Any, seconds: float) -> bool:
        """Tell whether the result is worth keeping; one that is quicker than looking it up never is."""
        if self._is_slower_than_looking(seconds):
            return super()._is_worth_it(result, seconds)
        counts = process().not_worth
        counts[self._kind] = counts.get(self._kind, 0) + 1
        return False

    def _is_slower_than_looking(self, seconds: float) -> bool:
        margin = WORTH_LOOKING_AGAIN if self.name in _met else WORTH_LOOKING
        return isinstance(self.context.policy, KeepAll) or seconds > margin * self.looking

    def _same_links(self, array: Any) -> bool:
        """Whether the links of an array are those of the arguments."""
        given = self._given_links()
        return all(given.get(name) is link for name, link in _links(array).items())

    def _given_links(self) -> dict[str, Any]:
        """Return the links of the first argument that has some."""
        args, kwargs = self.arguments or ((), {})
        return next(filter(None, map(_links, _arrays([*args, *kwargs.values()]))), {})

    def _linked(self, value: Any) -> Any:
        """Return a loaded value with the links that it would have had, had the step run."""
        for array in _arrays(value):
            if _is_linked(array):
                array.attrs = {**array.attrs, **self._given_links()}
        return value

    def _remembered_as(self, content: str) -> str:
        """Return the key in memory: what is remembered from one store is still to be kept in another."""
        return f"{content} {self.context.store.url}"

    def _may_remember(self) -> bool:
        """Whether a result may be handed out again without a look at its age."""
        options = getattr(self.function, "options", None)
        return (options is None or options.ttl is None) and not self.context.overwrite

    def _objection(self, content: str, result: Any) -> str:
        """Return why a result must not be handed to another call."""
        again = Attempt()
        assert self.arguments is not None
        self._identify(*self.arguments, again)
        if again.content != content:
            return f"not kept: {self.name} changed what it was given, or a variable that it reads; work on a copy"
        if any(_is_linked(array) and _links(array) and not self._same_links(array) for array in _arrays(result)):
            return f"not kept: {self.name} returns events of a file that none of its arguments comes from"
        unread = sum(not column.is_materialized for array in _arrays(result) for column in _lazy_columns(array))
        if unread > MOST_UNREAD_COLUMNS:
            return (
                f"not kept: {self.name} returns {unread} columns that are not read yet; "
                "return those that are needed, by ak.zip, or what ak.materialize makes of all"
            )
        return ""

    def _why_unknown(self) -> str:
        """Return why the call has no key, the first time that one of this step has none."""
        if self.arguments is None or self.name in _unknown:
            return ""
        _unknown.add(self.name)
        merkle = Merkle({}, Inputs(self.context.inputs), self.context.environment)
        code = merkle.code(self.function)
        if isinstance(code, str) or code.varying:
            return f"not kept: {code if isinstance(code, str) else code.varying[0]}"
        args, kwargs = relevant_arguments(self.function, *self.arguments)
        return f"not kept: {merkle.value([*args, *kwargs.values()]).reason}"

    def _tell(self, note: str) -> None:
        """Warn here where there is no client to hear of it."""
        if getattr(thread_state, "key", None) is None:
            _notes.add(f"step {self.name}: {note}")


def _arrays(value: Any) -> Iterator[Any]:
    """Yield the awkward arrays and records in a value."""
    awkward = sys.modules.get("awkward")
    if isinstance(value, (dict, list, tuple)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _arrays(part)
    elif awkward is not None and isinstance(value, (awkward.Array, awkward.Record)):
        yield value


def _layout(array: Any) -> Any:
    """Return the layout of an array, or that of the array that a record is in."""
    return array.layout if hasattr(array.layout, "form") else array.layout.array


def _lazy_columns(array: Any) -> list[Any]:
    """Return the lazy columns of an array, whether they were read or not."""
    from cachingclient.hashing.plugins.awkward import buffers_of

    return [buffer for buffer in buffers_of(_layout(array)) if hasattr(buffer, "is_materialized")]


def _links(array: Any) -> dict[str, Any]:
    """Return the links of an array to the events that it comes from, which no store keeps."""
    return {name: array.attrs[name] for name in _LINKS if name in array.attrs}


def _is_linked(array: Any) -> bool:
    """Whether an array has records of a class of their own in it, such as jets, whose methods may follow the links."""
    from cachingclient.hashing.plugins.awkward import layout_nodes

    return any(node.parameter("__record__") is not None for node in layout_nodes(_layout(array)))


@functools.cache
def _flush_at_the_end_of_pools() -> None:
    """Have the processes of a pool write what waits before they leave: they end without the usual exit functions."""
    multiprocessing.util.Finalize(None, _flush, exitpriority=10)


def _flush() -> None:
    process().writer.flush()
