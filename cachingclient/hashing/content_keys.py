"""Keys of what is at hand: a call by what its inputs contain, a collection inside a value by its graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dask.utils import key_split

from cachingclient.graph import execute_subgraph, lower_collections
from cachingclient.hashing.code.stores_into import may_store_into
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from cachingclient.hashing.keys import Code, Step, join, join_held
from cachingclient.hashing.step_keys import Merkle
from cachingclient.hashing.walk import Walk


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
    codes
        The digests of code of the user's among its arguments.
    """

    code: Code | str
    content_key: bytes | None = None
    inputs: tuple[Fingerprint, ...] = ()
    codes: tuple[bytes, ...] = ()


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
        return Call(step.code, step.key and join(b"content", [step.key]), step.inputs, step.codes)
    code = merkle.code(function)
    parts = merkle.arguments(function, args, kwargs)
    if isinstance(code, str):
        return Call(code)
    key = None if parts.reason else join_held(b"content" + code.digest, parts.encodings, (*code.remade, *parts.remade))
    return Call(code, key, (*parts.inputs, *code.inputs), tuple(parts.codes))


def code_of_call(function: Callable[..., Any], args: tuple[Any, ...], merkle: Merkle) -> Code | str:
    """Return the code of a call without a look at its arguments, or why it has no identity.

    Examples
    --------
    >>> code = code_of_call(len, ([1, 2],), Merkle({}))
    >>> code == look_at_call(len, ([1, 2],), {}, Merkle({})).code
    True
    """
    if function is not execute_subgraph:
        return merkle.code(function)
    nodes, out, names, *_ = args
    code = merkle.subgraph(nodes, out, dict.fromkeys(names, Step(bytes(16)))).code
    assert code is not None
    return code


def may_change_arguments(code: Code | str, function: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Tell whether a call may change its arguments in place; found once for each function, as long as its code holds.

    Examples
    --------
    >>> def clear(values):
    ...     values[:] = []
    >>> may_change_arguments(Merkle({}).code(clear), clear, ())
    True
    """
    if isinstance(code, str) or len(code.functions) != 1 or function is execute_subgraph:
        return may_store_into(function, args)
    made = code.functions[0].made
    if "stores" not in made:
        made["stores"] = may_store_into(function, args)
    found: bool = made["stores"]
    return found


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
