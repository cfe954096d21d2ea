"""A checkpointer for coffea's Runner that gives a chunk's output back only to the code that would make it again."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from coffea.processor import CheckpointerABC, ProcessorABC
from coffea.processor.executor import WorkItem

from cachingclient import config
from cachingclient.hashing.code.bound_methods import what_it_reads
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.plan.user_classes import Scope, UserClasses, from_modules
from cachingclient.step import StepFunction
from cachingclient.storage import Entry, Store, encode, open_store
from cachingclient.warn_once import NoteKeeper
from cachingclient.worker.process import versions

_OF_THE_CHUNK = ("dataset", "filename", "treename", "entrystart", "entrystop", "fileuuid")
_notes = NoteKeeper()
_looked_up = threading.local()


class Checkpointer(CheckpointerABC):
    """Keeps the output of each chunk in a store, under the code of ``process`` and the chunk.

    An output is found again by the same code on the same events: in another session, by another executor, by
    another user of the store. An edit of `process`, of what it calls or reads, or of the processor's settings that
    it uses makes it a miss; an edit of ``postprocess`` does not.

    Parameters
    ----------
    store
        Where outputs are kept: a URL or a `Store`. None takes the configured one.
    version
        Part of the key: what changes the output and is not in the processor, such as the schema of the Runner.
        A run with ``savemetrics=True`` has other outputs, so it needs another version than one without.

    Examples
    --------
    >>> import tempfile
    >>> from coffea import processor
    >>> checkpointer = Checkpointer(f"file://{tempfile.mkdtemp()}")
    >>> run = processor.Runner(processor.IterativeExecutor(), checkpointer=checkpointer)
    """

    def __init__(self, store: str | os.PathLike[str] | Store | None = None, *, version: object = None) -> None:
        self.store = open_store(store if store is not None else config.store())
        self.version = version

    def __cache_token__(self) -> str:
        # Whether there are checkpoints changes no result, so it is no part of a step that carries one.
        return "a checkpointer"

    def load(self, metadata: Mapping[str, Any], processor_instance: ProcessorABC | Callable[..., Any]) -> Any:
        """Return the output that the same code gave for the same chunk, None if there is none."""
        chunk = tuple(metadata[name] for name in _OF_THE_CHUNK)
        _looked_up.last = chunk, None, time.perf_counter()
        with self._forgiven("can't be loaded"):
            key = self._key(metadata, processor_instance)
            _looked_up.last = chunk, key, time.perf_counter()
            info = self.store.find([key]).get(key)
            if info is not None:
                classes = UserClasses(config.environment(), from_modules, Scope(processor_instance))
                if classes.objection(info):
                    return None
                output = self.store.read(info, classes)
                self.store.touch([key])
                return output
        return None

    def save(
        self, output: Any, metadata: Mapping[str, Any], processor_instance: ProcessorABC | Callable[..., Any]
    ) -> None:
        """Keep the output of a chunk that `load` did not find, at once: what is saved survives the end of the job."""
        chunk, key, start = getattr(_looked_up, "last", (None, None, 0.0))
        # By the key from before: coffea and the processor may have added to the metadata meanwhile.
        if key is None or chunk != tuple(metadata[name] for name in _OF_THE_CHUNK):
            return
        with self._forgiven("can't be saved"):
            details: dict[str, Any] = {**versions(), "chunk": {name: str(metadata[name]) for name in _OF_THE_CHUNK}}
            name = getattr(processor_instance, "__name__", type(processor_instance).__name__)
            classes = UserClasses(config.environment(), from_modules, Scope(processor_instance))
            encoded = encode(output, classes, data_only=self.store.data_only)
            details["classes"] = dict(encoded.classes)
            entry = Entry((key,), "result", name, time.perf_counter() - start, details, encoded)
            self.store.write(entry, overwrite=bool(encoded.classes))  # what is there may be of a class that changed

    def _key(self, metadata: Mapping[str, Any], processor_instance: Any) -> str:
        """Return the key of a chunk's output.

        Raises
        ------
        Unidentifiable
            If the processor has no identity, or gives another output each time.
        """
        own = {name: value for name, value in metadata.items() if name not in _OF_THE_CHUNK}
        chunk = WorkItem(**{name: metadata[name] for name in _OF_THE_CHUNK}, usermeta=own)
        parts = ("checkpoint", self.version, _code_of(processor_instance), chunk)
        identity = identify(parts, Inputs(config.inputs()), config.environment())
        for reason in (*identity.varying, *identity.rebinds):
            raise Unidentifiable(reason)
        return identity.key

    @contextlib.contextmanager
    def _forgiven(self, what: str) -> Any:
        """Turn any fault into a warning: a checkpoint costs time, never a result."""
        try:
            yield
        except Exception as error:
            _notes.add(f"checkpoints {what}: {error}")


def _code_of(processor_instance: Any) -> object:
    """Return what a chunk's output depends on: ``process`` and what it reads of the processor."""
    if not isinstance(processor_instance, ProcessorABC):
        return processor_instance
    process: Any = type(processor_instance).process
    function = process.function if isinstance(process, StepFunction) else process
    return function, what_it_reads(processor_instance, function)
