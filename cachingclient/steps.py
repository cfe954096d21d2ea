"""What runs on a worker in place of a user's function: `RunAndKeep` runs and keeps, `RunWithin` only runs."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dask.utils import funcname
from distributed.worker import thread_state

from cachingclient import config
from cachingclient.context import Context, run_timed
from cachingclient.graph import Key
from cachingclient.hashing.content import look_at_call
from cachingclient.hashing.fingerprint import Fingerprint
from cachingclient.hashing.identities import Code
from cachingclient.hashing.inputs import Inputs
from cachingclient.hashing.merkle import Merkle
from cachingclient.ingredients import describe_difference
from cachingclient.lookup import has_expired
from cachingclient.peak import peak_since, reset_peak
from cachingclient.policy import Cost, KeepAll
from cachingclient.step import StepFunction
from cachingclient.storage import (
    Encoded,
    Entry,
    Lease,
    UncodableError,
    encode,
    run_or_wait,
)
from cachingclient.worker import process, size_of, versions
from cachingclient.writer import Job

HOPELESS_AFTER = 4
"""After this many runs in a row that were not worth keeping, a step is run without preparing to keep it."""
EXPENSIVE_SECONDS = 0.5
"""A step that took less than this before is run without asking who else runs it."""
MEASURED_SECONDS = 0.1
"""The memory of a step that took less than this before is not measured: looking costs some ten millionths."""


@dataclass(slots=True)
class RunWithin:
    """A task that runs a user's function as it is, for steps that are neither loaded nor kept.

    Steps called inside it find the client's store, and the report learns what it took.
    """

    function: Callable[..., Any]
    name: str
    context: Context
    known_as: Key | None = None

    @property
    def __name__(self) -> str:
        return funcname(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function."""
        process().attach()
        result, seconds = run_timed(self.function, self.context, args, kwargs)
        process().record(self.context.run, _key_of(self), self.name, "ran", seconds, 0)
        return result


