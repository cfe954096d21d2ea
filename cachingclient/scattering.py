"""Scattered data: known by its content, whatever it is called on the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from distributed import Future

from cachingclient.graph import Key
from cachingclient.hashing.identities import Step
from cachingclient.hashing.merkle import Merkle


def steps_of_data(data: Any, merkle: Merkle) -> dict[Any, Step]:
    """Return the step of each piece of data, taken apart as `distributed.Client.scatter` does.

    Examples
    --------
    >>> sorted(steps_of_data({"a": 1, "b": 2}, Merkle({})))
    ['a', 'b']
    """
    if type(data) is dict:
        return {name: merkle.value(value) for name, value in data.items()}
    if type(data) in (list, tuple) or hasattr(data, "_fields"):
        return {number: merkle.value(value) for number, value in enumerate(data)}
    if type(data) in (set, frozenset):
        return {}  # in what order their futures come is not said
    return {None: merkle.value(data)}


def steps_of_futures(scattered: Any, steps: dict[Any, Step]) -> Iterator[tuple[Key, Step]]:
    """Yield the key of each future that scattering returned, with its step."""
    if isinstance(scattered, Future):
        yield scattered.key, steps[None]
    elif isinstance(scattered, dict):
        yield from ((future.key, steps[name]) for name, future in scattered.items())
    elif len(scattered) == len(steps):
        yield from ((future.key, step) for future, step in zip(scattered, steps.values(), strict=True))
