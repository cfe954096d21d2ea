"""Names that are made at run time."""

from __future__ import annotations

import functools
import logging
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from cachingclient.hashing.code.names import gives_name_alone, without_addresses
from cachingclient.hashing.identify import identify


@pytest.mark.parametrize("address", [140421837221968, 94111222333444])
def test_a_class_named_by_an_address_is_the_same_in_each_process(address: int) -> None:
    """Libraries name a class by the ``id`` of the object that it belongs to, as sparse histograms do."""
    one = namedtuple(f"SparseTuple{address}", ["process", "channel"])
    other = namedtuple(f"SparseTuple{address + 4096}", ["process", "channel"])
    different = namedtuple(f"SparseTuple{address}", ["process", "systematic"])
    assert identify(one(1, 2)).digest == identify(other(1, 2)).digest
    assert identify(one(1, 2)).digest != identify(different(1, 2)).digest


def test_other_numbers_in_names_count() -> None:
    """Run periods, versions and small numbers tell classes apart."""
    assert identify(namedtuple("Run2016", ["a"])).digest != identify(namedtuple("Run2017", ["a"])).digest
    assert without_addresses("Event_v12") == "Event_v12"


def test_a_partial_whose_attributes_were_asked_for() -> None:
    """Asking a partial for its attributes makes a dictionary of them, which is empty and no change."""
    partial = functools.partial(max, key=abs)
    before = identify(partial).digest
    assert vars(partial) == {}
    assert identify(partial).digest == before


class Held:
    """An object whose state is an array, which is neither true nor false."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Held, (), np.arange(3)


def test_an_object_that_gives_an_array_for_its_state() -> None:
    """It gives more than a name."""
    assert not gives_name_alone(Held())


def test_a_logger_that_a_step_has_set_up() -> None:
    """Where it writes is no part of a result; what the user has put on it may be."""
    log = logging.getLogger("cuts_of_tests")
    log.scale = 2  # type: ignore[attr-defined]

    def scaled(x: int) -> int:
        if not log.handlers and not log.level:
            log.addHandler(logging.NullHandler())
            log.setLevel(logging.ERROR)
        return x * log.scale  # type: ignore[attr-defined]

    before = identify(scaled).digest
    scaled(1)
    assert log.handlers
    assert identify(scaled).digest == before
    log.scale = 3  # type: ignore[attr-defined]
    assert identify(scaled).digest != before
