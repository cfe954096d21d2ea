"""What the steps of an analysis took for how many events, and what ran out of memory: notes beside the store.

A line a note, in the file ``chunks.jsonl`` beside that of the history. From the notes follows how large chunks are, so
that each session that reads the same notes makes the same chunks and finds what others kept.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cachingclient.graph import Key
from cachingclient.plan.line_file import add_line, replace_lines
from cachingclient.plan.record import StepRecord

MOST_BYTES = 1_000_000
"""A file that is larger is cut to its newest measurements; sizes and what ran out of memory stay."""
MOST_PARTS = 1_000_000
"""How many tasks this process knows the events of."""
OUT_OF_MEMORY = "ran_out_of_memory"
"""The attribute of an exception by which a worker says which task ran out of memory."""


@dataclass(frozen=True, slots=True)
class Part:
    """The events that a task is about.

    Attributes
    ----------
    of
        The analysis, by its name.
    file, tree
        The file, by its own identifier where that is known, and the tree.
    start, stop
        The range.
    role
        ``"chunk"`` for a step of a chunk, which is measured; ``"join"`` for what joins the blocks of one; ``"block"``
        for a row-wise step of a block.
    """

    of: str
    file: str
    tree: str
    start: int
    stop: int
    role: Literal["chunk", "join", "block"] = "chunk"


@dataclass(slots=True)
class Took:
    """What the tasks of one step took."""

    tasks: int = 0
    events: int = 0
    seconds: float = 0.0
    nbytes: float = 0.0
    """The most memory that one of them took for an event."""

    def add(self, other: Took) -> None:
        """Add what others took."""
        self.tasks += other.tasks
        self.events += other.events
        self.seconds += other.seconds
        self.nbytes = max(self.nbytes, other.nbytes)


@dataclass(slots=True)
class Known:
    """What the notes say of one analysis: the size in use, what steps last took since it is, and what was too much."""

    size: int | None = None
    took: dict[str, Took] = field(default_factory=dict)
    too_much: set[Part] = field(default_factory=set)


class ChunkNotes:
    """The notes beside a store.

    Parameters
    ----------
    path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> notes = ChunkNotes(Path(tempfile.mkdtemp()) / "chunks.jsonl")
    >>> notes.use("ttbar", 50_000)
    >>> notes.of("ttbar").size, notes.of("another").size
    (50000, None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, analysis: str) -> Known:
        """Return what is known of an analysis; what can't be read is nothing."""
        known = Known()
        for note in self._notes():
            with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
                if note["of"] == analysis:
                    _take(known, note)
        return known

    def use(self, analysis: str, size: int) -> None:
        """Note the size that is used from now on; what was measured before is of another one."""
        self._append({"of": analysis, "size": size})

    def measured(self, analysis: str, step: str, took: Took) -> None:
        """Note what tasks took."""
        self._append({"of": analysis, "step": step, "took": asdict(took)})

    def failed(self, part: Part) -> None:
        """Note that a task ran out of memory."""
        self._append({"of": part.of, "too much": asdict(part)})

    def _notes(self) -> Iterator[dict[str, Any]]:
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                note = json.loads(line)
                if isinstance(note, dict):
                    yield note

    def _append(self, note: Mapping[str, Any]) -> None:
        """Add a note. What can't be written is left out: nobody's analysis fails for it."""
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > MOST_BYTES:
                self._cut()
            add_line(self.path, json.dumps(note))

    def _cut(self) -> None:
        notes = list(self._notes())
        measured = [number for number, note in enumerate(notes) if "took" in note]
        old = set(measured[: -len(measured) // 4 or None])
        replace_lines(self.path, (json.dumps(note) for number, note in enumerate(notes) if number not in old))


def _take(known: Known, note: Mapping[str, Any]) -> None:
    if "size" in note:
        known.size, known.took = max(1, int(note["size"])), {}
    elif "took" in note:
        took = Took(**{name: float(value) for name, value in note["took"].items()})  # type: ignore[arg-type]
        step = str(note["step"])
        if took.events >= (known.size or 0):  # else it is less than a chunk, which alone says little
            known.took[step] = took
        else:
            known.took.setdefault(step, Took()).add(took)
    else:
        known.too_much.add(Part(**note["too much"]))


_parts: dict[Key, Part] = {}
_failed: set[Part] = set()


def remember(parts: Mapping[Key, Part]) -> None:
    """Remember which events tasks are about that are going to be sent."""
    if len(_parts) > MOST_PARTS:
        _parts.clear()
    _parts.update(parts)


def failures() -> int:
    """Return how many parts have run out of memory, as far as this process knows."""
    return len(_failed)


def learn(records: Iterable[StepRecord], notes: ChunkNotes) -> None:
    """Note what the steps of chunks took that ran."""
    found: dict[tuple[str, str], Took] = {}
    for record in records:
        part = _parts.get(record.key)
        if part is None or part.role != "chunk" or record.action != "ran" or part.stop <= part.start:
            continue
        events = part.stop - part.start
        took = Took(1, events, record.seconds, (record.peak or 0) / events)
        found.setdefault((part.of, record.name), Took()).add(took)
    for (analysis, step), took in found.items():
        notes.measured(analysis, step, took)


def learn_failure(error: Any, notes: ChunkNotes) -> None:
    """Note which events were too many, if an error tells of a task that ran out of memory.

    Workers tell of a ``MemoryError``. Of a worker that was killed the scheduler tells with which task several died one
    after another: mostly the kernel or dask's nanny killed them for their memory.
    """
    task = getattr(error, OUT_OF_MEMORY, None)
    if task is None and type(error).__name__ == "KilledWorker":
        task = getattr(error, "task", None)
    part = _parts.get(task) if task is not None else None
    if part is not None and part not in _failed:
        _failed.add(part)
        notes.failed(part)
