"""What steps need of their workers: it goes with the tasks, and counts in no key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dask
import pytest

from cachingclient import step
from cachingclient.hashing.identify import identify

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


@pytest.mark.parametrize("resources", [{"cores": 0}, {"memory": "much"}, {"gpus": True}])
def test_resources_that_no_worker_can_have(resources: Any) -> None:
    """They are refused where the step is marked."""
    with pytest.raises(ValueError, match="resources has"):
        step(resources=resources)(len)


@pytest.mark.parametrize(
    ("name", "meant"), [("cpu", "'cores'"), ("gpu", "'gpus'"), ("mem", "'memory'"), (7, "it takes")]
)
def test_resources_that_nobody_heeds(name: Any, meant: str) -> None:
    """A name that no cluster knows is refused, with the name that was meant."""
    with pytest.raises(ValueError, match=f"resources names {name!r}.*{meant}"):
        step(resources={name: 1})(len)


@pytest.mark.parametrize("option", [{"ttl": "x"}, {"ttl": True}, {"ttl": -1}, {"cache": "no"}])
def test_options_of_a_wrong_kind(option: dict[str, Any]) -> None:
    """They are refused by their name and with what they got."""
    ((name, value),) = option.items()
    with pytest.raises((TypeError, ValueError), match=f"{name} is {value!r}; it takes"):
        step(**option)
