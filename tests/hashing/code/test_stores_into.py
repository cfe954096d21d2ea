"""Which code may change what it is given, as its bytecode tells."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
import pytest

from cachingclient.hashing.code.stores_into import may_store_into


def item(values: Any) -> None:
    values[0] = 1


def in_place(values: Any) -> None:
    values += 1


def by_out(values: Any) -> None:
    np.add(values, 1, out=values)


def by_helper(values: Any) -> None:
    in_place(values)


def by_library(values: Any) -> None:
    np.copyto(values, 1)


def inside(values: Any) -> None:
    def deeper() -> None:
        del values[0]

    deeper()


class Adder:
    def __call__(self, values: Any) -> None:
        values.append(1)

    def add(self, values: Any) -> None:
        values.total = 1


def pure(values: Any) -> Any:
    return np.sum(values) + sum(value for value in values)


@pytest.mark.parametrize(
    "function",
    [item, in_place, by_out, by_helper, by_library, inside, Adder(), Adder().add, functools.partial(item)]
    + [operator.setitem, operator.iadd, Adder.add],
    ids=lambda function: getattr(function, "__qualname__", type(function).__name__),
)
def test_what_may_store(function: Any) -> None:
    """Items, attributes, in-place operators, methods and keywords that change things, here or in helpers."""
    assert may_store_into(function)


@pytest.mark.parametrize("function", [pure, len, operator.add, np.add, functools.partial(pure)])
def test_what_does_not(function: Any) -> None:
    """Code that only reads is told from code that stores, so that large arguments need no second look."""
    assert not may_store_into(function)
