"""What distributed itself holds and a task can use: variables, queues, events, published data, the worker, annotations.

A lock or a semaphore that is only taken and given back tells a task nothing, and neither does what only computes. All
else that a task's client asks of the scheduler may be answered otherwise the next time.
"""

from __future__ import annotations

import functools
import os
import sys
from contextvars import ContextVar
from types import FrameType
from typing import Any

from cachingclient.worker.observe.audit import tell
from cachingclient.worker.observe.callers import asked_by_user, callers, is_library, is_step_boundary
from cachingclient.worker.observe.current import Observers
from cachingclient.worker.observe.imports import when_imported
from cachingclient.worker.observe.wrap import replace

_WORKER = "the worker that it runs on"
_USES = (
    ("distributed.variable", "Variable.get", "the distributed Variable {name!r}"),
    ("distributed.variable", "Variable.set", "the distributed Variable {name!r}"),
    ("distributed.queues", "Queue.get", "the distributed Queue {name!r}"),
    ("distributed.queues", "Queue.put", "the distributed Queue {name!r}"),
    ("distributed.queues", "Queue.qsize", "the distributed Queue {name!r}"),
    ("distributed.event", "Event.wait", "the distributed Event {name!r}"),
    ("distributed.event", "Event.is_set", "the distributed Event {name!r}"),
    ("distributed.event", "Event.set", "the distributed Event {name!r}"),
    ("distributed.event", "Event.clear", "the distributed Event {name!r}"),
    ("distributed.lock", "Lock.locked", "the distributed Lock {name!r}"),
    ("distributed.multi_lock", "MultiLock.locked", "a distributed MultiLock"),
    ("distributed.semaphore", "Semaphore.get_value", "the distributed Semaphore {name!r}"),
    ("distributed.pubsub", "Pub.put", "the distributed topic {name!r}"),
    ("distributed.pubsub", "Sub.get", "the distributed topic {name!r}"),
)
_CLIENT, _DATASETS = (os.path.join("distributed", name) for name in ("client.py", "publish.py"))
_ONLY_COMPUTE = frozenset(
    [
        *("submit", "map", "gather", "compute", "persist", "get", "scatter", "cancel", "retry", "wait", "futures_of"),
        *("result", "exception", "traceback", "release", "__next__", "next_batch", "fire_and_forget", "get_executor"),
        *("__init__", "__enter__", "__exit__", "__del__", "start", "close", "upload_file", "register_plugin"),
        *("normalize_collection", "rebalance", "replicate", "log_event"),
    ]
)
"""Functions of distributed's client that tell a task nothing but results of tasks."""


def install() -> None:
    """See uses of distributed's state from now on."""
    when_imported("distributed.client", _observe_requests)
    for module, name, text in _USES:
        when_imported(module, functools.partial(_wrap, name, text))
    when_imported("distributed.worker", functools.partial(_watch, "_worker_cvar", "get_worker", _WORKER))
    when_imported("dask.base", functools.partial(_watch, "_annotations", "get_annotations", "dask's annotations"))
    when_imported("dask.config", _observe_settings)


def _observe_requests(module: Any) -> None:
    """See what is asked of the scheduler, which all goes through one method of the client, and what the client has."""

    def make(original: Any) -> Any:
        def sync(*args: Any, **kwargs: Any) -> Any:
            tell(_asked_scheduler, (), sys._getframe(1))
            return original(*args, **kwargs)

        return sync

    def make_read(original: Any) -> Any:
        def read(client: Any, name: str) -> Any:
            found = original(client, name)
            if not callable(found):
                tell(_read_of_client, (name,), sys._getframe(1))
            return found

        return read

    replace(module, "Client.sync", make)
    replace(module, "Client.__getattribute__", make_read)


def _read_of_client(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note what the user's code read of a client, such as its scheduler's address, itself or as in a client's text."""
    (name,) = args
    for one in callers(frame):
        if one.f_code.co_filename.endswith(_CLIENT):
            name = one.f_code.co_name
        elif is_step_boundary(one) or is_library(one):  # which need it to work
            return
        else:
            break
    else:
        return
    _add_of_client(found, name)


def _asked_scheduler(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Note it by the function of distributed's client that the user's code called."""
    name, text = "sync", ""
    for one in callers(frame):
        path = one.f_code.co_filename
        if is_step_boundary(one):
            return
        if not is_library(one):
            break
        if path.endswith((_CLIENT, _DATASETS)):
            name, text = one.f_code.co_name, "the published data sets" if path.endswith(_DATASETS) else ""
        elif "/distributed/" in path:  # a variable, a lock: told by their own methods
            return
    _add_of_client(found, name, text)


def _add_of_client(found: Observers, name: str, text: str = "") -> None:
    if name not in _ONLY_COMPUTE:
        _add(found, text or ("the published data sets" if "dataset" in name else f"what Client.{name} gave"))


def _observe_settings(module: Any) -> None:
    """See which of dask's settings are asked for, by what `dask.config.get` calls for each part of a name.

    That function itself may have been imported by name, and is then pickled by what stands under its name.
    """

    def make(original: Any) -> Any:
        def canonical_name(*args: Any, **kwargs: Any) -> Any:
            asked = sys._getframe(1)
            if asked.f_code.co_name == "get" and asked.f_back is not None:
                tell(_used, (f"dask's setting {asked.f_locals.get('key')!r}", None), asked.f_back)
            return original(*args, **kwargs)

        return canonical_name

    replace(module, "canonical_name", make)


def _wrap(name: str, text: str, module: Any) -> None:
    def make(original: Any) -> Any:
        def using(*args: Any, **kwargs: Any) -> Any:
            tell(_used, (text, args[0] if args else None), sys._getframe(1))
            return original(*args, **kwargs)

        return using

    replace(module, name, make)


class _ObservedVariable:
    """Stands for a context variable that one function asks for others: that was imported by name everywhere."""

    def __init__(self, variable: Any, asked_by: str, text: str) -> None:
        self._variable = variable
        self._asked_by = asked_by
        self._text = text
        self.set, self.reset, self.name = variable.set, variable.reset, variable.name

    def get(self, *default: Any) -> Any:
        frame = sys._getframe(1)
        if frame.f_code.co_name == self._asked_by and frame.f_back is not None:
            tell(_used, (self._text, None), frame.f_back)
        return self._variable.get(*default)


def _watch(variable: str, asked_by: str, text: str, module: Any) -> None:
    if isinstance(found := getattr(module, variable, None), ContextVar):
        setattr(module, variable, _ObservedVariable(found, asked_by, text))
    else:
        _wrap(asked_by, text, module)


def _used(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Where distributed itself asks, such as `get_client` for the worker, a task learns nothing."""
    text, owner = args
    is_step = is_step_boundary(frame) and frame.f_code.co_name == "run_timed"  # what asks is the step's own function
    if not is_step and not asked_by_user(frame):
        return
    _add(found, text.format(name=getattr(owner, "name", "")))


def _add(found: Observers, text: str) -> None:
    for seen in found:
        if len(seen.state) < 1000:
            seen.state.add(text)
