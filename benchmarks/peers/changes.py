"""The edits after which each peer is looked at, and which calls of steps have to run again after each."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).with_name("example")
SETS = 6
"""How many data sets the analysis has."""
CALLS = Counter({"load": SETS, "select": SETS, "correct": SETS, "fill": SETS, "merge": 1})
"""How many calls a whole run has, by step."""


@dataclass(frozen=True, slots=True)
class Change:
    """A text of a file and what takes its place, with the steps that have to run after it."""

    name: str
    file: str = ""
    old: str = ""
    new: str = ""
    steps: tuple[str, ...] = ()

    def needed(self) -> Mapping[str, int]:
        """How many calls of each step have to run."""
        return {step: CALLS[step] for step in self.steps}

    def write(self, folder: Path) -> None:
        """Write the analysis as it is with this change.

        Raises
        ------
        ValueError
            The text is not there exactly once.
        """
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        if not self.file:
            return
        text = (folder / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {self.old!r} {text.count(self.old)} times, not once")
        (folder / self.file).write_text(text.replace(self.old, self.new))


NOTHING = Change("nothing")
CHANGES = (
    NOTHING,
    Change("body of a step", "steps.py", '["pt"] > 25.0', '["pt"] > 30.0', ("select", "correct", "fill", "merge")),
    Change(
        "helper in another file", "kinematics.py", "RESPONSE = 0.9", "RESPONSE = 0.85", ("correct", "fill", "merge")
    ),
    Change("correction file", "correction.json", "1.02", "1.05", ("correct", "fill", "merge")),
    Change("new histogram", "analysis.py", '("pt",)', '("pt", "isolation")', ("fill", "merge")),
)
