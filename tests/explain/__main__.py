"""Prints how often ``explain`` names what was edited: everyday edits by their kind, and those of the corpus."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.explain.corpus import judged
from tests.explain.edits import EDITS
from tests.explain.run import faults, reasons


def table(rows: dict[str, list[list[str]]]) -> list[str]:
    """Return the lines of the table: for each kind of edit how many there are, are named, and name another part."""
    lines = [f"{'edits':12} {'tried':>6} {'named':>6} {'wrong':>6}"]
    for kind, found in {**rows, "all": [each for of_kind in rows.values() for each in of_kind]}.items():
        named = sum(not each for each in found)
        wrong = sum(any(fault.startswith("WRONG") for fault in each) for each in found)
        lines.append(f"{kind:12} {len(found):6} {named:6} {wrong:6}  {named / max(1, len(found)):6.1%}")
    return lines


def main(words: list[str]) -> int:
    """Try the edits whose kind or name has one of the words in it, all by default; return how many are not right."""
    edits = [edit for edit in EDITS if not words or any(word in f"{edit.kind} {edit.name}" for word in words)]
    rows: dict[str, list[list[str]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        told = reasons(edits, Path(folder))
    for edit in edits:
        found = faults(edit, told[edit.name])
        rows.setdefault(edit.kind, []).append(found)
        for fault in found:
            print(f"{edit.kind}, {edit.name}: {fault}")
    if not words or "corpus" in words:
        with tempfile.TemporaryDirectory() as folder:
            for name, found in judged(Path(folder)).items():
                rows.setdefault("corpus", []).append(found)
                for fault in found:
                    print(f"corpus, {name}: {fault}")
    print("\n".join(table(rows)))
    return sum(bool(found) for of_kind in rows.values() for found in of_kind)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
