"""What is known of code and of a step: their keys, and what went into them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol

from cachingclient.graph import Key
from cachingclient.hashing.fingerprint import Fingerprint
from cachingclient.hashing.walk import Identity


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
    """

    digest: bytes
    functions: tuple[Identity, ...]
    inputs: tuple[Fingerprint, ...] = ()

    @functools.cached_property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of."""
        return tuple(warning for function in self.functions for warning in function.warnings)

    @functools.cached_property
    def varying(self) -> tuple[str, ...]:
        """Why equal calls may give different results: clocks, random numbers without a seed."""
        return tuple(warning for function in self.functions for warning in function.varying)

    @functools.cached_property
    def rebinds(self) -> tuple[str, ...]:
        """Where it rebinds global variables: its result may be kept only if a run left their values as they were."""
        return tuple(place for function in self.functions for place in function.rebinds)


@dataclass(frozen=True, slots=True)
class Step:
    """What is known of one step: its key and what went into it, or why it has none.

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
    """

    key: bytes | None
    reason: str = ""
    code: Code | None = None
    parts: tuple[bytes, ...] = ()
    inputs: tuple[Fingerprint, ...] = ()


class Known(Protocol):
    """Finds the steps of earlier calls; a dict does."""

    def get(self, key: Key, /) -> Step | None:
        """Return the step behind a key, None if it is not known."""
