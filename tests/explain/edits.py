"""Everyday edits of the program, each with what a reason has to say and the steps that it is the reason of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.explain.program import FILES

Act = Callable[[Path], object]


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes
    ----------
    kind, name
        What sort of edit it is, and what is edited.
    steps
        The names of the steps that have it as their own reason.
    says
        Words of which each has to be in the reason.
    changes
        Replacements as ``(file, old, new)``.
    act
        What is done to the program's folder beside.
    variables
        Environment variables of the second session.
    may_name
        Other parts that the reason may name.
    """

    kind: str
    name: str
    steps: tuple[str, ...]
    says: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...] = ()
    act: Act | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    may_name: tuple[str, ...] = ()

    def files(self) -> dict[str, str]:
        """Return the program as it was edited."""
        files = dict(FILES)
        for name, old, new in self.changes:
            if old not in files[name]:
                raise ValueError(f"{self.name}: {old!r} is not in {name}")
            files[name] = files[name].replace(old, new)
        return files


def main(kind: str, name: str, steps: str, says: str | tuple[str, ...], old: str, new: str, may_name: str = "") -> Edit:
    """Return an edit of ``main.py``."""
    return _edit("main.py", kind, name, steps, says, old, new, may_name)


def _edit(
    file: str, kind: str, name: str, steps: str, says: str | tuple[str, ...], old: str, new: str, may_name: str = ""
) -> Edit:
    words = (says,) if isinstance(says, str) else says
    return Edit(kind, name, tuple(steps.split()), words, ((file, old, new),), may_name=tuple(may_name.split()))


def _upgrade(folder: Path) -> None:
    (folder / "site-packages" / "tinylib-1.0.dist-info").rename(folder / "site-packages" / "tinylib-1.1.dist-info")
    metadata = folder / "site-packages" / "tinylib-1.1.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("1.0", "1.1"))


def _touch(name: str) -> Act:
    return lambda folder: os.utime(folder / name, (1_600_000_000, 1_600_000_000))


def _grow(name: str) -> Act:
    return lambda folder: (folder / name).write_text((folder / name).read_text() + "more")


def _copied(folder: Path) -> None:
    (folder / "copy.bin").write_bytes((folder / "data.bin").read_bytes())


def _moved(folder: Path) -> None:
    (folder / "data.bin").rename(folder / "moved.bin")


