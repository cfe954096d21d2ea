"""What all steps of one graph share, and how the steps called inside a function come by it."""

from __future__ import annotations

import contextvars
import functools
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cachingclient import config
from cachingclient.hashing.environment import Environment
from cachingclient.hashing.inputs import Mode
from cachingclient.notes import CacheWarning
from cachingclient.policy import CachePolicy, find_policy
from cachingclient.step import StepFunction
from cachingclient.storage import Store, open_store
from cachingclient.worker import process

logger = logging.getLogger("cachingclient")


@dataclass(frozen=True, slots=True)
class Context:
    """What all steps of one graph share.

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
    """

    run: str
    store: Store
    policy: CachePolicy
    environment: Environment
    inputs: Mode
    overwrite: bool = False
    keep: bool = True
    patience: float = 0.0

    @property
    def here(self) -> Store:
        """The store as this process has it: behind the one near its site, if that has one."""
        near = config.near_store()
        if near is None or near in process().useless or "near" in self.store.options:
            return self.store
        try:
            return open_store(self.store.url, **self.store.options, near=near)
        except Exception as error:
            process().useless.add(near)
            logger.warning("the near store %s is left out: %s", near, error)
            return self.store


_current: contextvars.ContextVar[Context | None] = contextvars.ContextVar("current", default=None)


def current_context() -> Context | None:
    """Return the context of the task that this thread runs; outside of any, that of the configured store."""
    found = _current.get()
    return found if found is not None else configured_context()


@functools.cache
def configured_context() -> Context | None:
    """Return a context from the settings alone, for steps that are called in plain Python."""
    mode = config.mode()
    if mode == "off":
        return None
    try:
        store = open_store(config.store(), **config.store_options())
    except Exception as error:
        warnings.warn(f"steps run without the cache: {error}", CacheWarning, stacklevel=2)
        return None
    keep = mode != "read" and not store.read_only
    return Context(
        "", store, find_policy(config.policy()), config.environment(), config.inputs(), mode == "refresh", keep
    )


def run_timed(
    function: Callable[..., Any], context: Context, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, float]:
    """Run a function with a context for the steps inside it; return its result and the seconds it took."""
    plain = function.function if isinstance(function, StepFunction) else function
    token = _current.set(context)
    start = time.perf_counter()
    try:
        result = plain(*args, **kwargs)
    finally:
        _current.reset(token)
    return result, time.perf_counter() - start
