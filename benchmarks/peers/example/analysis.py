"""The analysis as a graph: a histogram of each variable for each data set, and one of all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from steps import correct, fill, load, merge, select

VARIABLES = ("pt",)


def results(files: Mapping[str, str], delayed: Callable[[Callable], Callable]) -> dict[str, Any]:
    """What is asked for, by name; the wrapper makes a step of a function, or leaves it as it is."""
    tables = {name: delayed(correct)(delayed(select)(delayed(load)(path))) for name, path in files.items()}
    found = {}
    for variable in VARIABLES:
        filled = {f"{variable} of {name}": delayed(fill)(table, variable) for name, table in tables.items()}
        found |= filled
        found[f"{variable} of all"] = delayed(merge)(list(filled.values()))
    return found
