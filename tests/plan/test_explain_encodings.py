"""Reasons where results come in lists, where texts are as long as keys, and where others can write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest

from cachingclient import DiracClient
from cachingclient.plan.hidden import for_description
from tests.plan.test_explain import BEFORE, module

CUT = "CUT in cuts.py changed: 30 -> 25"


@pytest.mark.parametrize("mode", [0o700, 0o777], ids=["private", "shared"])
def test_what_takes_a_list_of_results_follows_them(
    make_client: Callable[..., DiracClient], cache_folder: Path, mode: int
) -> None:
    """Of the list there is a digest, which may begin as a name or a text does: one of these in 256."""
    cache_folder.mkdir()
    cache_folder.chmod(mode)

    def graph(source: str) -> Any:
        cuts = module(source)
        selected = dask.delayed(cuts.select)(dask.delayed(cuts.load)(1), 1)
        return [dask.delayed(cuts.fill)(selected, 50), *(dask.delayed(cuts.merge)([selected, n]) for n in range(150))]

    merging = f"{BEFORE}\ndef merge(parts): return len(parts[0])\n"
    client = make_client(cache=str(cache_folder), policy="all")
    client.compute(graph(merging), sync=True)
    client.flush()
    told = client.explain(dask.delayed(list)(graph(merging.replace("CUT = 30", "CUT = 25"))))
    assert told.splitlines()[0] == f"{CUT}: select runs, and what follows: merge (150 steps), fill"


@pytest.mark.parametrize("length", range(13, 18))
def test_a_text_is_told_whatever_its_length(client: DiracClient, length: int) -> None:
    """Also one whose encoding is as long as a key, of a step that takes the result of another."""
    cuts = module(BEFORE)
    one, other = ([dask.delayed(cuts.fill)(dask.delayed(cuts.load)(1), 1, letter * length)] for letter in "ab")
    client.compute(one, sync=True)
    client.flush()
    told = client.explain(*other)
    assert told == f"argument 3 changed: '{'a' * length}' -> '{'b' * length}': fill runs"


@pytest.mark.parametrize("length", range(13, 18))
def test_no_text_is_readable_where_others_can_write(length: int) -> None:
    """Whatever its length; keys of steps are."""
    text, key = b"s" + b"x" * length, b"^" + bytes(16)
    assert [b"xx" in bytes.fromhex(each) for each in for_description([text], private=False)] == [False]
    assert list(for_description([key], private=False)) == [key.hex()]
