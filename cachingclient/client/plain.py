"""The client on a dask whose insides have moved: it takes what `DiracClient` takes, and keeps nothing."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Any, NoReturn

from distributed import Client

from cachingclient.dask_internals.fit import what_is_missing
from cachingclient.warn_once import CacheWarning, warn_user

_said: set[str] = set()


def say_why() -> str:
    """Return why there is no cache, in a sentence."""
    import dask

    first, *others = what_is_missing()
    more = f" and {len(others)} more" if others else ""
    return f"dask {dask.__version__} is not one that this version of cachingclient can rewrite graphs of: {first}{more}"


class NoReport:
    """What a plain client tells of its graphs: that nothing was looked up or kept, and why."""

    def __str__(self) -> str:
        return f"Nothing was looked up or kept: {say_why()}"

    def to_dict(self) -> dict[str, Any]:
        """Return no steps."""
        return {"steps": [], "total": {}}


class PlainClient(Client):
    """A `distributed.Client` with the attributes of a `DiracClient` without a cache.

    Parameters
    ----------
    address
        As for `distributed.Client`.
    cache, policy, mode
        As for `DiracClient`; they have no effect.
    **kwargs
        Everything else that `distributed.Client` takes.
    """

    cache = None

    def __init__(self, address: Any = None, *, cache: Any = None, policy: Any = None, mode: Any = None, **kwargs: Any):
        text = f"this client runs without the cache: {say_why()}"
        if text not in _said:
            _said.add(text)
            warn_user(text, CacheWarning)
        super().__init__(address, **kwargs)

    @property
    def reports(self) -> deque[NoReport]:
        """No reports: graphs are sent as they are."""
        return deque()

    @property
    def report(self) -> NoReport:
        """A report that says why there is none."""
        return NoReport()

    @contextlib.contextmanager
    def reporting(self) -> Iterator[NoReport]:
        """Give a report that says why there is none."""
        yield NoReport()

    @property
    def history(self) -> tuple[()]:
        """No runs are remembered."""
        return ()

    def advise(self) -> str:
        """Advise nothing: nothing is known."""
        return str(self.report)

    def progress(self) -> None:
        """Show nothing: no records come."""

    def flush(self) -> None:
        """Do nothing: nothing is kept."""

    def plan(self, *collections: Any, optimize_graph: bool = True) -> NoReturn:
        """Raise a ValueError: there is nothing to plan."""
        raise ValueError(f"this client has no cache, so there is nothing to plan: {say_why()}")

    def explain(self, key: Any, plan: Any = None) -> NoReturn:
        """Raise a ValueError: there is nothing to explain."""
        raise ValueError(f"this client has no cache, so there is nothing to explain: {say_why()}")

    def step_key_of(self, key: Any) -> None:
        """Return None: no step has a key."""
