"""The context of a run: what all steps of one graph share, also steps called inside others."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from distributed.protocol.pickle import dumps, loads

from cachingclient import config
from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.inputs.inputs import Inputs, Mode
from cachingclient.hashing.inputs.trace import Trace
from cachingclient.hashing.libraries.coffea_chunks import without_signature
from cachingclient.hashing.step_keys import Merkle
from cachingclient.plan.files_seen import remember_beside
from cachingclient.plan.policy import CachePolicy, find_policy
from cachingclient.storage import Store, open_store
from cachingclient.storage.open_store import sent_store
from cachingclient.warn_once import CacheWarning, warn_user
from cachingclient.worker.observe import ignore_folder
from cachingclient.worker.options import unmarked
from cachingclient.worker.process import process

_OWN = ("run", "packed", "pid")
"""What differs between the contexts of one client."""
logger = logging.getLogger("cachingclient")


@dataclass(frozen=True, slots=True)
class Context:
    """The store, policy and settings that all steps of one graph share.

    Attributes
    ----------
    run
        The name of the run, for the records that workers send back.
    store, policy, environment, inputs
        As the client was given them.
    overwrite
        Whether what is in the store is replaced (``mode="refresh"``).
    keep
        Whether anything is kept (not in ``mode="read"``, and not in a store that can't be written).
    patience
        Seconds to wait for another client that runs the same step; 0 not to ask.
    unobserved
        Globs of files that count for no step.
    packed
        The pickle of all but the run, if it was made: a graph for each call of `submit` would pickle it each time.
    pid
        The id of the process that this context was made in.
    """

    run: str
    store: Store
    policy: CachePolicy
    environment: Environment
    inputs: Mode
    overwrite: bool = False
    keep: bool = True
    patience: float = 0.0
    unobserved: tuple[str, ...] = ()
    packed: bytes = field(default=b"", repr=False, compare=False)
    pid: int = field(default_factory=os.getpid, init=False, repr=False, compare=False)

    def pack(self) -> Context:
        """Return a context that knows what the contexts of all runs of a client have in common as bytes, made once."""
        return dataclasses.replace(self, packed=dumps(self._common()))

    def of_run(self, run: str) -> Context:
        """Return the context of another run of the same client.

        Examples
        --------
        >>> context = Context("", open_store("memory://docs"), find_policy("auto"), config.environment(), "stat")
        >>> context.of_run("Client-1/2") == dataclasses.replace(context, run="Client-1/2")
        True
        """
        common: tuple[Any, ...] = (*self._common(), self.packed)
        return Context(run, *common)

    def _common(self) -> tuple[Any, ...]:
        """Return what contexts of other runs have too, in the order of the fields."""
        return tuple(getattr(self, name) for name in _shared())

    def __reduce__(self) -> Any:
        return _unpacked, (self.run, self.packed or dumps(self._common()))

    def merkle(self) -> Merkle:
        """Return what looks at code and values as the settings say, knowing nothing yet."""
        return Merkle({}, Inputs(self.inputs), self.environment)

    @property
    def here(self) -> Store:
        """The store as this process uses it: through a near store, if its site has one."""
        near = process().near
        if near is None or near in process().useless or "near" in self.store.options:
            return self.store
        try:
            return open_store(self.store.url, **self.store.options, near=near)
        except Exception as error:
            process().useless.add(near)
            logger.warning("the near store %s is left out: %s", near, error)
            return self.store


@functools.cache
def _shared() -> tuple[str, ...]:
    """Return the names of what the contexts of one client have in common, in the order of the fields."""
    return tuple(each.name for each in fields(Context) if each.name not in _OWN)


@functools.lru_cache(maxsize=100)
def leave_out(store: Store) -> None:
    """Let no step be seen to read or write what lies in a store."""
    for each in (store, getattr(store, "near", None)):
        if each is not None and each.url.startswith("file://"):
            ignore_folder(url2pathname(urlsplit(each.url).path))


@functools.lru_cache(maxsize=32)
def _common(packed: bytes) -> Any:
    common = loads(packed)
    given = dict(zip(_shared(), common, strict=True))
    remember_beside(given["store"], writes=given["keep"])
    return common


def _unpacked(run: str, packed: bytes) -> Context:
    common: tuple[Any, ...] = (*_common(packed), packed)
    return Context(run, *common)


_inherited: contextvars.ContextVar[list[Trace] | None] = contextvars.ContextVar("inherited", default=None)


def inherit(trace: Trace) -> None:
    """Have the step that this thread runs depend on what a kept result depends on that it takes."""
    taken = _inherited.get()
    if taken is not None and trace:
        taken.append(trace)


@contextlib.contextmanager
def collecting(taken: list[Trace]) -> Iterator[None]:
    """Collect what a step inherits; the step around it inherits that too."""
    token = _inherited.set(taken)
    try:
        yield
    finally:
        _inherited.reset(token)
        for trace in taken:
            inherit(trace)


_current: contextvars.ContextVar[Context | None] = contextvars.ContextVar("current", default=None)


def current_context() -> Context | None:
    """Return the context of the task that this thread runs; outside of any, that of the configured store."""
    found = _current.get()
    found = found if found is not None else configured_context()
    return _in_child(found) if found is not None and found.pid != os.getpid() else found


def _in_child(context: Context) -> Context:
    """Return a context for a forked child: its parent's connections, and the threads behind them, are not its own."""
    return dataclasses.replace(context, store=sent_store(context.store.url, dict(context.store.options)))


@functools.cache
def configured_context() -> Context | None:
    """Return a context from the settings alone, for steps that are called in plain Python."""
    mode = config.mode()
    if mode == "off":
        return None
    try:
        store = open_store(config.store(), **config.store_options())
    except Exception as error:
        warn_user(f"steps run without the cache: {error}", CacheWarning)
        return None
    keep = mode != "read" and not store.read_only
    return Context(
        "",
        store,
        find_policy(config.policy()),
        config.environment(),
        config.inputs(),
        mode == "refresh",
        keep,
        unobserved=config.unobserved(),
    )


def run_timed(
    function: Callable[..., Any], context: Context, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, float]:
    """Run a function with a context for the steps inside it; return its result and the seconds it took."""
    plain = unmarked(function)
    token = _current.set(context)
    start = time.perf_counter()
    try:
        result = plain(*args, **kwargs)
    finally:
        _current.reset(token)
    seconds = time.perf_counter() - start
    return without_signature(function, args, result), seconds
