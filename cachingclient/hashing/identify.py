"""`identify`: the identity of any function or value."""

from __future__ import annotations

from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.walk import Walk


def identify(obj: object, inputs: Inputs | None = None, environment: Environment | None = None) -> Identity:
    """Return the identity of a function or a value.

    Parameters
    ----------
    obj
        Anything that may stand in a graph: a function, a partial, an array, an object.
    inputs
        Fingerprints of files taken before, so that one plan looks at each file once.
    environment
        Which part of the installed libraries counts.

    Raises
    ------
    Unidentifiable
        If a part of it has no identity of its own, such as an open file or a lock.

    Examples
    --------
    >>> identify([1, 2]).digest == identify([1, 2]).digest
    True
    >>> identify(lambda x: x + 1).digest == identify(lambda x: x + 2).digest
    False
    """
    walk = Walk(inputs, environment)
    try:
        return walk.finish(walk.encode(obj))
    except RecursionError:
        raise Unidentifiable(f"a {type(obj).__name__} nested too deeply to be followed") from None
