"""The result of a chunk, found again where the same file goes by another name.

A chunk's key has the name of its file, since the processor is told of it. Where the code of the processor is proven
not to see it (`hashing.libraries.coffea_names`) and the result does not hold it, the result is filed under a key
without the name, too, beside what the file held. Who runs the chunk under another name finds it there: if the file now
holds the same, and all else that was observed is as it was, the result is taken, and kept under the name of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cachingclient.graph import Key
from cachingclient.hashing.content_keys import Call
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.same_content import Held
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.hashing.libraries.coffea_chunks import ChunkCall, chunk_call
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.lookup import surroundings
from cachingclient.plan.variants import MOST_SLOTS, OBSERVED, slot, trace_of
from cachingclient.storage import Entry, EntryInfo, Store, encode
from cachingclient.worker.attempt import Attempt, details_of
from cachingclient.worker.context import Context
from cachingclient.worker.process import process
from cachingclient.worker.run_within import key_of
from cachingclient.worker.writer import Job

HELD = "file"
"""The detail of an entry without a name that says which file it was made of, and what that held."""
_MOST_PROVEN = 8
_proven: OrderedDict[tuple[int, bytes], tuple[object, str]] = OrderedDict()


class Running(Protocol):
    """The step that runs."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def known_as(self) -> Key | None:
        """Its key in the user's graph, where it was sent under another."""

    @property
    def step_key(self) -> bytes | None:
        """Its step key."""

    @property
    def context(self) -> Context:
        """What it shares with the others of its graph."""

    @property
    def function(self) -> Any:
        """What it calls."""

    @property
    def code(self) -> bytes | None:
        """The digest of its code on the client."""

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The encodings of its arguments."""


@dataclass(frozen=True, slots=True)
class Nameless:
    """A chunk whose code sees no name, and its key without one.

    Attributes
    ----------
    call
        The chunk.
    key
        The key, 32 hexadecimal characters.
    """

    call: ChunkCall
    key: str

    def find(self, store: Store, attempt: Attempt) -> tuple[EntryInfo, Trace] | None:
        """Return the entry of the same chunk of a file that held the same, and what else it depends on."""
        here = surroundings(store, attempt.classes.changed)
        for _, info in _slots(store, self.key):
            if attempt.cannot_load(info):
                continue
            held = Held.of_json(info.details.get(HELD))
            if held is None or not self.call.held.holds_what(held):
                continue
            if not here.difference(trace := trace_of(info)):
                return info, trace
        return None

    def file(self, store: Store, fact: str, trace: Trace, result_holds: Held) -> None:
        """File a kept result under the key without a name."""
        info = store.find([fact]).get(fact)
        if info is None:
            return
        for name, there in _slots(store, self.key, free=True):
            if there is not None:
                held = Held.of_json(there.details.get(HELD))
                if held is None or not result_holds.holds_what(held) or trace_of(there) != trace:
                    continue
                if there.digest == info.digest:
                    return
            details = {**info.details, OBSERVED: trace.as_json(), HELD: result_holds.as_json()}
            # Where one is there, the chunk was run again, for a result in its place.
            store.alias(replace(info, details=details), [name], overwrite=there is not None)
            return


def _slots(store: Store, key: str, *, free: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a key by their slots, and at the end the first free slot if that is wanted."""
    for number in range(MOST_SLOTS):
        name = slot(key, number)
        info = store.find([name]).get(name)
        if info is not None or free:
            yield name, info
        if info is None:
            return


def nameless(step: Running, attempt: Attempt, call: Call, merkle: Merkle) -> Nameless | None:
    """Return the chunk that a step processes, None if it is no chunk, or its code may see the file's name."""
    try:
        chunk = chunk_call(step.function, attempt.arguments, attempt.keywords, call)
        if chunk is None or isinstance(call.code, str) or step.context.inputs == "name":
            return None
        from cachingclient.hashing.libraries.coffea_names import processor_in  # which imports awkward

        processor = processor_in(step.function, chunk.heavy)
        identity = "" if processor is None else merkle.identity(processor)
        if isinstance(identity, str) or _why_named(processor, call.code.digest, identity, merkle):
            return None
        key = chunk.key(call.code, merkle)
    except Exception:  # of a release of coffea that does all this otherwise: then a file has one name
        return None
    return None if key is None else Nameless(chunk, key)


def _why_named(processor: Any, code: bytes, identity: Identity, merkle: Merkle) -> str:
    """Return why a processor may see the name of its file, looking once at each that stays as it is."""
    from cachingclient.hashing.libraries.coffea_names import why_it_may_see

    known = id(processor), code + bytes.fromhex(identity.digest)
    if known not in _proven:
        _proven[known] = processor, why_it_may_see(processor, merkle.environment)
        while len(_proven) > _MOST_PROVEN:
            _proven.popitem(last=False)
    return _proven[known][1]


def seek(step: Running, attempt: Attempt) -> None:
    """Take the result of the same chunk of the same file under another name, and keep it under this one."""
    chunk, store, start = attempt.nameless, step.context.here, time.perf_counter()
    if chunk is None or (found := chunk.find(store, attempt)) is None:
        return
    info, trace = found
    path = chunk.call.held.path
    own = {each.url: each for each in attempt.named if each.is_local and not each.in_key and each.url == path}
    if chunk.call.held.sums is None and not own:
        return
    try:
        value = chunk.call.with_own_item(store.read(info, attempt.classes))
    except Exception:  # it is lost, or no result of a chunk: the step runs
        return
    trace = trace.after([Trace(named=own)])
    attempt.value, attempt.found, attempt.trace = value, True, trace
    ledger, run, key, name = process(), step.context.run, key_of(step), step.name
    told = {"saved": info.seconds, "sound": True, "trace": trace}
    seconds = time.perf_counter() - start
    if attempt.content is None or not step.context.keep:
        ledger.record(run, key, name, "cut off", seconds, info.nbytes, **told)
        return
    encoded = encode(value, attempt.classes, data_only=store.data_only)
    details = details_of(step, attempt, value, encoded, private=store.private)
    entry = Entry(
        (attempt.content,), "result", name, info.seconds, details, encoded, later_keys(step.step_key, attempt)
    )

    def done(fact: str, note: str) -> None:
        ledger.record(run, key, name, "cut off", seconds, encoded.nbytes, note=note, fact=fact, **told)

    ledger.keep(Job(store, entry, False, done, trace))


def later_keys(step_key: bytes | None, attempt: Attempt) -> tuple[str, ...]:
    """Return the keys under which a result may be filed later: who purges it removes it there, too."""
    keys = () if step_key is None else (step_key.hex(),)
    return keys if attempt.nameless is None else (*keys, attempt.nameless.key)


def filer(attempt: Attempt, result: Any) -> Callable[[Store, str], None]:
    """Return what files the result of a step under the key without a name once it is kept, where that is sound."""
    chunk, trace = attempt.nameless, attempt.trace
    try:
        held = None if chunk is None or chunk.call.may_name(result) else chunk.call.still_held()
    except Exception:  # of a value that can't be pickled: then it has one name
        held = None

    def file(store: Store, fact: str) -> None:
        if chunk is not None and held is not None and fact and not store.read_only:
            with contextlib.suppress(Exception):  # the result is kept all the same
                chunk.file(store, fact, _without(trace, held.path), held)

    return file


def _without(trace: Trace, path: str) -> Trace:
    """Return a trace without what is known of a file otherwise."""
    named, read = (
        {name: seen for name, seen in files.items() if path not in (name, name.removesuffix(" (link)"))}
        for files in (trace.named, trace.read)
    )
    return replace(trace, named=named, read=read)
