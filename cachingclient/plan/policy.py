"""Which results are worth keeping."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from cachingclient import config


@dataclass(frozen=True, slots=True)
class Cost:
    """What is known about a result once its step has run.

    Attributes
    ----------
    seconds
        How long the step ran.
    nbytes
        The estimated size of the result in bytes.
    inputs
        How many steps it took results from.
    load_seconds
        How long loading the result from the store would take, by estimate.
    """

    seconds: float
    nbytes: int
    inputs: int
    load_seconds: float


class CachePolicy(ABC):
    """Decides which results are kept. It runs on the workers, so it must be picklable.

    Attributes
    ----------
    budget
        The part of the time of steps that keeping their results may take, in processor time: of the results that are
        to be kept those that are worth most are then kept. None where all of them are.

    Examples
    --------
    >>> class Small(CachePolicy):
    ...     def keep(self, cost):
    ...         return cost.nbytes < 1e6
    >>> Small().keep(Cost(seconds=1.0, nbytes=100, inputs=1, load_seconds=0.001))
    True
    """

    budget: float | None = None

    @abstractmethod
    def keep(self, cost: Cost) -> bool:
        """Tell whether a result is worth keeping."""

    def least_seconds(self, cost: Cost) -> float:
        """Return from how many seconds of running on such a result is kept; 0 if that is not what counts."""
        return 0.0


class KeepAll(CachePolicy):
    """Keep everything that can be kept.

    Examples
    --------
    >>> KeepAll().keep(Cost(seconds=0.0, nbytes=10**9, inputs=0, load_seconds=1.0))
    True
    """

    def keep(self, cost: Cost) -> bool:
        """Tell whether a result is worth keeping: always."""
        return True


class Auto(CachePolicy):
    """Keep what is cheaper to load than to compute again.

    Computing it again takes the step's own time, and for each input but the first one task more in the graph:
    a merge of many results is quick to run, but loading it saves loading them all.

    Parameters
    ----------
    margin
        How many times cheaper loading must be: most results are never asked for again.
    keeping_seconds
        How long a step must run at least, beside the margin: looking at its inputs and code, encoding and writing
        cost one or two thousandths of a second, which should be a small part of the step's own time.
    task_seconds
        The cost of one more task in a graph: scheduling it and loading its result.
    budget
        The part of the time of steps that keeping may take; None for what the settings say.

    Examples
    --------
    >>> Auto().keep(Cost(seconds=2.0, nbytes=10**6, inputs=1, load_seconds=0.002))
    True
    >>> Auto().keep(Cost(seconds=0.0005, nbytes=10**6, inputs=1, load_seconds=0.002))
    False
    >>> Auto().keep(Cost(seconds=0.0005, nbytes=10**4, inputs=20, load_seconds=0.001))
    True
    """

    def __init__(
        self,
        margin: float = 10.0,
        keeping_seconds: float = 0.01,
        task_seconds: float = 0.002,
        budget: float | None = None,
    ) -> None:
        self.margin = margin
        self.keeping_seconds = keeping_seconds
        self.task_seconds = task_seconds
        number = isinstance(budget, int | float) and not isinstance(budget, bool)
        if budget is not None and not (number and 0 <= budget <= 1):
            raise ValueError(f"budget is {budget!r}; it takes a part from 0 to 1, e.g. 0.03, or None for the setting's")
        self.budget = config.keep_budget() if budget is None else budget

    def keep(self, cost: Cost) -> bool:
        """Tell whether a result is worth keeping."""
        return cost.seconds > self.least_seconds(cost)

    def least_seconds(self, cost: Cost) -> float:
        """Return from how many seconds of running on such a result is kept.

        Examples
        --------
        >>> Auto().least_seconds(Cost(seconds=0.002, nbytes=10**4, inputs=1, load_seconds=0.001))
        0.02
        """
        others = max(cost.inputs - 1, 0) * self.task_seconds
        return self.keeping_seconds + self.margin * cost.load_seconds - others


def why_quick(policy: CachePolicy, cost: Cost) -> dict[str, float]:
    """Return what a record tells of a result that a policy does not keep.

    Examples
    --------
    >>> why_quick(Auto(), Cost(seconds=0.002, nbytes=10**4, inputs=1, load_seconds=0.001))
    {'loading': 0.001, 'least': 0.02}
    """
    return {"loading": cost.load_seconds, "least": max(policy.least_seconds(cost), 0.0)}


POLICIES: dict[str, type[CachePolicy]] = {"auto": Auto, "all": KeepAll}


def find_policy(policy: str | CachePolicy) -> CachePolicy:
    """Return the policy of a name, or a policy as it is.

    Raises
    ------
    ValueError
        If there is none of that name.
    TypeError
        If it is neither a name nor a `CachePolicy`.

    Examples
    --------
    >>> find_policy("all")  # doctest: +ELLIPSIS
    <cachingclient.plan.policy.KeepAll object at ...>
    >>> find_policy("most")
    Traceback (most recent call last):
    ValueError: policy is 'most'; it takes 'auto', 'all' or a CachePolicy
    """
    if isinstance(policy, CachePolicy):
        return policy
    if not isinstance(policy, str):
        raise TypeError(f"policy is of type {type(policy).__name__}; it takes 'auto', 'all' or a CachePolicy")
    if policy not in POLICIES:
        raise ValueError(f"policy is {policy!r}; it takes 'auto', 'all' or a CachePolicy")
    return POLICIES[policy]()
