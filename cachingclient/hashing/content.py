"""Keys of what is at hand: a call by what its inputs contain, a collection inside a value by its graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dask.utils import key_split

from cachingclient.graph import execute_subgraph, lower_collections
from cachingclient.hashing.fingerprint import Fingerprint
from cachingclient.hashing.identities import Code
from cachingclient.hashing.merkle import Merkle, join
from cachingclient.hashing.walk import Unidentifiable, Walk


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it stands in this process.

    Attributes
    ----------
    code
        Its code, or why it has no identity.
    content_key
        Its key by what its inputs contain, wherever they came from; None if an input has no identity.
    inputs
        The files that it names, as they look from here.
    """

    code: Code | str
    content_key: bytes | None = None
    inputs: tuple[Fingerprint, ...] = ()


def look_at_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], merkle: Merkle
) -> Call:
    """Return what a call is made of, its arguments at hand.

    Examples
    --------
    >>> one = look_at_call(len, ([1, 2],), {}, Merkle({}))
    >>> one.content_key == look_at_call(len, ([1, 2],), {}, Merkle({})).content_key
    True
    """
    if function is execute_subgraph:
        nodes, out, names, *values = args
        step = merkle.subgraph(
            nodes, out, {name: merkle.value(value) for name, value in zip(names, values, strict=True)}
        )
        assert step.code is not None
        return Call(step.code, step.key and join(b"content", [step.key]), step.inputs)
    code = merkle.code(function)
    parts = merkle.arguments(function, args, kwargs)
    if isinstance(code, str) or parts.reason:
        return Call(code)
    return Call(code, join(b"content" + code.digest, parts.encodings), (*parts.inputs, *code.inputs))


def key_of_collection(collection: Any, walk: Walk) -> bytes:
    """Return the encoding of a dask collection inside a value, by the steps of its graph.

    Raises
    ------
    Unidentifiable
        If one of them is uncacheable.

    Examples
    --------
    >>> from dask import delayed
    >>> one, two = (key_of_collection(delayed(abs)(number), Walk()) for number in (-1, -2))
    >>> one == two
    False
    """
    lowered, keys = lower_collections([collection])
    steps = Merkle({}, walk.inputs, walk.environment).steps(lowered.nodes, keys)
    parts = []
    for key in keys:
        step = steps[key]
        if step.key is None:
            raise Unidentifiable(f"a dask collection with an uncacheable step {key_split(key)!r}: {step.reason}")
        parts.append(step.key)
    return b"$dask:" + join(b"collection", parts)
