"""Files of notes, a line each, that several processes add to at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def add_line(path: Path, line: str) -> None:
    """Add a line to a file, which is made where there is none: in one write, so that those of others stay whole.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "notes.jsonl"
    >>> add_line(path, "{}")
    >>> path.read_text()
    '{}\\n'
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, f"{line}\n".encode())
    finally:
        os.close(handle)


def replace_lines(path: Path, lines: Iterable[str]) -> None:
    """Put a file with these lines in the place of one: a reader finds the old or the new one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    fresh.replace(path)
