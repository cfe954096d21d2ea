"""The programs of the corpus."""

from __future__ import annotations

from tests.corpus.case import Case
from tests.corpus.programs import classes, configurations, constructs, dynamic, modules, observed, physics, reached, runtime, styles, trackers

CASES: list[Case] = [
    *constructs.CASES,
    *modules.CASES,
    *physics.CASES,
    *trackers.CASES,
    *styles.CASES,
    *dynamic.CASES,
    *runtime.CASES,
    *classes.CASES,
    *observed.CASES,
    *configurations.CASES,
    *reached.CASES,
]
"""All cases, in the order of the summary."""
