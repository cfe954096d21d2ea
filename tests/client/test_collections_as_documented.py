"""Dask's documented examples: every result is the plain client's, and what is uncacheable is known, with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from distributed import Client

from cachingclient import DiracClient
from tests.corpus.collections import EXAMPLES, OTHER_EACH_TIME, UNCACHEABLE


def same(one: Any, other: Any) -> bool:
    """Compare two results."""
    if isinstance(one, (pd.DataFrame, pd.Series)):
        return bool(one.sort_index(kind="stable").equals(other.sort_index(kind="stable")))
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    return bool(one == other)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_the_plain_client_gives(
    name: str, make_client: Callable[..., DiracClient], plain_client: Client, record_property: Callable[..., None]
) -> None:
    """Cold and warm results are the plain client's; the second time nothing runs that can be kept."""
    plain = plain_client.compute(EXAMPLES[name](), sync=True)
    client = make_client()
    assert same(client.compute(EXAMPLES[name](), sync=True), plain)
    client.flush()
    again = make_client()
    plan = again.plan(EXAMPLES[name]())
    reasons = {step.reason for step in plan.steps.values() if step.reason}
    record_property("uncacheable", sorted(reasons))
    assert same(again.compute(EXAMPLES[name](), sync=True), plain)
    if name in UNCACHEABLE:
        assert any(UNCACHEABLE[name] in reason for reason in reasons)
        return
    assert not reasons
    assert bool([step.name for step in plan.steps.values() if step.action == "run"]) is (name in OTHER_EACH_TIME)
