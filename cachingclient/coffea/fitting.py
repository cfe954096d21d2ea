"""Chunks that fit: sizes by what steps took before, and halves of chunks that ran out of memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import distributed
from dask.delayed import Delayed

from cachingclient import units
from cachingclient.coffea.chunks import Chunk
from cachingclient.coffea.row_checks import store_in_use
from cachingclient.coffea.rows import BLOCK
from cachingclient.graph import Key
from cachingclient.plan.chunk_notes import ChunkNotes, Known, Part, failures, remember
from cachingclient.plan.history import chunk_notes_of
from cachingclient.plan.steps import Action

TOO_LONG, ROOM = 2.0, 4.0
"""A size stays while its tasks take at most so many times the seconds, and there is less room than this to grow."""
MOST_GROWTH = 16.0
MOST_ATTEMPTS = 20
Roles = Mapping[Key, tuple[Chunk, Any]]


@dataclass(frozen=True)
class Fitting:
    """Chunk sizes that are chosen by what steps took before, as the notes beside the store have it.

    The first time a chunk has `start` events. The size stays until the steps took more than twice `seconds` or more
    than `memory`, or four times as many events would fit, and then until a run that would find no step of a chunk:
    chunks of another size find none. Then it is such that the slowest step should fit.

    Parameters
    ----------
    seconds
        What a task should take: a number, or a text such as ``"2 minutes"``.
    memory
        What memory it should take beside what its worker had: bytes, or a text such as ``"1.5 GB"``.
    start
        How many events a chunk has before anything was measured.
    name
        What the analysis is called in the notes. By default it is called by its file and first step or its processor;
        analyses of one name share their sizes.

    Raises
    ------
    ValueError, TypeError
        If one of them can't be understood.

    Examples
    --------
    >>> Fitting(seconds="30 s", memory="500 MB").targets
    (30.0, 500000000)
    >>> Fitting(seconds="soon")
    Traceback (most recent call last):
    ValueError: seconds is 'soon'; it takes a time above 0, such as 30 or '2 minutes'
    """

    seconds: str | float = "1 minute"
    memory: str | float = "1 GB"
    start: int = 100_000
    name: str = ""

    def __post_init__(self) -> None:
        _ = self.targets
        if isinstance(self.start, bool) or not isinstance(self.start, int) or self.start <= 0:
            raise ValueError(f"start is {self.start!r}; it takes a number of events above 0")
        if not isinstance(self.name, str):
            raise TypeError(f"name is {self.name!r}; it takes a text")

    @property
    def targets(self) -> tuple[float, int]:
        """The seconds and the bytes."""
        return (
            _above_zero("seconds", self.seconds, units.parse_age, "a time above 0, such as 30 or '2 minutes'"),
            _above_zero("memory", self.memory, units.parse_size, "a size above 0, such as '500 MB' or '1.5 GB'"),
        )

    def chunksize(self, processor_instance: Any, *, multiple_of: int = BLOCK) -> int:
        """Return the chunk size for a run of coffea's Runner with a processor.

        All chunks of a Runner have one size, so a chunk that ran out of memory halves all. The size never grows: what
        steps inside a processor have kept would be lost, and nobody knows beforehand what there is.

        Parameters
        ----------
        processor_instance
            The processor.
        multiple_of
            The size is a multiple of this many events, where it is not below.

        Examples
        --------
        >>> Fitting(start=70_000).chunksize(lambda events: len(events))
        70000
        """
        name = getattr(processor_instance, "__name__", type(processor_instance).__name__)
        notes = _notes()
        known = notes.of(self.name or name) if notes is not None else Known()
        size = self.size(known, multiple_of)
        too_much = (part.stop - part.start for part in known.too_much)
        chosen = min(size, self.better(known, multiple_of), _rounded(min(too_much, default=2 * size) // 2, multiple_of))
        if notes is not None and chosen != known.size:
            notes.use(self.name or name, chosen)
        return chosen

    def size(self, known: Known, unit: int) -> int:
        """Return the size in use."""
        return known.size or _rounded(self.start, unit)

    def better(self, known: Known, unit: int) -> int:
        """Return the size that should fit: the one in use unless it is far off."""
        size, (seconds, memory) = self.size(known, unit), self.targets
        took = [each for each in known.took.values() if each.events > 0]
        longest = max((each.seconds / each.events for each in took), default=0.0) * size
        largest = max((each.nbytes for each in took), default=0.0) * size
        in_time = seconds / longest if longest > 0 else MOST_GROWTH
        in_memory = memory / largest if largest > 0 else MOST_GROWTH
        fits = in_time >= 1 / TOO_LONG and in_memory >= 1
        if not took or (fits and min(in_time, in_memory) <= ROOM):
            return size
        return _rounded(max(1, int(size * min(in_time, in_memory, MOST_GROWTH))), unit)


@dataclass(frozen=True)
class Shapes:
    """The chunks of one analysis of `run_steps`, as its notes have them.

    Attributes
    ----------
    name
        What the analysis is called.
    size
        The largest number of events in a chunk.
    better
        The size that should fit.
    too_much
        What ran out of memory.
    """

    name: str
    size: int
    better: int
    too_much: Collection[Part] = ()

    @classmethod
    def of(cls, fitting: Fitting, first: str, unit: int) -> Shapes:
        """Return those of an analysis that begins with a step."""
        name = fitting.name or f"{_program()}.{first}"
        notes = _notes()
        known = notes.of(name) if notes is not None else Known()
        found = cls(name, fitting.size(known, unit), fitting.better(known, unit), known.too_much)
        return found if known.size else found.resized(found.size)

    def resized(self, size: int) -> Shapes:
        """Return chunks of another size, which is noted."""
        if (notes := _notes()) is not None:
            notes.use(self.name, size)
        return replace(self, size=size, better=size)

    def loses_nothing(self, graph: Delayed, roles: Roles) -> bool:
        """Tell whether the client that is there would find no step of any chunk; without one nobody knows."""
        try:
            steps = distributed.default_client().plan(graph).steps
        except (AttributeError, RuntimeError, ValueError):
            return False
        of_chunks = [key for key, (_, role) in roles.items() if role == "chunk"]
        return all(key in steps and steps[key].action is Action.RUN for key in of_chunks)

    def halved(self, chunk: Chunk, unit: int, *, blocks: bool = False) -> list[Chunk]:
        """Return a chunk, or its halves if a part of it ran out of memory, or their halves, and so on."""
        role = "block" if blocks else "chunk"
        inside = (
            (part.file, part.tree) == (chunk.uuid or chunk.file, chunk.tree)
            and chunk.start <= part.start < part.stop <= chunk.stop
            for part in self.too_much
            if (part.role == "block") == (role == "block")
        )
        if len(chunk) < 2 or not any(inside):
            return [chunk]
        middle = chunk.start + len(chunk) // 2
        at_unit = middle // unit * unit
        edge = at_unit if at_unit > chunk.start else middle
        halves = replace(chunk, stop=edge), replace(chunk, start=edge)
        return [part for half in halves for part in self.halved(half, unit, blocks=blocks)]

    def remember(self, roles: Roles) -> None:
        """Remember which events tasks are about: what they take is noted when they have run."""
        remember(
            {
                key: Part(self.name, chunk.uuid or chunk.file, chunk.tree, chunk.start, chunk.stop, role)
                for key, (chunk, role) in roles.items()
            }
        )


def until_it_fits(run: Callable[[], Any]) -> Any:
    """Run something again as long as chunks run out of memory, each time with smaller ones; return what it returns.

    What was kept of the other chunks is found again, so only the halves run.

    Parameters
    ----------
    run
        Makes the graph and computes it, or makes the Runner and runs it: with ``chunksize="auto"`` or `Fitting`.

    Raises
    ------
    Exception
        What `run` raises, where no chunk ran out of memory that was not known to.

    Examples
    --------
    >>> until_it_fits(lambda: 7)
    7
    """
    for _ in range(MOST_ATTEMPTS):
        before = failures()
        try:
            return run()
        except Exception:
            if failures() == before:
                raise
    return run()


def _rounded(size: int, unit: int) -> int:
    """Return the multiple of a unit that is not above a size; the size if it is below the unit."""
    return size // unit * unit or max(1, size)


def _above_zero(name: str, value: Any, parse: Callable[[str], Any], takes: str) -> Any:
    try:
        found = parse(str(value)) if not isinstance(value, bool) else 0
    except ValueError:
        found = 0
    if not 0 < found < float("inf"):
        raise ValueError(f"{name} is {value!r}; it takes {takes}")
    return found


def _program() -> str:
    """Return the name of the program's file, without its folder and ending."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(path).stem if path else "__main__"


def _notes() -> ChunkNotes | None:
    store = store_in_use()
    return chunk_notes_of(store) if store is not None else None