EDITS = (
    main("cut", "a cut", "select", "PT_CUT in main.py changed: 30 -> 35", "PT_CUT = 30", "PT_CUT = 35"),
    main("cut", "another cut", "select", "ETA_CUT in main.py changed: 2.4 -> 2.5", "ETA_CUT = 2.4", "ETA_CUT = 2.5"),
    main("cut", "a cut in a dict", "fill", "REGIONS['signal']['met'] in main.py changed: 100 -> 120",
         '"met": 100', '"met": 120'),
    main("cut", "a cut that is a text", "label", "ERA in main.py changed: '2017' -> '2018'", '"2017"', '"2018"'),
    main("cut", "a list of names", "load", ("NAMES", "['pt', 'eta', 'phi']"), '"pt", "eta"]', '"pt", "eta", "phi"]'),
    main("bin", "bins", "fill", "bins changed: 50 -> 25", "bins=50", "bins=25"),
    main("argument", "an argument by place", "select", "argument 2 changed: 1.5 -> 2.5",
         "loaded, factor,", "loaded, factor + 1,"),
    main("argument", "an argument by name", "smear", "width changed: 3 -> 4", "width=3", "width=4"),
    main("argument", "an argument for all", "label weigh tag correct", "[1, 2, 3] -> [1, 2, 4]",
         "(each)([1, 2, 3]", "(each)([1, 2, 4]"),
    main("argument", "an argument that is new", "smear", "arguments", "width=width,", "width=width, seed=2,"),
    main("default", "a default", "smear", ("default", "seed", "1 -> 2"), "seed=1", "seed=2", "smear"),
    main("default", "a default that is not used", "fill", ("default", "regions"), "regions=None", "regions=1", "fill"),
    main("body", "the body of a step", "load", ("body", "load"), "number * 40", "number * 41"),
    main("body", "a comparison", "select", ("body", "select"), "> ETA_CUT", ">= ETA_CUT"),
    main("body", "a number inside a step", "fill", ("body", "fill"), "Window(3)", "Window(4)"),
    main("body", "a new histogram", "fill", ("body", "fill"), '+ [REGIONS["signal"]["met"]]',
         '+ [REGIONS["signal"]["met"], 1]'),
    main("body", "a filter left out", "fill", ("body", "fill"), " if window.holds(value)", ""),
    _edit("cuts.py", "helper", "a helper in another file", "select", ("body", "passes", "cuts.py:2"),
          "value > cut", "value >= cut"),
    _edit("helpers.py", "helper", "a helper of a helper", "select", ("body", "shift", "helpers.py"),
          "value + SHIFT", "value - SHIFT"),
    _edit("helpers.py", "helper", "a number inside a helper", "select", ("body", "scale"), "* 1.1", "* 1.2"),
    _edit("helpers.py", "helper", "a variable of a helper", "select", "SHIFT in helpers.py changed: 0.5 -> 0.6",
          "SHIFT = 0.5", "SHIFT = 0.6"),
    _edit("cuts.py", "helper", "a method of a helper", "fill", ("body", "holds"), "value > self.low",
          "value >= self.low"),
    main("renamed", "a variable", "select", ("PT_CUT", "PT_MIN"), "PT_CUT", "PT_MIN", "select"),
    Edit("renamed", "a helper", ("select",), ("shift", "move"), (("helpers.py", "shift(", "move("),),
          may_name=("scale",)),
    Edit("renamed", "a step", ("count_up",), ("main.load is now called count_up",),
         (("main.py", "def load(", "def count_up("), ("main.py", "delayed(load)", "delayed(count_up)"),
          ("main.py", 'f"load-{', 'f"count_up-{'))),
    main("renamed", "an argument", "smear", ("body", "smear"),
         "values, width, seed=1):\n    return [value + width * seed",
         "values, width, times=1):\n    return [value + width * times", "seed"),
    main("coffea", "an attribute of a processor", "work process", ("pt_cut", "25 -> 35"), "Analysis()", "Analysis(35)"),
    main("coffea", "a text attribute", "work process", ("systematic", "'nominal' -> 'up'"), "Analysis()",
         'Analysis(systematic="up")'),
    main("coffea", "a method", "work process", ("body", "Analysis.tally"), "number + 1", "number + 2"),
    main("coffea", "its process", "work process", ("body", "Analysis.process"), "else 0", "else 1"),
    main("coffea", "an attribute of its class", "work process", ("version", "1 -> 2"), "version = 1", "version = 2"),
    main("coffea", "what runs it", "work", ("body", "work"), ".process(number)\n\n\nPROC",
          ".process(number) + 1\n\n\nPROC"),
    Edit("library", "a library's version", ("weigh",), ("tinylib changed from 1.0 to 1.1",), act=_upgrade),
    main("library", "a library that is new", "label", ("body", "label", "python"), "ERA + str(values)",
         "ERA + json.dumps(values)"),
    Edit("environment", "an environment variable", ("tag",), ("the environment variable ERA_TAG",),
         variables={"ERA_TAG": "v2"}),
    Edit("observed", "a file that no argument names", ("correct",), ("corrections.json",),
          act=_grow("corrections.json")),
    Edit("file", "a file that grew", ("read",), ("data.bin", "100,000 -> 100,004 bytes"), act=_grow("data.bin")),
    Edit("file", "a file with another time", ("read",), ("data.bin", "another time, the same size"),
          act=_touch("data.bin")),
    Edit("file", "a small file", ("read",), ("small.txt",), act=_grow("small.txt")),
    Edit("file", "a file that was copied", ("read",), ("data.bin", "copy.bin", "a file of the same size"),
         (("main.py", '("data.bin",', '("copy.bin",'),), _copied),
    Edit("file", "a file that was moved", ("read",), ("data.bin", "moved.bin", "a file of the same size and time"),
         (("main.py", '("data.bin",', '("moved.bin",'),), _moved),
    main("new", "one chunk more", "load", "new: no result for these arguments is kept", "in (1, 2, 3)]",
          "in (1, 2, 3, 4)]"),
    Edit("two", "two cuts at once", ("select",), ("PT_CUT in main.py changed: 30 -> 35", "SHIFT"),
         (("main.py", "PT_CUT = 30", "PT_CUT = 35"), ("helpers.py", "SHIFT = 0.5", "SHIFT = 0.6"))),
    Edit("two", "a cut and a bin", ("select", "fill"), (),
         (("main.py", "PT_CUT = 30", "PT_CUT = 35"), ("main.py", "bins=50", "bins=25")), may_name=("PT_CUT", "bins")),
)  # fmt: skip
"""Each is made of the first program alone."""
