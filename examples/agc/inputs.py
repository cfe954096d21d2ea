"""Real NanoAOD files as samples: what they hold, what they lack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import uproot
from columns import stand_ins

TTBAR_PB = 831.8


def describe(files: Sequence[Path], treename: str, manifest: Path) -> list[str]:
    """Write a manifest with `files` as one sample of top pairs; gives remarks on missing branches.

    Raises
    ------
    ValueError
        A file is no ROOT file with that tree, or lacks a branch that nothing can stand in for.
    """
    entries, remarks = [], []
    for path in files:
        try:
            with uproot.open(path) as file:
                tree = file[treename]
                found = stand_ins(set(tree.keys()))
                entries.append(
                    {
                        "path": str(path.resolve()),
                        "treename": treename,
                        "entries": int(tree.num_entries),
                        "uuid": str(file.file.uuid),
                    }
                )
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"{path} can't be read as NanoAOD: {error}") from error
        remarks += [
            f"{path.name}: {source if isinstance(source, str) else repr(source)} stands in for {column}"
            for column, source in found.items()
            if source != column
        ]
    sample = {"process": "ttbar", "variation": "nominal", "cross_section": TTBAR_PB, "files": entries}
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"samples": {"ttbar__nominal": sample}}, indent=1))
    return remarks
