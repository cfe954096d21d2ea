"""The programs of the corpus."""

from __future__ import annotations

from tests.corpus.case import Case
from tests.corpus.programs import constructs, dynamic, modules, physics, runtime, styles, trackers

CASES: list[Case] = [
    *constructs.CASES,
    *modules.CASES,
    *physics.CASES,
    *trackers.CASES,
    *styles.CASES,
    *dynamic.CASES,
    *runtime.CASES,
]
"""All cases, in the order of the summary."""
