"""What submitting, results and recovery need of dask's client: `cachingclient.client.hooks` implements it.

The objects that `DiracClient` owns see this protocol instead of the client, so the private attributes of
`distributed.Client` that they lean on are all touched in one module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from distributed import Future

from cachingclient.graph import Key


class Port(Protocol):
    """A client of dask, as far as the objects that it owns use it."""

    @property
    def id(self) -> str:
        """The client's id, which the scheduler knows it by."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The lock under which dask counts the futures of a key, and forgets a key with its last future."""

    @property
    def states(self) -> Mapping[Key, Any]:
        """The state of each key that has a future: its ``status``, ``type`` and ``wait()``."""

    @property
    def scheduler_identity(self) -> Mapping[str, Any]:
        """What the scheduler last said of itself, such as its number of workers."""

    def future(self, key: Key) -> Future[Any]:
        """Return one more future of a key."""

    def send(self, graph: Any, keys: Iterable[Key], *args: Any, **options: Any) -> dict[Key, Future[Any]]:
        """Send a graph as dask does, and return the futures of its wanted keys."""

    def mark_erred(self, key: Key, exception: Any, traceback: Any) -> None:
        """Set the exception of a key's futures."""

    def tell_scheduler(self, message: Mapping[str, Any]) -> None:
        """Send a message to the scheduler, after all that was sent before."""

    async def run_on_scheduler(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function on the scheduler."""

    async def run_on_workers(self, function: Callable[..., Any], *args: Any, **options: Any) -> dict[str, Any]:
        """Run a function on each worker, and return what it gave by the worker's address."""

    def ask_workers(self, function: Callable[..., Any], *args: Any) -> Mapping[str, Any] | None:
        """Run a function on each worker and wait; return what it gave or raised, None where waiting is not possible."""

    async def log_event(self, topic: str, message: Mapping[str, Any]) -> None:
        """Add to the scheduler's events."""

    async def workers(self) -> dict[str, bool]:
        """Return the addresses of all workers, each with whether it is ready for tasks; the scheduler is asked."""

    async def gather(self, futures: list[Future[Any]]) -> list[Any]:
        """Return the results of futures."""
