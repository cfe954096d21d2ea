"""From named steps and a file set to one delayed graph, in which each step of each chunk is a task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dask
from coffea.processor import accumulate
from dask.delayed import Delayed

from cachingclient.coffea.chunks import Chunk, chunks_of

Steps = Callable[..., Any] | Mapping[str, Callable[..., Any] | None]
"""One function, or by name several that each start a branch; None hands on what it gets."""


def run_steps(
    fileset: Mapping[str, Any] | Sequence[Chunk],
    /,
    *,
    merge: Callable[[list[Any]], Any] | None = None,
    chunksize: int = 100_000,
    fan_in: int = 8,
    **steps: Steps,
) -> Delayed:
    """Return the graph of an analysis whose steps are given by name, in their order.

    The first step gets a `Chunk`, each other what the one before it returned; a step with an argument called
    ``chunk`` gets the chunk as well, for its seeds and its metadata. A step given as a dict branches: all that
    follow run for each of its functions. The outputs of the last step are merged over the chunks of each data set.

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
        If there are no steps, an empty dict of them, or `fan_in` is below 2.
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
    named = [(name, _functions(name, given)) for name, given in steps.items()]
    chunks = chunks_of(fileset, chunksize) if isinstance(fileset, Mapping) else list(fileset)
    branches: dict[str, dict[str, list[Delayed]]] = {}
    for chunk in chunks:
        for branch, node in _nodes(chunk, named).items():
            branches.setdefault(chunk.dataset, {}).setdefault(branch, []).append(node)
    make_one = dask.delayed(merge or accumulate, pure=True)
    merged = {
        dataset: {branch: _in_a_tree(make_one, nodes, fan_in) for branch, nodes in of_dataset.items()}
        for dataset, of_dataset in branches.items()
    }
    plain = {dataset: found[""] if set(found) == {""} else found for dataset, found in merged.items()}
    return dask.delayed(plain)


def _functions(name: str, given: Any) -> dict[str, Callable[..., Any] | None]:
    """Return the functions of a step by the names of their branches, the empty name for one that does not branch."""
    functions = dict(given) if isinstance(given, Mapping) else {"": given}
    if not functions:
        raise ValueError(f"step {name!r} is an empty dict; it takes a function for each branch")
    for function in functions.values():
        if not callable(function) and not (function is None and isinstance(given, Mapping)):
            raise TypeError(f"step {name!r} is {function!r}; it takes a function, or a dict of functions")
    return functions


def _nodes(chunk: Chunk, steps: Iterable[tuple[str, Mapping[str, Callable[..., Any] | None]]]) -> dict[str, Delayed]:
    """Return the last node of each branch of one chunk."""
    nodes: dict[str, Any] = {"": chunk}
    for number, (name, functions) in enumerate(steps):
        nodes = {
            "/".join(filter(None, (before, branch))): _node(name, function, node, chunk if number else None)
            for before, node in nodes.items()
            for branch, function in functions.items()
        }
    return nodes


def _node(name: str, function: Callable[..., Any] | None, before: Any, chunk: Chunk | None) -> Any:
    """Return the node of one step of one chunk."""
    if function is None:
        return before
    call = dask.delayed(function, pure=True)
    also = {"chunk": chunk} if chunk is not None and _takes_chunk(function) else {}
    token = dask.base.tokenize(function, getattr(before, "key", before), also)
    return call(before, **also, dask_key_name=f"{name}-{token}")


def _takes_chunk(function: Callable[..., Any]) -> bool:
    try:
        return "chunk" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _in_a_tree(make_one: Any, nodes: list[Delayed], fan_in: int) -> Delayed:
    """Return the node that merges nodes, a few at a time."""
    while len(nodes) > 1:
        nodes = [make_one(nodes[start : start + fan_in]) for start in range(0, len(nodes), fan_in)]
    return nodes[0]
