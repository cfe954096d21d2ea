"""One case of the corpus: a small program, an edit of it, and which of its steps must run after the edit."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Edits = Iterable[tuple[str, str, str]] | Mapping[str, str | None]


@dataclass(frozen=True)
class Case:
    """A program before and after an edit.

    Attributes
    ----------
    name
        What it is called in the summary.
    why
        The rule or the case of a tracker that it stands for.
    before
        Its files. ``main.py`` holds the functions that become steps; ``{HERE}`` stands for their folder.
    after
        Replacements as ``(file, old, new)``, or whole files; None removes one.
    graph
        An expression over the functions of ``main.py``, each of them delayed.
    runs
        The steps that must run after the edit, by name; all others must not.
    reason
        What must be said of each step that is uncacheable or not kept, by its name.
    warns
        What a warning must contain.
    styles
        How ``main.py`` is run before and after: ``"module"``, ``"script"``, ``"exec"``, or ``"cells"``,
        which are split at ``# %%``.
    """

    name: str
    why: str
    before: Mapping[str, str]
    after: Edits = ()
    graph: str = "f(1)"
    runs: frozenset[str] = frozenset()
    reason: Mapping[str, str] = field(default_factory=dict)
    warns: str = ""
    styles: tuple[str, str] = ("module", "module")

    def files_before(self) -> dict[str, str]:
        """Return the program as it was."""
        return dict(self.before)

    def files_after(self) -> dict[str, str]:
        """Return the program as it was edited."""
        files = dict(self.before)
        if isinstance(self.after, Mapping):
            files.update({name: text for name, text in self.after.items() if text is not None})
            return {name: text for name, text in files.items() if self.after.get(name, "") is not None}
        for name, old, new in self.after:
            if old not in files[name]:
                raise ValueError(f"case {self.name!r}: {old!r} is not in {name}")
            files[name] = files[name].replace(old, new)
        return files


def case(
    name: str,
    why: str,
    main: str | Mapping[str, str],
    after: Edits | str = (),
    graph: str = "f(1)",
    runs: str = "",
    **more: object,
) -> Case:
    """Return a case, with ``main.py`` alone given as text and the names of steps as words."""
    before = {"main.py": main} if isinstance(main, str) else main
    edited: Edits = {"main.py": after} if isinstance(after, str) else after
    return Case(name, why, before, edited, graph, frozenset(runs.split()), **more)  # type: ignore[arg-type]


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write a program into a folder, and remove what is not of it."""
    for old in folder.rglob("*"):
        if old.is_file() and str(old.relative_to(folder)) not in files:
            old.unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{HERE}", str(folder)))


def rewritten(source: str) -> str:
    """Return a source as a formatter would leave it, under a comment and further down."""
    return "# Another layout of the same.\n\n\n\n" + ast.unparse(ast.parse(source)) + "\n\n"
