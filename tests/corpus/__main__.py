"""Prints the corpus's summary line, and what is wrong if anything is."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.corpus.programs import CASES
from tests.corpus.run import outcomes, summary

if __name__ == "__main__":
    wanted = sys.argv[1:]
    cases = [case for case in CASES if not wanted or any(word in case.name for word in wanted)]
    with tempfile.TemporaryDirectory() as folder:
        line, wrong = summary(cases, outcomes(cases, Path(folder)))
    print(*wrong, line, sep="\n")
    sys.exit(bool(wrong))
