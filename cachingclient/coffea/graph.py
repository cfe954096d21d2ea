"""From named steps and a file set to one delayed graph, in which each step of each chunk is a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

import dask
from coffea.processor import accumulate
from dask.delayed import Delayed

from cachingclient.coffea.chunks import Chunk, chunks_of
from cachingclient.coffea.fitting import Fitting, Roles, Shapes
from cachingclient.coffea.nodes import Blocks, Branches, nodes_of
from cachingclient.coffea.row_checks import pairs_to_check, row_wise
from cachingclient.coffea.rows import BLOCK, blocks_of
from cachingclient.graph import Key
from cachingclient.worker.options import options_of

Steps = Callable[..., Any] | Mapping[str, Callable[..., Any] | None]
"""One function, or by name several that each start a branch; None hands on what it gets."""


def run_steps(
    fileset: Mapping[str, Any] | Sequence[Chunk],
    /,
    *,
    merge: Callable[[list[Any]], Any] | None = None,
    chunksize: int | Fitting | Literal["auto"] = 100_000,
    fan_in: int = 8,
    block: int = BLOCK,
    **steps: Steps,
) -> Delayed:
    """Return the graph of an analysis whose steps are given by name, in their order.

    The first step gets a `Chunk`, each other what the one before it returned; a step with an argument called
    ``chunk`` gets the chunk as well, for its seeds and its metadata. A step given as a dict branches: all that
    follow run for each of its functions. The outputs of the last step are merged over the chunks of each data set.

    The first steps, as long as they are marked ``@step(rows=True)``, are called with blocks of `block` events, which
    begin at multiples of it in each file; then their results are joined to those of chunks. So with another
    `chunksize` they are found again. Chunks begin and end with blocks, where `chunksize` is not below `block`.

    Parameters
    ----------
    fileset
        A file set as coffea takes it, or chunks.
    merge
        What makes one output of a list of them; None takes coffea's ``accumulate``.
    chunksize
        The largest number of events in a chunk. ``"auto"`` or a `Fitting` choose it by what the steps took before, and
        halve chunks that ran out of memory.
    fan_in
        How many outputs are merged at once: the fewer, the fewer merges an edit of one chunk reaches.
    block
        How many events a row-wise step is given at once, whatever `chunksize` is.
    **steps
        The functions, by the names that reports and pictures show.

    Returns
    -------
    Delayed
        Its result is, by data set, the merged output; with branches a dict of them by name. Names of branches of
        several steps are joined by ``/``.

    Raises
    ------
    ValueError
        If there are no steps, an empty dict of them, `fan_in` is below 2, or `block` or `chunksize` not above 0.
    TypeError
        If a step is neither a function nor a dict of functions, or `chunksize` is neither a number, ``"auto"`` nor a
        `Fitting`.

    Examples
    --------
    >>> chunks = [Chunk("ttbar", "root://host//a.root", "Events", start, start + 10) for start in (0, 10)]
    >>> graph = run_steps(
    ...     chunks,
    ...     load=lambda chunk: list(range(chunk.start, chunk.stop)),
    ...     vary={"nominal": None, "up": lambda values: [2 * value for value in values]},
    ...     count=sum,
    ...     merge=sum,
    ... )
    >>> graph.compute(scheduler="synchronous")
    {'ttbar': {'nominal': 190, 'up': 380}}
    """
    if not steps:
        raise ValueError("run_steps takes at least one step, such as load=...")
    if fan_in < 2:
        raise ValueError(f"fan_in is {fan_in}; it takes a number of outputs of 2 or more")
    if block <= 0:
        raise ValueError(f"block is {block}; it takes a number of events above 0")
    named = [(name, _functions(name, given)) for name, given in steps.items()]
    in_blocks = _called_with_blocks(named)
    shapes = _shapes(chunksize, named[0][0], block)
    make = _Graph(fileset, named, in_blocks, block, fan_in, merge or accumulate)
    graph, roles = make(shapes)
    if shapes.better != shapes.size and shapes.loses_nothing(graph, roles):
        shapes = shapes.resized(shapes.better)
        graph, roles = make(shapes)
    if shapes.name:
        shapes.remember(roles)
    return graph


@dataclass(frozen=True)
class _Graph:
    """Makes the graph of an analysis for chunks of one size or another; see `run_steps`."""

    fileset: Mapping[str, Any] | Sequence[Chunk]
    steps: Sequence[tuple[str, Branches]]
    in_blocks: Mapping[int, str]
    block: int
    fan_in: int
    merge: Callable[[list[Any]], Any]

    def __call__(self, shapes: Shapes) -> tuple[Delayed, Roles]:
        """Return the graph, and the events that its tasks are about."""
        branches: dict[str, dict[str, list[Delayed]]] = {}
        roles: dict[Key, Any] = {}
        for number, chunk in enumerate(self._chunks(shapes)):
            blocks = self._in_blocks(chunk, shapes, the_first=number == 0)
            for branch, node in nodes_of(blocks, self.steps, self.in_blocks).items():
                branches.setdefault(chunk.dataset, {}).setdefault(branch, []).append(node)
            roles |= blocks.roles
        make_one = dask.delayed(self.merge, pure=True)
        merged = {
            dataset: {branch: _in_a_tree(make_one, nodes, self.fan_in) for branch, nodes in of_dataset.items()}
            for dataset, of_dataset in branches.items()
        }
        plain = {dataset: found[""] if set(found) == {""} else found for dataset, found in merged.items()}
        return dask.delayed(plain), roles

    def _chunks(self, shapes: Shapes) -> list[Chunk]:
        if isinstance(self.fileset, Mapping):
            unit = self.block if self.in_blocks or shapes.name else 1
            chunks = chunks_of(self.fileset, shapes.size, multiple_of=unit)
        else:
            chunks = list(self.fileset)
        return [half for chunk in chunks for half in shapes.halved(chunk, self.block)]

    def _in_blocks(self, chunk: Chunk, shapes: Shapes, *, the_first: bool) -> Blocks:
        whole = blocks_of(chunk, self.block) if self.in_blocks else [chunk]
        parts = [half for block in whole for half in shapes.halved(block, 1, blocks=True)]
        return Blocks(chunk, parts, parts, pairs_to_check(parts, self.block, the_first=the_first))


def _shapes(chunksize: Any, first: str, block: int) -> Shapes:
    """Return how large chunks are; without a name if they are as large as the user says."""
    if chunksize == "auto":
        chunksize = Fitting()
    if isinstance(chunksize, Fitting):
        return Shapes.of(chunksize, first, block)
    if isinstance(chunksize, bool) or not isinstance(chunksize, Integral):
        raise TypeError(f"chunksize is {chunksize!r}; it takes a number of events above 0, 'auto' or a Fitting")
    return Shapes("", int(chunksize), int(chunksize))


def _functions(name: str, given: Any) -> Branches:
    """Return the functions of a step by the names of their branches, the empty name for one that does not branch."""
    functions = dict(given) if isinstance(given, Mapping) else {"": given}
    if not functions:
        raise ValueError(f"step {name!r} is an empty dict; it takes a function for each branch")
    for function in functions.values():
        if not callable(function) and not (function is None and isinstance(given, Mapping)):
            raise TypeError(f"step {name!r} is {function!r}; it takes a function, or a dict of functions")
    return functions


def _called_with_blocks(steps: Sequence[tuple[str, Branches]]) -> dict[int, str]:
    """Return the row-wise functions by their ids, with the keys of notes; none if the first step is not row-wise."""
    given = [(name, function) for name, functions in steps for function in functions.values() if function is not None]
    found = row_wise([(name, function) for name, function in given if options_of(function).rows])
    return found if any(id(function) in found for function in steps[0][1].values()) else {}


def _in_a_tree(make_one: Any, nodes: list[Delayed], fan_in: int) -> Delayed:
    """Return the node that merges nodes, a few at a time."""
    while len(nodes) > 1:
        nodes = [make_one(nodes[start : start + fan_in]) for start in range(0, len(nodes), fan_in)]
    return nodes[0]
