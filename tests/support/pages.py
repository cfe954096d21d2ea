"""The Python of a documentation page, run as a reader would, and what each block of it printed.

Run as a program with a page's path, it writes what was printed and warned of as JSON.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import re
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

BLOCK = re.compile(r"^```(\w+)( \w+)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FIGURE = re.compile(
    r"[\w.]+\.(py|md):\d+|\b\d[\d.,]*(e-?\d+)? (ns|us|ms|s|h|min|B|kB|MB|GB)(?!\w)( \d+ (s|min)(?!\w))?"
)


class Block(NamedTuple):
    """A block of a page.

    Attributes
    ----------
    language, text
        What it is written in, and what it says.
    mark
        ``notest`` where it is not run; of a text ``shows`` if it is what the Python before it prints, and ``again`` if
        it is what that prints in a second process.
    """

    language: str
    mark: str
    text: str


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """Yield the blocks of a page in some languages that are meant to be run or compared."""
    for language, mark, text in BLOCK.findall(page.read_text()):
        if language in languages and mark != " notest":
            yield Block(language, mark.strip(), text)


def without_figures(printed: str) -> list[str]:
    """Return the lines of what was printed, but for sizes, times, lines of code and the store's place."""
    lines = [re.sub(r"store \S+", "store #", FIGURE.sub("#", line)) for line in printed.splitlines()]
    return [" ".join(line.split()) for line in lines if line.strip()]


def shows(page: str, printed: str) -> bool:
    """Tell whether a page shows what was printed; a line of dots leaves out rows and columns of a table.

    Examples
    --------
    >>> shows("step  ran\\nfill    1\\n...", "2 of 2 steps ran\\nstep   ran  kept\\nfill     1\\nmerge    1     1")
    True
    """
    if "..." not in page.splitlines():
        return without_figures(page) == without_figures(printed)
    whole = _rows(printed)
    return bool(_rows(page)) and all(row.items() <= whole.get(name, {}).items() for name, row in _rows(page).items())


def _rows(text: str) -> dict[str, dict[str, str]]:
    """Return the cells of a printed table by row and column; an empty cell is that of a column that is not there."""
    lines = [line for line in text.splitlines() if line != "..."]
    start = next(number for number, line in enumerate(lines) if line.startswith("step "))
    heads = [(head.group(), head.start(), head.end()) for head in re.finditer(r"\S+( \S+)*", lines[start])]
    rows: dict[str, dict[str, str]] = {}
    for line in lines[start + 1 :]:
        name = re.split(r"  ", line)[0]
        cells = {}
        for number, (head, left, right) in enumerate(heads[1:], 1):
            if head.endswith("because"):  # texts stand on the left of their column, numbers on the right
                begin, end = left, heads[number + 1][1] if number + 1 < len(heads) else len(line)
            else:
                begin, end = max(heads[number - 1][2], len(name)), right
            cells[head] = FIGURE.sub("#", line[begin:end].strip())
        rows[name] = {head: cell for head, cell in cells.items() if cell}
    return rows


def run(page: Path, names: dict[str, Any]) -> Iterator[str]:
    """Run the Python of a page from top to bottom, in a namespace; yield what each block printed.

    Raises
    ------
    AssertionError
        If a prompt shows something else than the page.
    """
    try:
        for block in blocks(page, "python", "pycon"):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                if block.language == "python":
                    exec(compile(block.text, str(page), "exec"), names)
                else:
                    _check_prompts(block.text, names, page)
            if block.language == "python":
                yield printed.getvalue()
    finally:
        close = getattr(names.get("client"), "close", lambda: None)
        close()


def _check_prompts(text: str, names: dict[str, Any], page: Path) -> None:
    test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
    test.globs = names  # the parser copies them, and what one block defines is for the next
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=told.append, clear_globs=False)
    assert not told, "".join(told)


if __name__ == "__main__":
    # As for a script: what a page defines belongs to a module of that name.
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    with warnings.catch_warnings(record=True, action="always") as seen:
        told = list(run(Path(sys.argv[1]), vars(main)))
    ours = [str(warning.message) for warning in seen if warning.category.__name__ == "CacheWarning"]
    json.dump({"printed": told, "warnings": ours}, sys.stdout)
