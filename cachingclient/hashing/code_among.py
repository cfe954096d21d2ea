"""The code of the user's among arguments of which some have no identity in this process.

What the client could identify may not be told by a worker: ROOT's graphs know the C++ that goes with them where they
were made. The code beside it can be compared all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cachingclient.hashing.content_keys import look_at_call
from cachingclient.hashing.environment.environment import Environment
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.step_keys import Merkle
from cachingclient.hashing.walk import Walk

_UNKNOWN = b"?"


def code_among(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], merkle: Merkle
) -> tuple[bytes, ...]:
    """Return the digests of the user's code among a call's arguments, without the parts that have no identity here.

    Examples
    --------
    >>> code_among(len, ([open],), {}, Merkle({}))
    ()
    """
    return look_at_call(function, args, kwargs, _Code({}, merkle.inputs, merkle.environment)).codes


class _Code(Merkle):
    """Finds of values the code that is in them. Its keys say nothing."""

    def identity(self, value: Any) -> Identity | str:
        """Return an identity whose ingredients hold the code of a value, or why it has none."""
        walk = _Walk(self.inputs, self.environment)
        try:
            return walk.finish(walk.encode(value))
        except Exception as error:  # code that can't be told is not the client's
            return f"{type(error).__name__}: {error}"


class _Walk(Walk):
    """Goes on past parts that have no identity, as if they had no code in them.

    Code that reads such a part has other ingredients than on the client, where all that it reads has an identity.
    """

    def __init__(self, inputs: Inputs, environment: Environment) -> None:
        super().__init__(inputs, environment)
        self._without: dict[int, object] = {}

    def encode(self, obj: object) -> bytes:
        """Encode as any walk does, what has no identity as unknown."""
        if id(obj) in self._without:
            return _UNKNOWN
        met = len(self._queue)
        try:
            return super().encode(obj)
        except Unidentifiable:
            self._without[id(obj)] = obj
            self._forget(met)
            return _UNKNOWN

    def _forget(self, met: int) -> None:
        """Forget the code that was met in such a part: what comes after it has its numbers on the client."""
        if len(self._queue) > met:
            del self._queue[met:]
            self._numbers = {ident: number for ident, number in self._numbers.items() if number < met}
            self._done.clear()  # some refer to it
