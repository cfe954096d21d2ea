"""What steps need of their workers: it goes with the tasks, and counts in no key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dask
import pytest

from cachingclient import step
from cachingclient.hashing.walk import identify

if TYPE_CHECKING:
    from cachingclient import DiracClient


@step(resources={"cores": 2, "memory": "4 GB"})
def demanding(x: int) -> int:
    return x + 1


def annotated(client: DiracClient) -> dict[str, Any]:
    """What the tasks that the scheduler has ask of workers, by key."""

    def look(dask_scheduler: Any) -> dict[str, Any]:
        return {key: (task.annotations or {}).get("needs") for key, task in dask_scheduler.tasks.items()}

    return client.run_on_scheduler(look)


def test_resources_go_with_the_tasks_that_run(make_client: Callable[..., DiracClient]) -> None:
    """A cluster that heeds them is told by whichever way the step is sent; a load needs nothing of the kind."""
    cold = make_client()
    futures = [
        cold.submit(demanding, 1, key="demanding-submitted"),
        *cold.map(demanding, [2], key="demanding-mapped"),
        cold.compute(dask.delayed(demanding)(3, dask_key_name="demanding-delayed")),
    ]
    assert cold.gather(futures) == [2, 3, 4]
    asked = annotated(cold)
    assert [asked[future.key] for future in futures] == [{"cores": 2, "memory": "4 GB"}] * 3
    del futures
    cold.close()
    warm = make_client()
    future = warm.compute(dask.delayed(demanding)(3, dask_key_name="demanding-delayed"))
    assert future.result() == 4
    assert annotated(warm)[future.key] is None


def test_resources_are_no_part_of_a_key() -> None:
    """What a step needs of its worker changes no result."""
    other = step(resources={"gpus": 1})(demanding.function)
    assert identify(other).digest == identify(demanding).digest


@pytest.mark.parametrize("resources", [{"cores": 0}, {"memory": "much"}, {"gpus": True}, {7: 1}])
def test_resources_that_no_worker_can_have(resources: Any) -> None:
    """They are refused where the step is marked."""
    with pytest.raises(ValueError, match="resources has"):
        step(resources=resources)(len)
