"""How a library finds what tasks take: for all, for the tasks of one name, or as it was annotated.

With a mode, the first tasks of a name get a whole worker; those after them get what others of their name took, and
one that takes more is run again on a whole worker. Only what a task does not ask for is found so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODES = ("fixed", "max", "min waste", "max throughput")
ALL = "*"
"""The name that stands for the tasks of all names that are not in the dict."""


def parse_modes(given: Any) -> dict[str, str]:
    """Return modes by the names of tasks.

    Raises
    ------
    ValueError
        If a mode is not known.

    Examples
    --------
    >>> parse_modes("max"), parse_modes({"select": "min waste"}), parse_modes(None)
    ({'*': 'max'}, {'select': 'min waste'}, {})
    >>> parse_modes("most")
    Traceback (most recent call last):
    ...
    ValueError: resources_mode is 'most'; it takes 'fixed', 'max', 'min waste', 'max throughput', or a dict of these by
    the names of steps
    """
    found = dict(given) if isinstance(given, Mapping) else {ALL: given} if given is not None else {}
    for mode in found.values():
        if mode not in MODES:
            raise ValueError(
                f"resources_mode is {mode!r}; it takes {', '.join(map(repr, MODES))}, or a dict of these by the names "
                "of steps"
            )
    return found


def check_mode(mode: str | None, measures: bool) -> None:
    """Refuse what was annotated and can't be done.

    Raises
    ------
    ValueError
        If the mode is not known, or the pool does not measure what tasks take.
    """
    if mode is None:
        return
    parse_modes(mode)
    if not measures and mode != "fixed":
        raise ValueError(
            f"resources_mode={mode!r} needs tasks to be measured: make the cluster with "
            'engine_options={"resources_mode": "fixed"} or another mode'
        )


def mode_of(annotated: str | None, category: str, modes: Mapping[str, str]) -> str | None:
    """Return the mode of one task: as annotated, else that of its name, else that of all; None if there is none."""
    return annotated or modes.get(category) or modes.get(ALL)
