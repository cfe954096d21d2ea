"""Golden step keys: code, arguments and the steps before make the same key in every release.

A change that is meant raises `CANONICAL_VERSION` and renews what stands below.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from dask._task_spec import List

from cachingclient.graph import Task, TaskRef
from cachingclient.hashing.keys import Code, Step, join
from cachingclient.hashing.step_keys import Merkle

ENCODED = ["6901", "69d4fe", "640000000000000440", "734576656e7473", "4e", "74", "6278", "690000000000000000000001"]


class NamedCodes(Merkle):
    """Knows functions by their names alone: what they do is another test's."""

    def code(self, function: Callable[..., Any]) -> Code | str:
        """Return a code that is the same for each release of Python."""
        return Code(function.__name__.encode().ljust(16), ())


def steps() -> dict[Any, Step]:
    """The steps of a task with arguments of each plain kind, and of one that takes its result twice."""
    plain = (1, -300, 2.5, "Events", None, True, b"x", 1 << 80)
    nodes = {
        "first": Task("first", operator.add, *plain, cut=30),
        "second": Task("second", operator.mul, TaskRef("first"), List(TaskRef("first"), 1)),
    }
    return NamedCodes({}).steps(nodes, ["second"])


def test_arguments_are_encoded_as_ever() -> None:
    """The encodings of plain arguments are those that are written down, a keyword's after its name."""
    assert [part.hex() for part in steps()["first"].parts] == [*ENCODED, b"=cut".hex(), "691e"]


def test_step_keys_are_golden() -> None:
    """The keys of a chain of two steps are those that are written down."""
    found = {name: step.key.hex() for name, step in steps().items() if step.key is not None}
    assert found == {"first": "ae0693dc5b4aa24b49b0cb9c4a300b26", "second": "8a1abd607b263b928a6a2e71d96d40eb"}


def test_neighbours_are_kept_apart() -> None:
    """A digest of encodings is the one that is written down; the same bytes, divided elsewhere, have another."""
    assert join(b"data", [b"", b"a", b"bc"]).hex() == "2a736cb2b52545e9f8996f15674f32ec"
    assert join(b"data", [b"", b"ab", b"c"]) != join(b"data", [b"", b"a", b"bc"])
