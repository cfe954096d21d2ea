"""The contract of an engine, between `VineCluster` and a pool of workers.

Engine ``dask`` is made of plain dask workers. Other engines have a pool of their own, run by a manager in a process
of its own; at the scheduler each site of it is one dask worker, the *proxy*, whose executor hands tasks to the pool
and gets handles back. Handles are what the scheduler moves; values stay in the pool until somebody outside asks.
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypedDict

from distributed import WorkerPlugin

from cachingclient.vine.sites import Site
from cachingclient.worker.credentials import Contents


class EngineMissing(ImportError):
    """An engine is not installed; the text says how to get it."""


class EngineLost(RuntimeError):
    """The engine's manager or pool is gone, and the values that it held with it."""


class HandleLost(KeyError):
    """A result is in the pool no more; its task has to run again."""


class Spec(TypedDict):
    """The specification from which `distributed.SpecCluster` starts one worker."""

    cls: Any
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Needs:
    """The resources of one task. None of them is ever part of a step's key.

    Attributes
    ----------
    cores, gpus
        How many.
    memory, disk
        Bytes; 0 if not known.
    site
        The only site it may run at; None for any.
    mode
        How a pool finds what the task takes, of the `resources_mode` of engines; None for the engine's own way.
    """

    cores: float = 1
    memory: int = 0
    disk: int = 0
    gpus: float = 0
    site: str | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Handle:
    """A result that stays in the pool: small, hashable, and made to be pickled and sent around.

    Attributes
    ----------
    key
        The name by which the engine finds it; unique in the pool.
    nbytes
        The size of the result, so that the scheduler weighs the handle as the result.
    typename
        The name of its type.
    site
        Where it was made; None if the engine does not tell.
    """

    key: str
    nbytes: int = 0
    typename: str = "object"
    site: str | None = None

    def __sizeof__(self) -> int:
        return self.nbytes


@dataclass(frozen=True, slots=True)
class SiteStats:
    """Counts of one site: of now, but for `done`, `failed` and the bytes, which are of the cluster's whole life."""

    workers: int = 0
    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    bytes_within: int = 0
    bytes_across: int = 0


class Engine(ABC):
    """A pool of workers over some sites. All its methods may be called from any thread.

    Attributes
    ----------
    name
        The name that users choose it by.
    proxied
        Whether its sites are proxies at the scheduler; False for engine ``dask`` alone.
    worker_plugins
        Plugins for the dask workers of the cluster, by their names.
    """

    name: ClassVar[str]
    proxied: ClassVar[bool] = True
    worker_plugins: Mapping[str, WorkerPlugin] = MappingProxyType({})

    @classmethod
    @abstractmethod
    def check(cls) -> None:
        """Raise `EngineMissing` if a library or program of the engine is not installed here."""

    @abstractmethod
    def start(self, cluster: Any) -> None:
        """Start the manager; called once, by the cluster whose engine it is, before any worker is asked for."""

    def deliver(self, credentials: Contents) -> None:
        """Have tasks find these proxies and tokens; called before `start`, and whenever there are new ones.

        Raises
        ------
        ValueError
            If that can't be done in private.
        """
        raise ValueError(f"credentials: engine {self.name} sends none to its workers")

    @abstractmethod
    def spec(self, site: Site) -> Spec:
        """Return the specification of one dask worker of a site: the site's proxy, or one of its workers.

        The cluster adds the worker's name, and the options in `Site.advertised` as its resources.
        """

    @abstractmethod
    def resize(self, site: Site, workers: int) -> None:
        """Have as many workers at a site; returns at once. Nothing to do where workers are dask's own."""

    @abstractmethod
    def run(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], needs: Needs
    ) -> Future[Handle]:
        """Run a function in the pool.

        Any `Handle` among the arguments, at the top level of `args` and `kwargs`, arrives as the value that it
        stands for. The future fails with what the function raised, with `HandleLost` if an argument is gone, with
        `EngineLost` if the pool is. Cancelling a future that does not run yet takes the task back. Success is
        judged by a record of our own that comes with the result, not by what a manager says.
        """

    @abstractmethod
    def fetch(self, handles: Sequence[Handle]) -> list[Any]:
        """Return values, in order.

        Raises
        ------
        HandleLost
            If one of them is in the pool no more.
        """

    @abstractmethod
    def release(self, handles: Iterable[Handle]) -> None:
        """Let the pool forget values; unknown ones are no error."""

    @abstractmethod
    def stats(self) -> dict[str, SiteStats]:
        """Return the counts of every site."""

    @abstractmethod
    def stop(self) -> None:
        """Stop pool and manager; every process that the engine started is gone when it returns. May come twice."""


_ENGINES = {
    "dask": "cachingclient.vine.engines.dask:DaskEngine",
    "taskvine": "cachingclient.vine.engines.taskvine:TaskVineEngine",
    "workqueue": "cachingclient.vine.engines.workqueue:WorkQueueEngine",
}


def find_engine(name: str) -> type[Engine]:
    """Return the engine of a name, once it is known to be installed.

    Raises
    ------
    ValueError
        If there is none of that name.
    EngineMissing
        If it is not installed.

    Examples
    --------
    >>> find_engine("dask").__name__
    'DaskEngine'
    >>> find_engine("spark")
    Traceback (most recent call last):
    ...
    ValueError: engine is 'spark'; it takes 'dask', 'taskvine' or 'workqueue'
    """
    if name not in _ENGINES:
        *most, last = map(repr, _ENGINES)
        raise ValueError(f"engine is {name!r}; it takes {', '.join(most)} or {last}")
    module, _, attribute = _ENGINES[name].partition(":")
    engine: type[Engine] = getattr(importlib.import_module(module), attribute)
    engine.check()
    return engine


def make_engine(name: str, options: Mapping[str, Any]) -> Engine:
    """Make the engine of a name.

    Raises
    ------
    TypeError
        If it does not take one of the options.

    Examples
    --------
    >>> make_engine("dask", {"port": 9123})
    Traceback (most recent call last):
    ...
    TypeError: engine_options has 'port', which engine dask does not take; it takes extra_files
    """
    engine = find_engine(name)
    known = list(inspect.signature(engine).parameters)
    for option in options:
        if option not in known:
            taken = ", ".join(known)
            raise TypeError(f"engine_options has {option!r}, which engine {name} does not take; it takes {taken}")
    return engine(**options)
