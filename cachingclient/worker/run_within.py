"""What a task calls in place of a user's function whose result is not kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from dask.utils import funcname
from distributed.worker import thread_state

from cachingclient.graph import Key
from cachingclient.worker.context import Context, run_timed
from cachingclient.worker.process import process


class Known(Protocol):
    """A task that may have been sent under another key than the user's."""

    @property
    def name(self) -> str:
        """The step's name."""

    @property
    def known_as(self) -> Key | None:
        """Its key in the user's graph, where it was sent under another."""


@dataclass(slots=True)
class RunWithin:
    """A task that runs a user's function as it is, for steps that are neither loaded nor kept.

    Steps called inside it find the client's store, and the report gets a record of the run.
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
        process().attach(self.context.run)
        result, seconds = run_timed(self.function, self.context, args, kwargs)
        process().record(self.context.run, key_of(self), self.name, "ran", seconds, 0)
        return result


def key_of(step: Known) -> Key:
    """Return the key of the step that this thread runs, as the user's graph has it."""
    return step.known_as if step.known_as is not None else getattr(thread_state, "key", step.name)
