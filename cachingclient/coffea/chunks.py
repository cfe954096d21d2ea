"""Ranges of events of files, and random numbers that belong to them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import xxhash

from cachingclient.hashing.inputs.remembered import Found, note, recall, version_of


@dataclass(frozen=True)
class Chunk:
    """A range of the events of one file.

    Attributes
    ----------
    dataset
        The name of the data set.
    file
        The file, by path or URL. A local one counts with its size and time.
    tree
        The tree in it.
    start, stop
        The range.
    uuid
        The file's own identifier.
    metadata
        What the file set says of the data set.

    Examples
    --------
    >>> chunk = Chunk("ttbar", "root://host//a.root", "Events", 0, 1000)
    >>> chunk.seed("smearing") == Chunk("ttbar", "root://host//a.root", "Events", 0, 1000).seed("smearing")
    True
    >>> chunk.seed("smearing") == chunk.seed("pile-up")
    False
    """

    dataset: str
    file: str
    tree: str
    start: int
    stop: int
    uuid: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.stop - self.start

    def __cache_token__(self) -> tuple[object, ...]:
        import awkward
        import coffea
        import uproot

        # The versions of what reads the events count, as they would if a step called it itself.
        return (*(getattr(self, each.name) for each in fields(self)), awkward, coffea, uproot)

    def seed(self, *names: object) -> int:
        """Return a seed that belongs to this chunk and these names: the same in every run, on every machine.

        It depends on the file's identifier where that is known, not on where the file lies.

        Parameters
        ----------
        *names
            What the numbers are for, such as the name of a variation: texts or numbers.
        """
        parts = (self.dataset, self.uuid or self.file, self.tree, self.start, self.stop, *names)
        return xxhash.xxh3_64_intdigest("\0".join(map(repr, parts)).encode())

    def random(self, *names: object) -> Any:
        """Return a numpy generator with the seed of this chunk and these names.

        Examples
        --------
        >>> chunk = Chunk("ttbar", "root://host//a.root", "Events", 0, 1000)
        >>> chunk.random("smearing").normal() == chunk.random("smearing").normal()
        True
        """
        import numpy as np

        return np.random.default_rng(self.seed(*names))

    def arrays(self, branches: Iterable[str]) -> Any:
        """Return branches of these events as an awkward array, read.

        Parameters
        ----------
        branches
            Their names; wildcards as in uproot.
        """
        import uproot

        with uproot.open({self.file: self.tree}) as tree:
            return tree.arrays(filter_name=list(branches), entry_start=self.start, entry_stop=self.stop)

    def events(self, schema: Any = None) -> Any:
        """Return these events as NanoEvents, none of them read. What a step returns of them has to be.

        Parameters
        ----------
        schema
            The schema; None takes coffea's ``NanoAODSchema``.
        """
        from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

        factory = NanoEventsFactory.from_root(
            {self.file: self.tree},
            schemaclass=schema or NanoAODSchema,
            entry_start=self.start,
            entry_stop=self.stop,
            metadata={"dataset": self.dataset, **self.metadata},
            mode="virtual",
        )
        return factory.events()


def chunks_of(
    fileset: Mapping[str, Any], chunksize: int = 100_000, *, tree: str = "Events", multiple_of: int = 1
) -> list[Chunk]:
    """Return the chunks of a file set, of about equal size within a file.

    Parameters
    ----------
    fileset
        As coffea takes it: for each data set a list of files, or a dict with ``files`` (a list, or a dict from file
        to tree) and, if wanted, ``metadata`` and ``treename``.
    chunksize
        The largest number of events in a chunk.
    tree
        The tree of files for which none is named.
    multiple_of
        Chunks begin at multiples of this many events, where `chunksize` allows that.

    Raises
    ------
    ValueError
        If `chunksize` or `multiple_of` is not above 0.
    TypeError
        If a data set is neither a list nor a dict with ``files``.
    """
    if chunksize <= 0:
        raise ValueError(f"chunksize is {chunksize}; it takes a number of events above 0")
    if multiple_of <= 0:
        raise ValueError(f"multiple_of is {multiple_of}; it takes a number of events above 0")
    unit = multiple_of if multiple_of <= chunksize else 1
    return [
        chunk
        for dataset, described in fileset.items()
        for file, of_file, metadata in _files_of(dataset, described, tree)
        for chunk in _chunks_of_file(dataset, file, of_file, metadata, chunksize // unit, unit)
    ]


def _files_of(dataset: str, described: Any, tree: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield each file of a data set with its tree and metadata."""
    if isinstance(described, (list, tuple)):
        described = {"files": described}
    if not isinstance(described, Mapping) or "files" not in described:
        raise TypeError(f"data set {dataset!r} is {described!r}; it takes a list of files, or a dict with 'files'")
    files, metadata = described["files"], described.get("metadata") or {}
    common = described.get("treename") or tree
    for file in files:
        yield os.fspath(file), (files[file] if isinstance(files, Mapping) else None) or common, metadata


def _chunks_of_file(
    dataset: str, file: str, tree: str, metadata: Mapping[str, Any], most: int, unit: int
) -> Iterator[Chunk]:
    """Yield the chunks of one file, each of at most so many units of events."""
    entries, uuid = _look_at_tree(file, tree)
    units = -(-entries // unit)
    count = -(-units // most)
    for number in range(count):
        start, stop = unit * (units * number // count), min(entries, unit * (units * (number + 1) // count))
        yield Chunk(dataset, file, tree, start, stop, uuid, metadata)


def _look_at_tree(file: str, tree: str) -> tuple[int, str]:
    """Return how many entries a tree has, and its file's identifier; a local file is opened once until it changes."""
    import uproot

    path = os.path.abspath(file)
    before = None if "://" in file else _stat(path)
    known = recall(path, before).trees if before is not None else None
    if known and tree in known:
        return known[tree]
    with uproot.open(file) as opened:
        found = int(opened[tree].num_entries), str(opened.file.uuid)
    after = _stat(path) if before is not None else None
    if before is not None and after is not None and version_of(after) == version_of(before):
        note(path, before, Found(trees={tree: found}))
    return found


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