@dataclass(slots=True)
class Attempt:
    """What is known before a step runs."""

    sound: bool = False
    content: str | None = None
    found: bool = False
    value: Any = None
    note: str = ""
    inputs: tuple[Fingerprint, ...] = ()
    lease: Lease = field(default_factory=Lease)
    peak: int | None = None
    encoded: Encoded | None = None
    rebound: Callable[[], str] = str


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
        What it shares with the other steps of the graph.
    parts
        The encodings of its arguments, kept with the entry.
    inputs
        The files that it names.
    seek
        Whether the same code ran before, so that a result for equal inputs may be there.
    dependencies
        How many steps it takes results from.
    overwrite
        Whether its result replaces an entry that could not be had.
    known_as
        Its key in the user's graph, where it was sent under another.
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
    known_as: Key | None = None

    @property
    def __name__(self) -> str:
        return funcname(self.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, or return what was kept for equal inputs."""
        attempt = self._prepare(args, kwargs)
        if not attempt.found and attempt.sound and self.step_key is not None:
            self._wait_for_others(attempt)
        if attempt.found:
            return attempt.value
        try:
            return self._run(attempt, args, kwargs)
        except BaseException:
            attempt.lease.release()
            raise

    def _run(self, attempt: Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the function and keep its result."""
        before = reset_peak() if self._is_measured() else None
        result, seconds = run_timed(self.function, self.context, args, kwargs)
        attempt.peak = peak_since(before)
        self._finish(attempt, result, seconds)
        return result

    def _is_measured(self) -> bool:
        return process().typical.get(self.name, MEASURED_SECONDS) >= MEASURED_SECONDS

    def _prepare(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Attempt:
        """Check the code and look for a result by content. A fault here costs the keeping, never the result."""
        attempt = Attempt()
        process().attach()
        if self._is_hopeless() or not (self.seek or self.context.keep):
            return attempt
        try:
            self._identify(args, kwargs, attempt)
            if attempt.content is not None and self.seek and not self.context.overwrite:
                self._seek(attempt)
        except Exception as error:
            attempt.sound, attempt.found = False, False
            attempt.note = f"not kept: {type(error).__name__}: {error}"
        return attempt

    def _is_hopeless(self) -> bool:
        return not isinstance(self.context.policy, KeepAll) and process().not_worth.get(self._kind, 0) >= HOPELESS_AFTER

    @property
    def _kind(self) -> tuple[str, int]:
        """The steps that this one is compared with: a merge of two tells nothing of a merge of thirty."""
        return self.name, self.dependencies

    def _identify(self, args: tuple[Any, ...], kwargs: dict[str, Any], attempt: Attempt) -> None:
        """Compare the code that is about to run here with the client's, and name the call by its inputs."""
        merkle = Merkle({}, Inputs(self.context.inputs), self.context.environment)
        call = look_at_call(self.function, args, kwargs, merkle)
        attempt.inputs = call.inputs
        attempt.sound = isinstance(call.code, Code) and self.code in (None, call.code.digest)
        if not attempt.sound and self.code is not None:
            attempt.note = "not kept: " + describe_difference(call.code, self.code, self.context.store, self.function)
        elif isinstance(call.code, Code) and call.content_key is not None and not call.code.varying:
            attempt.content = call.content_key.hex()
        if isinstance(call.code, Code) and call.code.rebinds:
            attempt.rebound = functools.partial(self._what_it_rebound, call.code, args, kwargs)

    def _what_it_rebound(self, before: Code, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return why the result is not that of the code as it was identified: the run gave a variable another value."""
        merkle = Merkle({}, Inputs(self.context.inputs), self.context.environment)
        now = look_at_call(self.function, args, kwargs, merkle).code
        same = isinstance(now, Code) and now.digest == before.digest
        return "" if same else f"not kept: {before.rebinds[0]}, and this run did"

    def _seek(self, attempt: Attempt) -> None:
        """Load what was kept for equal code and equal inputs, and file it under this step's key too."""
        assert attempt.content is not None
        start = time.perf_counter()
        store = self.context.here
        info = store.find([attempt.content]).get(attempt.content)
        if info is None or has_expired(info):
            return
        attempt.value = store.read(info)
        attempt.found = True
        if self.step_key is not None and self.context.keep:
            store.alias(info, [self.step_key.hex()])
        seconds = time.perf_counter() - start
        self._record("cut off", seconds, info.nbytes, saved=info.seconds)

    def _wait_for_others(self, attempt: Attempt) -> None:
        """Let another client finish this step if it runs it now, and it is not known to be cheap."""
        store = self.context.here
        if not self.context.patience or process().typical.get(self.name, EXPENSIVE_SECONDS) < EXPENSIVE_SECONDS:
            return
        assert self.step_key is not None
        start = time.perf_counter()
        try:
            found = run_or_wait(store, self.step_key.hex(), patience=self.context.patience, poll=0.2)
            if isinstance(found, Lease):
                attempt.lease = found
                return
            attempt.value = store.read(found)
            attempt.found = True
        except Exception:
            return  # without leases a step is run twice, which costs time and nothing else
        self._record("loaded", time.perf_counter() - start, found.nbytes, saved=found.seconds)

    def _finish(self, attempt: Attempt, result: Any, seconds: float) -> None:
        """Keep the result if that is sound and worth it. A fault here costs the keeping, never the result."""
        process().typical[self.name] = seconds
        try:
            worth = self.context.keep and self._is_worth_it(result, seconds)
            note: str | None = attempt.note if worth else ""
            if worth and attempt.sound:
                note = self._keep(attempt, result, seconds)
        except UncodableError as error:
            note = f"not kept: it can't be serialised: {error}"
        except Exception as error:
            note = f"not kept: {type(error).__name__}: {error}"
        if note is not None:
            attempt.lease.release()
            self._record("ran", seconds, 0, note=note)

    def _is_worth_it(self, result: Any, seconds: float) -> bool:
        counts = process().not_worth
        nbytes = size_of(result)
        cost = Cost(seconds, nbytes, self.dependencies, self.context.here.load_cost(nbytes))
        worth = self.context.policy.keep(cost)
        counts[self._kind] = 0 if worth else counts.get(self._kind, 0) + 1
        return worth

    def _keep(self, attempt: Attempt, result: Any, seconds: float) -> str | None:
        """Have the result written; or return why not."""
        if why := attempt.rebound():
            return why
        inputs = (*self.inputs, *attempt.inputs)
        changed = Inputs(self.context.inputs).recheck(inputs) if inputs else []
        if changed:
            return f"not kept: {changed[0].url} changed while the step ran"
        keys = [key for key in (self.step_key.hex() if self.step_key else None, attempt.content) if key is not None]
        if not keys:
            return ""
        encoded = attempt.encoded if attempt.encoded is not None else encode(result)
        details: dict[str, Any] = dict(versions())
        details["code"] = self.code.hex() if self.code is not None else None
        details["arguments"] = [part.hex() for part in self.parts]
        details["type"] = f"{type(result).__module__}.{type(result).__qualname__}"
        details |= {
            name: value for name, value in (("site", config.site()), ("peak", attempt.peak)) if value is not None
        }
        if isinstance(self.function, StepFunction) and self.function.options.ttl is not None:
            details["expires"] = time.time() + self.function.options.ttl
        entry = Entry(tuple(keys), "result", self.name, seconds, details, encoded)
        ledger, run, key, name = process(), self.context.run, _key_of(self), self.name
        nbytes = encoded.nbytes  # the result itself must not live on until it is told of

        def done(kept: bool, note: str) -> None:
            attempt.lease.release()
            ledger.record(run, key, name, "ran", seconds, nbytes, kept=kept, note=note)

        ledger.writer.submit(Job(self.context.here, entry, self.context.overwrite or self.overwrite, done))
        return None

    def _record(self, action: str, seconds: float, nbytes: int, *, note: str = "", saved: float = 0.0) -> None:
        process().record(self.context.run, _key_of(self), self.name, action, seconds, nbytes, note=note, saved=saved)


def _key_of(step: RunWithin | RunAndKeep) -> Key:
    """Return the key of the step that this thread runs, as the user's graph has it."""
    return step.known_as if step.known_as is not None else getattr(thread_state, "key", step.name)
