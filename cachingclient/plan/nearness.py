"""How likely each result is asked for again: what is near to the wanted ones is, and what many steps take.

Analysts edit histograms more often than observables, and these more often than a selection; so what is asked for again
most often is what lies just before the end of a graph.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping

from cachingclient.graph import Key
from cachingclient.plan.steps import PlannedStep

FARTHER = 0.7
"""How many times less likely a result is asked for by each step that it is farther from the end."""
MOST_TAKERS = 64


def chances(steps: Mapping[Key, PlannedStep], wanted: Iterable[Key]) -> dict[Key, float]:
    """Return for each step the chance that its result is asked for, in proportion; infinite for wanted ones.

    Parameters
    ----------
    steps
        The steps of a plan.
    wanted
        The keys that were asked for.

    Examples
    --------
    >>> from cachingclient.plan.steps import Action
    >>> def planned(key, *before):
    ...     return PlannedStep(key, key, Action.RUN, None, "", None, True, frozenset(before))
    >>> steps = {"load": planned("load"), "select": planned("select", "load"), "fill": planned("fill", "select")}
    >>> chances(steps, ["fill"])
    {'fill': inf, 'select': 1.0, 'load': 0.7}
    """
    distance = {key: 0 for key in wanted if key in steps}
    takers: dict[Key, int] = {}
    layer = list(distance)
    while layer:
        following = []
        for key in layer:
            for before in steps[key].dependencies:
                if before not in steps:
                    continue
                takers[before] = takers.get(before, 0) + 1
                if before not in distance:
                    distance[before] = distance[key] + 1
                    following.append(before)
        layer = following
    return {key: _chance(far, min(takers.get(key, 1), MOST_TAKERS)) for key, far in distance.items()}


@functools.lru_cache(1000)
def _chance(distance: int, takers: int) -> float:
    if distance == 0:
        return math.inf
    return float(FARTHER ** (distance - 1)) * math.sqrt(takers)
