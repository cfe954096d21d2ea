"""The nodes of one chunk in the graph of `run_steps`: each step is a task, a row-wise step one for each block."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import dask
from dask.delayed import Delayed

from cachingclient.coffea.chunks import Chunk
from cachingclient.coffea.row_checks import check_blocks
from cachingclient.coffea.rows import join_rows
from cachingclient.graph import Key

Role = Literal["chunk", "join", "block"]
Branches = Mapping[str, Callable[..., Any] | None]
"""The functions of a step by the names of their branches."""


@dataclass(frozen=True)
class Blocks:
    """A chunk in blocks, and what the row-wise steps so far give for each.

    Attributes
    ----------
    chunk
        The chunk.
    blocks
        Its blocks.
    nodes
        For each block the node of the last step; the block itself before the first.
    pairs
        The blocks that are looked at together with the next, by their numbers.
    name
        The name of the last step; empty before the first.
    checks
        The nodes of these looks.
    roles
        For the key of each task the events that it is about, and whether it is a step of the chunk, joins its blocks,
        or is of one of them.
    """

    chunk: Chunk
    blocks: Sequence[Chunk]
    nodes: Sequence[Any]
    pairs: Sequence[int] = ()
    name: str = ""
    checks: Sequence[Delayed] = ()
    roles: dict[Key, tuple[Chunk, Role]] = field(default_factory=dict)

    def after(self, name: str, function: Callable[..., Any], marker: str) -> Blocks:
        """Return the blocks after one more row-wise step."""
        also = [block if self.name else None for block in self.blocks]
        nodes = [node_of(name, function, node, chunk) for node, chunk in zip(self.nodes, also, strict=True)]
        checks = [self._check(name, function, nodes, pair, marker) for pair in self.pairs]
        of_pairs = [self.blocks[pair] for pair in self.pairs]
        for node, block in (*zip(nodes, self.blocks, strict=True), *zip(checks, of_pairs, strict=True)):
            self.roles[node.key] = block, "block"
        return replace(self, nodes=nodes, name=name, checks=[*self.checks, *checks])

    def _check(self, name: str, function: Callable[..., Any], nodes: Sequence[Any], first: int, marker: str) -> Delayed:
        """Return the node that looks at two blocks together."""
        both = replace(self.blocks[first], stop=self.blocks[first + 1].stop)
        given = self.nodes[first : first + 2] if self.name else both
        chunk = both if self.name and takes_chunk(function) else None
        return _task(f"check-{name}", check_blocks, name, function, given, nodes[first : first + 2], marker, chunk)

    @property
    def whole(self) -> Any:
        """The node of the chunk: the results of its blocks, joined."""
        if not self.name:
            return self.chunk
        node = _task(f"join-{self.name}", join_rows, self.name, list(self.nodes), list(self.checks))
        self.roles[node.key] = self.chunk, "join"
        return node


def nodes_of(blocks: Blocks, steps: Iterable[tuple[str, Branches]], row_wise: Mapping[int, str]) -> dict[str, Delayed]:
    """Return the last node of each branch of one chunk.

    Parameters
    ----------
    blocks
        The chunk, before the first step.
    steps
        The steps, by their names.
    row_wise
        The functions that are called with blocks, by their ids, with the keys of notes about them.
    """
    found: dict[str, Any] = {"": blocks}
    for number, (name, functions) in enumerate(steps):
        is_first = number == 0
        found = {
            "/".join(filter(None, (before, branch))): _after(name, function, node, blocks, row_wise, is_first=is_first)
            for before, node in found.items()
            for branch, function in functions.items()
        }
    return {branch: _whole(node) for branch, node in found.items()}


def _after(
    name: str,
    function: Callable[..., Any] | None,
    before: Any,
    blocks: Blocks,
    row_wise: Mapping[int, str],
    *,
    is_first: bool,
) -> Any:
    """Return what a branch has after one more step."""
    if function is None:
        return before
    if isinstance(before, Blocks) and id(function) in row_wise:
        return before.after(name, function, row_wise[id(function)])
    node = node_of(name, function, _whole(before), None if is_first else blocks.chunk)
    blocks.roles[node.key] = blocks.chunk, "chunk"
    return node


def _whole(node: Any) -> Any:
    return node.whole if isinstance(node, Blocks) else node


def node_of(name: str, function: Callable[..., Any], before: Any, chunk: Chunk | None) -> Any:
    """Return the node of one step of one chunk or block.

    Parameters
    ----------
    name, function
        The step.
    before
        What it takes: the node of the step before it, or the chunk.
    chunk
        The chunk, for a function that takes it; None for the first step.
    """
    call = dask.delayed(function, pure=True)
    also = {"chunk": chunk} if chunk is not None and takes_chunk(function) else {}
    token = dask.base.tokenize(function, getattr(before, "key", before), also)
    return call(before, **also, dask_key_name=f"{name}-{token}")


def _task(name: str, function: Callable[..., Any], *arguments: Any) -> Delayed:
    token = dask.base.tokenize(function, arguments)
    node: Delayed = dask.delayed(function, pure=True)(*arguments, dask_key_name=f"{name}-{token}")
    return node


def takes_chunk(function: Callable[..., Any]) -> bool:
    """Tell whether a function has an argument called ``chunk``."""
    try:
        return "chunk" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
