"""Edits as an analyst makes them: another value in the text of `ttbar.py`, in a copy of its folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

AGC = Path(__file__).resolve().parents[2] / "examples" / "agc"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old`, a whole line of the module, by `new`."""

    name: str
    old: str
    new: str


EDITS = (
    Edit("selection", "LEPTON_PT_MIN = 30.0", "LEPTON_PT_MIN = 32.0"),
    Edit("variation", "PT_SCALE = 0.03", "PT_SCALE = 0.02"),
    Edit("observable", "B_TAG_THRESHOLD = 0.5", "B_TAG_THRESHOLD = 0.6"),
    Edit("plotting range", "HT_BINNING = (25, 50.0, 550.0)", "HT_BINNING = (30, 100.0, 700.0)"),
)


def edited(edit: Edit, folder: Path, module: Path = AGC / "ttbar.py") -> Path:
    """Put the edited module into `folder`; gives the folder.

    Raises
    ------
    ValueError
        The line is not there exactly once.
    """
    lines = module.read_text().split("\n")
    if lines.count(edit.old) != 1:
        raise ValueError(
            f"edit {edit.name!r} needs the line {edit.old!r} once in {module}, found {lines.count(edit.old)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / module.name
    shutil.copy(module, copy)
    copy.write_text("\n".join(edit.new if line == edit.old else line for line in lines))
    return folder
