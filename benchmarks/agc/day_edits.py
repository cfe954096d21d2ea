"""Which edits make a day: lines of an analysis, what each may become, and a sequence of them that a seed tells."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from phase import AGC, TOPEFT

PARTS = {"histogram": 40, "observable": 25, "variation": 15, "selection": 15, "loading": 5}
"""How often each kind of edit is made, of a hundred."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a module that is edited, as it is and what it may become."""

    module: str
    old: str
    others: tuple[str, ...]


def values(module: str, name: str, now: object, *others: object) -> Line:
    """A constant, and the other values that it may have."""
    return Line(module, f"{name} = {now!r}", tuple(f"{name} = {other!r}" for other in others))


@dataclass(frozen=True, slots=True)
class Analysis:
    """The modules of an analysis that are edited, and their lines by the kind of the edit."""

    folder: Path
    lines: Mapping[str, tuple[Line, ...]]

    @property
    def modules(self) -> list[str]:
        return sorted({line.module for lines in self.lines.values() for line in lines})


TTBAR = Analysis(
    AGC,
    {
        "histogram": (
            values("ttbar.py", "HT_BINNING", (25, 50.0, 550.0), *((bins, 50.0, 550.0) for bins in (20, 30, 50, 100))),
            values(
                "ttbar.py", "TRIJET_BINNING", (25, 50.0, 550.0), *((25, 50.0, end) for end in (500.0, 600.0, 700.0))
            ),
        ),
        "observable": (
            values("ttbar.py", "B_TAG_THRESHOLD", 0.5, 0.6, 0.7),
            values("ttbar.py", "JET_PT_MIN", 30.0, 28.0, 32.0, 35.0),
        ),
        "variation": (values("ttbar.py", "PT_SCALE", 0.03, 0.02, 0.025, 0.04),),
        "selection": (
            values("ttbar.py", "LEPTON_PT_MIN", 30.0, 32.0, 35.0),
            values("ttbar.py", "MUON_ISO_MAX", 0.15, 0.1, 0.2),
        ),
        "loading": (
            # One more column changes nothing that comes of the events, another scale of the jets everything.
            Line("columns.py", '    "Muon_charge": 0,', ('    "Muon_charge": 0, "event": None,',)),
            Line(
                "columns.py",
                "    return ak.zip(columns, depth_limit=1)",
                ('    return ak.zip(columns | {"Jet_pt": columns["Jet_pt"] * 1.01}, depth_limit=1)',),
            ),
        ),
    },
)
EFT = Analysis(
    TOPEFT,
    {
        "histogram": (
            values("topeft.py", "LEPTON_BINNING", (20, 0.0, 400.0), (25, 0.0, 400.0), (40, 0.0, 400.0)),
            values("topeft.py", "HT_BINNING", (20, 0.0, 1000.0), (20, 0.0, 1200.0), (30, 0.0, 1200.0)),
        ),
        "observable": (
            values("topeft.py", "B_TAG_MEDIUM", 0.5, 0.6, 0.7),
            values("topeft.py", "JET_PT_MIN", 30.0, 28.0, 32.0, 35.0),
        ),
        "variation": (
            values("topeft.py", "JET_SCALE", 0.03, 0.02, 0.025, 0.04),
            values("topeft.py", "LEPTON_EFFICIENCY", 0.02, 0.015, 0.03),
        ),
        "selection": (
            values("topeft.py", "LEPTON_PT_MIN", 15.0, 18.0, 20.0),
            values("topeft.py", "LEPTON_ISO_MAX", 0.25, 0.2, 0.3),
        ),
        "loading": (values("topeft.py", "JET_CALIBRATION", 1.0, 1.01, 0.99),),
    },
)
ANALYSES = {"topeft": EFT}
"""By front; of all others it is ttbar."""


@dataclass(frozen=True, slots=True)
class DayEdit:
    """An edit of a day: its kind, and all lines that are other than in the example from then on."""

    kind: str
    lines: Mapping[Line, str]

    def write(self, folder: Path, analysis: Analysis = TTBAR) -> Path:
        """Write the modules as they are after this edit; returns the folder.

        Raises
        ------
        ValueError
            A line is not there exactly once.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name in analysis.modules:
            lines = (analysis.folder / name).read_text().split("\n")
            for line, new in self.lines.items():
                if line.module == name:
                    if lines.count(line.old) != 1:
                        raise ValueError(f"{name} has the line {line.old!r} {lines.count(line.old)} times, not once")
                    lines[lines.index(line.old)] = new
            (folder / name).write_text("\n".join(lines))
        return folder


def day(edits: int, seed: int, analysis: Analysis = TTBAR) -> list[DayEdit]:
    """The edits of a day."""
    draw, lines, found = random.Random(seed), {}, []
    for _ in range(edits):
        kind = draw.choices(list(PARTS), list(PARTS.values()))[0]
        line = draw.choice(analysis.lines[kind])
        now = lines.get(line, line.old)
        lines = {**lines, line: draw.choice([new for new in (line.old, *line.others) if new != now])}
        found.append(DayEdit(kind, lines))
    return found
