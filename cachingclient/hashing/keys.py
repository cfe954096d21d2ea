"""What is known of code and of a step: their keys, and what went into them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import xxhash

from cachingclient.graph import Key
from cachingclient.hashing.digest import CANONICAL_VERSION, digest
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.inputs.fingerprint import Fingerprint

VERSION = bytes([CANONICAL_VERSION])
_LENGTHS = [bytes([length]) for length in range(256)]
CONTAINER = b"["
"""How the encoding of an argument begins that is a container with results of other steps in it."""


@dataclass(frozen=True)
class Code:
    """The code of a step: one function, or those of a fused subgraph.

    Attributes
    ----------
    digest
        16 bytes.
    functions
        The identity of each function in it.
    inputs
        The files that it names.
    bound
        The encodings of arguments inside it: those of a `functools.partial`, and of the calls of a fused subgraph.
    values
        The identities of those arguments that have code of the user's, such as a coffea processor.
    remade
        What in it is made again where it is unpickled, as `Identity.as_remade` has it.
    """

    digest: bytes
    functions: tuple[Identity, ...]
    inputs: tuple[Fingerprint, ...] = ()
    bound: tuple[bytes, ...] = field(default=(), compare=False)
    values: tuple[Identity, ...] = field(default=(), compare=False)
    remade: tuple[bytes, ...] = ()

    @property
    def noted(self) -> tuple[str, ...]:
        """The digests of the functions and values whose ingredients explain a change of it."""
        return tuple(each.digest for each in (*self.functions, *self.values))

    @functools.cached_property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of."""
        return tuple(warning for function in self.functions for warning in function.warnings)

    @functools.cached_property
    def varying(self) -> tuple[str, ...]:
        """Why equal calls may give different results: clocks, random numbers without a seed."""
        return tuple(warning for function in self.functions for warning in function.varying)

    @functools.cached_property
    def is_users(self) -> bool:
        """Whether any of it is the user's own, which counts by what it does; the rest counts by its version."""
        return any(function.is_users for function in self.functions)

    @functools.cached_property
    def rebinds(self) -> tuple[str, ...]:
        """Where it rebinds global variables: its result may be kept only if a run left their values as they were."""
        return tuple(place for function in self.functions for place in function.rebinds)


def memories_of(code: Code, arguments: Iterable[tuple[object, Identity | str]]) -> tuple[Any, ...]:
    """Return the functions behind `functools.cache` that a call may reach: by its code, or by an argument's.

    Parameters
    ----------
    code
        Its code.
    arguments
        What was looked at of its arguments, with their identities: a processor has code of its own.
    """
    return tuple(memory for each in _identities(code, arguments) for memory in each.memories)


def is_of_users(code: Code, arguments: Iterable[tuple[object, Identity | str]]) -> bool:
    """Tell whether a call may run code of the user's: its own, or an argument's."""
    return any(each.is_users for each in _identities(code, arguments))


def _identities(code: Code, arguments: Iterable[tuple[object, Identity | str]]) -> Iterator[Identity]:
    yield from (*code.functions, *code.values)
    yield from (found for _, found in arguments if isinstance(found, Identity))


def code_of_one(identity: Identity) -> Code:
    """Return the code that is one function; the same, with all that was found out of it, for the same identity.

    Examples
    --------
    >>> found = Identity("0f" * 16)
    >>> code_of_one(found) is code_of_one(found)
    True
    """
    code: Code | None = identity.made.get("code")
    if code is None:
        code = identity.made["code"] = Code(
            bytes.fromhex(identity.digest),
            (identity,),
            identity.inputs,
            remade=identity.as_remade(),
        )
    return code


@dataclass(frozen=True, slots=True)
class Step:
    """The identity of one step: its key and the parts of the key, or the reason why it has none.

    Attributes
    ----------
    key
        The step key, 16 bytes; None if the step is uncacheable.
    reason
        Why it is uncacheable, else empty.
    code
        Its code, also where only its inputs have no identity; None for data, and where the code has none.
    parts
        The encodings of its arguments, in order.
    inputs
        The files it names.
    packed
        The bytes that it gives, where a library may have packed an object into them of which not all counts.
    codes
        The digests of code of the user's among its arguments.
    remade
        What of its code and its arguments is made again where it is unpickled, as `Identity.as_remade` has it.
    """

    key: bytes | None
    reason: str = ""
    code: Code | None = None
    parts: tuple[bytes, ...] = ()
    inputs: tuple[Fingerprint, ...] = ()
    packed: bytes | None = field(default=None, compare=False, repr=False)
    codes: tuple[bytes, ...] = ()
    remade: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Parts:
    """What the arguments of one step come to."""

    encodings: list[bytes] = field(default_factory=list)
    inputs: list[Fingerprint] = field(default_factory=list)
    reason: str = ""
    codes: list[bytes] = field(default_factory=list)
    containers: set[int] = field(default_factory=set)
    remade: list[bytes] = field(default_factory=list)

    @property
    def told(self) -> tuple[bytes, ...]:
        """The encodings as others read them: a container's is a digest, which could pass for any other by chance."""
        if not self.containers:
            return tuple(self.encodings)
        numbered = enumerate(self.encodings)
        return tuple(CONTAINER + each if number in self.containers else each for number, each in numbered)


def arguments_inside(steps: Iterable[Step]) -> Iterator[bytes]:
    """Yield the encodings of the arguments in a fused task that are no steps of it, each after its name if it has one.

    Examples
    --------
    >>> list(arguments_inside([Step(b"", parts=(b"^other", b"=bins", b"i2"))]))
    [b'=bins', b'i2']
    """
    for step in steps:
        name: tuple[bytes, ...] = ()
        for part in (*(step.code.bound if step.code is not None else ()), *step.parts):
            if part.startswith(b"="):
                name = (part,)
                continue
            if not part.startswith(b"^"):
                yield from (*name, part)
            name = ()


class Known(Protocol):
    """Finds the steps of earlier calls; a dict does."""

    def get(self, key: Key, /) -> Step | None:
        """Return the step behind a key, None if it is not known."""


def join_held(tag: bytes, encodings: Iterable[bytes], remade: Iterable[bytes]) -> bytes:
    """Return the digest of a tagged sequence of encodings, and of what objects among them hold beside their states."""
    key, held = join(tag, encodings), [digest(each[16:]) for each in remade if len(each) > 16]
    return join(b"held" + key, held) if held else key


def join(tag: bytes, encodings: Iterable[bytes]) -> bytes:
    """Return the digest of a tagged sequence of encodings."""
    pieces = [VERSION, tag, b"\0"]
    for encoding in encodings:
        pieces += _LENGTHS[len(encoding)], encoding
    return xxhash.xxh3_128_digest(b"".join(pieces))
