"""One run of a step on a worker: what is known before it, what was seen of it, and what its entry says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cachingclient import config
from cachingclient.hashing.code_among import code_among
from cachingclient.hashing.content_keys import code_of_call, may_change_arguments
from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.inputs.same_content import Held
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.hashing.keys import Code, is_of_users, memories_of
from cachingclient.hashing.libraries.coffea_chunks import ChunkCall
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.hidden import details_of_code, for_description, shown_values
from cachingclient.plan.user_classes import UserClasses, from_modules
from cachingclient.plan.variants import OBSERVED, has_expired
from cachingclient.storage import Encoded, EntryInfo, Lease, Store, encode
from cachingclient.worker import packed, sent_tasks
from cachingclient.worker.allowance import Ran, mark_of
from cachingclient.worker.as_planned import as_planned
from cachingclient.worker.context import Context
from cachingclient.worker.fills import account_for, note_fills
from cachingclient.worker.fleeting import Fleeting
from cachingclient.worker.given import Given
from cachingclient.worker.half_set import settles
from cachingclient.worker.modules_by_name import add_modules, when_imported
from cachingclient.worker.observe import Observed, Watch
from cachingclient.worker.observe.places import matches
from cachingclient.worker.options import options_of
from cachingclient.worker.outputs import stated_outputs
from cachingclient.worker.process import process, versions
from cachingclient.worker.seen import NotKept, folder_of_pattern, is_unread, note_opened_in, trace_of_run, with_memories


class Nameless(Protocol):
    """A chunk of a file whose name counts for nothing."""

    @property
    def call(self) -> ChunkCall:
        """The call."""

    @property
    def key(self) -> str:
        """Its key without a name."""

    def find(self, store: Store, attempt: Attempt) -> tuple[EntryInfo, Trace] | None:
        """Return the entry of the same chunk under another name, and what else it depends on."""

    def file(self, store: Store, fact: str, trace: Trace, held: Held) -> None:
        """File a kept result without a name."""


class Planned(Protocol):
    """The step of an attempt, as far as its entry tells of it."""

    @property
    def function(self) -> Callable[..., Any]:
        """The user's function."""

    @property
    def code(self) -> bytes | None:
        """The digest of its code on the client."""

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The encodings of its arguments."""


OTHER_CODE = (
    "on the worker, the code of a function or an object among its arguments is not the client's; restart the workers "
    "if it was edited"
)


@dataclass(slots=True)
class Attempt:
    """What is known of one run of a step.

    Attributes
    ----------
    arguments
        The positional arguments.
    keywords
        The others.
    code
        Its code as this process has it; None if nobody looked.
    why_not
        Why the result is not that of the step as it was planned, or can't be kept; empty if it may be.
    content
        The content key, 32 hexadecimal characters; None if there is none.
    nameless
        The chunk that the step processes, where its code is proven not to see what the file is called.
    found, value
        Whether a kept result is taken instead of running the step, and which.
    named
        The inputs among the arguments and in the code, as they look here.
    unplanned
        The URLs among them that came with the result of another step.
    inherited
        What kept results depend on that steps called inside took.
    memories
        How often each memory that the code reaches was filled before the run.
    seen
        What was observed of the run.
    opened
        The files among `named`, and in folders among them, that were opened meanwhile; None if nobody can tell.
    trace
        What the result depends on beside its key.
    given
        The arguments, to be compared after the run.
    spoiled
        Whether the run changed them in place.
    unobserved
        Globs of files that do not count.
    started, spent
        When the run began, in seconds since 1970; how long it took but for when others had the processor.
    keeping
        The seconds of processor time that it takes to keep its result.
    codes
        The digests of code of the user's among its arguments.
    """

    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    code: Code | None = None
    why_not: str = ""
    content: str | None = None
    nameless: Nameless | None = None
    found: bool = False
    value: Any = None
    named: tuple[Fingerprint, ...] = ()
    unplanned: list[str] = field(default_factory=list)
    inherited: list[Trace] = field(default_factory=list)
    memories: Mapping[Any, int] = field(default_factory=dict)
    seen: Observed | None = None
    opened: set[str] | None = None
    trace: Trace = field(default_factory=Trace)
    lease: Lease = field(default_factory=Lease)
    peak: int | None = None
    encoded: Encoded | None = None
    classes: UserClasses = field(default_factory=lambda: UserClasses(Environment(), from_modules))
    overwrite: bool = False
    looked_at: list[tuple[object, Identity | str]] = field(default_factory=list)
    given: Given = field(default_factory=Given)
    spoiled: bool = False
    unobserved: tuple[str, ...] = ()
    started: float = 0.0
    spent: float = 0.0
    keeping: float = 0.0
    codes: tuple[bytes, ...] = ()

    def cannot_load(self, info: EntryInfo) -> bool:
        """Tell whether an entry has expired or refers to a class that has changed: what the step gives replaces it."""
        self.overwrite = has_expired(info) or bool(self.classes.objection(info))
        return self.overwrite

    def adds(self, classes: Mapping[str, str]) -> None:
        """Note that the result depends on some classes."""
        if classes:
            self.trace = self.trace.after([Trace(classes=classes)])

    def encode(self, value: Any, store: Store) -> Encoded:
        """Encode what the step returned as a store takes it."""
        return encode(value, self.classes, data_only=store.data_only)

    def compare_inputs(self, planned: Iterable[Fingerprint], before: Iterable[Fingerprint]) -> None:
        """Compare the inputs with what the keys say of them: a result of others is not kept under such a key."""
        named, self.unplanned, self.why_not = as_planned(self.named, planned, before)
        self.named = tuple(named)

    def has_all_of(self, planned: Iterable[bytes], function: Callable[..., Any], merkle: Merkle) -> bool:
        """Tell whether the code of the user's among the arguments is the client's; a worker may have an old module."""
        missing = set(planned).difference(self.codes)
        untold = [found for _, found in self.looked_at if isinstance(found, str)]
        if missing and untold:
            missing.difference_update(code_among(function, self.arguments, self.keywords, merkle))
        if missing:
            self.why_not = f"{OTHER_CODE}; not all of it has an identity there: {untold[0]}" if untold else OTHER_CODE
        return not missing

    @property
    def sound(self) -> bool | None:
        """Whether the result is that of the step as it was planned; None if nobody looked."""
        return None if self.code is None and not self.why_not else not self.why_not

    def ran(self, step_key: bytes | None) -> Ran:
        """Return what the account is told of this run; a step without a step key is known by its contents."""
        return Ran(mark_of(step_key or bytes.fromhex(self.content or "")), self.spent)

    def watch(self) -> Watch:
        """Watch the files that are named, to see which are read."""
        watched = [each.url for each in self.named if each.kind in ("file", "folder") and not each.in_key]
        return Watch([*watched, *(folder for each in self.named if (folder := folder_of_pattern(each)))])

    def reached(self) -> tuple[Any, ...]:
        """Return the functions behind `functools.cache` that it may call: its code does, or an argument's."""
        return () if self.code is None else memories_of(self.code, self.looked_at)

    def named_and_read(self, seen: Observed) -> list[Fingerprint]:
        """Return the inputs that count: of local files those that were opened, or were by an earlier step.

        What an earlier step of this process read may be remembered by any code of the user's, and used without being
        opened. A library's function that only hands file names on, as a merge does, remembers nothing.
        """
        is_users = self.code is not None and is_of_users(self.code, self.looked_at)
        opened, memories = self.opened, process().memories
        found = []
        for each in self.named:
            unread = opened is not None and is_unread(each, opened, seen)
            remembered = is_users and memories.were_opened(each.url)
            if unread and not each.in_key and not remembered:
                continue
            found.append(each)
        folders = {each.url for each in self.named if each.kind == "folder"}
        note_opened_in(folders, seen, (opened or set()) - {each.url for each in found}, self.unobserved)
        return found

    def look_back(self, function: Callable[..., Any], context: Context, result: Any) -> None:
        """Make the trace of what was observed; a result is not kept if its inputs changed, or can't be compared again.

        Parameters
        ----------
        function
            The step's function.
        context
            What the step shares with the others of its graph.
        result
            What it returned.
        """
        try:
            packed.look_after_run(self, function, context)
            self._compare_given(function, context)
            if not self.why_not and self.code is not None and self.seen is not None:
                self._trace(function, self.seen, self.code, context, result)
                self._compare_code(function, self.code, context)
                self._look_into(result, self.seen, self.code)
        except NotKept as why:
            self.why_not = str(why)
        except Exception as error:  # of the cache: it costs the keeping, never the result
            self.why_not = f"what it depends on can't be told: {type(error).__name__}: {error}"
        if self.why_not:
            note_fills(self, context)

    def _compare_given(self, function: Callable[..., Any], context: Context) -> None:
        """Compare the arguments with what they were before the run."""
        if self.given.needs_a_look(function):
            what = self.given.changed(context.merkle())
            self.spoiled = bool(what)
            self.why_not = self.why_not or (what and f"it changed what it was given, {what}; work on a copy")

    def _trace(self, function: Callable[..., Any], seen: Observed, code: Code, context: Context, result: Any) -> None:
        """Make the trace of what was observed, and of what the user says that it writes."""
        if why := sent_tasks.objection(seen):
            raise NotKept(why)
        if self.unplanned and (seen.remote or seen.connections):
            url = self.unplanned[0]
            raise NotKept(f"it reads {url}, which came with the result of another step: no key says how it looked")
        outputs = stated_outputs(function, self.arguments, self.keywords)
        if not seen.is_empty or self.named or self.inherited or outputs or self.reached():
            memories, named = process().memories, self.named_and_read(seen)
            named = [each for each in named if each.url not in outputs and not matches(each.url, self.unobserved)]
            add_modules(seen, code, self.looked_at, result)
            trace = trace_of_run(seen, named, Inputs(context.inputs), self.inherited, outputs)
            memories.saw_opened({**trace.read, **trace.named})
            memories.filled(self.memories, trace)
            account_for(self, context)
            self.trace = with_memories(trace, seen, named, self.opened or (), self.reached(), memories)
        self.adds(self.classes.classes_of(self.looked_at, when_imported))

    def _compare_code(self, function: Callable[..., Any], code: Code, context: Context) -> None:
        """See whether the run rebound a variable that its code reads, or changed it where it is the client's own."""
        may_store = not process().gets_copies and code.is_users and may_change_arguments(code, function, self.arguments)
        if not code.rebinds and not may_store:
            return

        def look() -> Code | str:
            return code_of_call(function, self.arguments, context.merkle())

        now = look()
        if (not isinstance(now, Code) or now.digest != code.digest) and not settles(now, code.digest, look):
            # The result is not that of the code as it was hashed: a variable of it has another value now.
            if code.rebinds:
                raise NotKept(f"{code.rebinds[0]}, and this run did")
            raise NotKept("it changed a variable that its code holds, which loading its result would not")

    def _look_into(self, result: Any, seen: Observed, code: Code) -> None:
        """See whether the result holds what is true of this run alone."""
        names = [name for name in seen.made_up if not any(name in path for path in seen.writes)]
        asks_clock = any(" calls " in text for text in code.varying)
        fleeting = Fleeting(self.started, names=names, process=seen.asked_process, asks_clock=asks_clock)
        if what := fleeting.in_result(result):
            raise NotKept(f"varying: its result holds {what}")


def details_of(step: Planned, attempt: Attempt, result: Any, encoded: Encoded, *, private: bool) -> dict[str, Any]:
    """Return what the description of a result says beside what every description has; texts where it is private."""
    details: dict[str, Any] = dict(versions())
    details["code"] = step.code.hex() if step.code is not None else None
    details["arguments"] = list(for_description(step.parts, private=private))
    details |= details_of_code(attempt.code, private=private) if attempt.code is not None else {}
    if private and (shown := shown_values(attempt.looked_at, [*details["arguments"], *details.get("bound", ())])):
        details["shown"] = shown
    details["classes"] = dict(encoded.classes)
    details["type"] = f"{type(result).__module__}.{type(result).__qualname__}"
    if attempt.trace:
        details[OBSERVED] = attempt.trace.as_json()
    known = (("site", config.site()), ("peak", attempt.peak))
    details |= {name: value for name, value in known if value is not None}
    if (ttl := options_of(step.function).ttl) is not None:
        details["expires"] = time.time() + ttl
    return details
