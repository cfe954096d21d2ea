"""From named steps and a file set to one delayed graph, in which each step of each chunk is a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask
from coffea.processor import accumulate
from dask.delayed import Delayed

from cachingclient.coffea.chunks import Chunk, chunks_of
from cachingclient.coffea.nodes import Blocks, Branches, nodes_of
from cachingclient.coffea.row_checks import pairs_to_check, row_wise
from cachingclient.coffea.rows import BLOCK, blocks_of
from cachingclient.worker.options import options_of

Steps = Callable[..., Any] | Mapping[str, Callable[..., Any] | None]
"""One function, or by name several that each start a branch; None hands on what it gets."""


def run_steps(
    fileset: Mapping[str, Any] | Sequence[Chunk],
    /,
    *,
    merge: Callable[[list[Any]], Any] | None = None,
    chunksize: int = 100_000,
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
        The largest number of events in a chunk.
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
        If a step is neither a function nor a dict of functions.

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
    if isinstance(fileset, Mapping):
        chunks = chunks_of(fileset, chunksize, multiple_of=block if in_blocks else 1)
    else:
        chunks = list(fileset)
    branches: dict[str, dict[str, list[Delayed]]] = {}
    for number, chunk in enumerate(chunks):
        blocks = blocks_of(chunk, block) if in_blocks else [chunk]
        pairs = pairs_to_check(blocks, block, the_first=number == 0)
        for branch, node in nodes_of(Blocks(chunk, blocks, blocks, pairs), named, in_blocks).items():
            branches.setdefault(chunk.dataset, {}).setdefault(branch, []).append(node)
    make_one = dask.delayed(merge or accumulate, pure=True)
    merged = {
        dataset: {branch: _in_a_tree(make_one, nodes, fan_in) for branch, nodes in of_dataset.items()}
        for dataset, of_dataset in branches.items()
    }
    plain = {dataset: found[""] if set(found) == {""} else found for dataset, found in merged.items()}
    return dask.delayed(plain)


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
