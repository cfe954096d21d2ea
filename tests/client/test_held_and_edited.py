"""A future keeps its result when a file that its step read is edited: what takes it gets that result, as with dask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dask import delayed
from distributed import Future, wait

from cachingclient import DiracClient

TO_AND_FRO = [(20, 20), (40, 40), (20, 40), (40, 20)]


def read(cut: Path) -> list[int]:
    return [number for number in range(100) if number > int(cut.read_text())]


def count(numbers: list[int]) -> int:
    return len(numbers)


def doubled(number: int) -> int:
    return 2 * number


def by_submit(client: DiracClient, cut: Path, key: str) -> Callable[[], Future[int]]:
    held = client.submit(read, cut, key=key)
    wait(held)
    return lambda: client.submit(doubled, client.submit(count, held))


def by_map(client: DiracClient, cut: Path, key: str) -> Callable[[], Future[int]]:
    held = client.map(read, [cut], key=key)
    wait(held)
    return lambda: client.submit(doubled, client.map(count, held)[0])


def by_persist(client: DiracClient, cut: Path, key: str) -> Callable[[], Future[int]]:
    held = client.persist(delayed(read)(cut, dask_key_name=key))
    wait(held)
    return lambda: client.compute(delayed(doubled)(delayed(count)(held)))


def by_a_second_step(client: DiracClient, cut: Path, key: str) -> Callable[[], Future[int]]:
    held = client.submit(count, client.submit(read, cut, key=f"of {key}"), key=key)
    wait(held)
    return lambda: client.submit(doubled, held)


@pytest.mark.parametrize("flush", [True, False])
@pytest.mark.parametrize("hold", [by_submit, by_map, by_persist, by_a_second_step])
def test_what_is_held_stays_what_it_was(
    client: DiracClient, tmp_path: Path, hold: Callable[[DiracClient, Path, str], Callable[[], Any]], flush: bool
) -> None:
    """The cut is edited between the step that reads it and the next, also back to a value that was kept before."""
    cut = tmp_path / "cut"
    found = []
    for turn, (first, then) in enumerate(TO_AND_FRO):
        cut.write_text(str(first))
        send = hold(client, cut, f"read-{turn}")  # of another turn's key the scheduler may still have the result
        if flush:
            client.flush()
        cut.write_text(str(then))
        found.append(send().result())
        if flush:
            client.flush()
    assert found == [2 * (99 - first) for first, _ in TO_AND_FRO]


def test_what_takes_it_is_found_by_what_it_holds(client: DiracClient, tmp_path: Path) -> None:
    """The same was counted before, and is not counted again."""
    cut = tmp_path / "cut"
    cut.write_text("20")
    assert by_submit(client, cut, "first")().result() == 158
    client.flush()
    send = by_submit(client, cut, "second")
    client.flush()
    cut.write_text("40")
    assert send().result() == 158
    client.flush()
    assert [report.summary().total.cut_off for report in client.reports][-2:] == [1, 1]


def test_what_is_made_of_it_is_kept_as_that(make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """A later session gets what the file gives that is there now, whatever was made of held results before."""
    cut = tmp_path / "cut"
    client = make_client()
    cut.write_text("20")
    send = by_submit(client, cut, "read-it")
    client.flush()
    cut.write_text("40")
    assert send().result() == 158
    client.flush()
    client.close()
    for now in (40, 20):
        cut.write_text(str(now))
        again = make_client()
        assert again.submit(doubled, again.submit(count, again.submit(read, cut))).result() == 2 * (99 - now)
        again.close()
