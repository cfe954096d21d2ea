"""Many entries as columns: what sums, lists and pruning need of each, in a hundred bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cachingclient.storage.model import EntryInfo

ROW = np.dtype(
    [
        ("key", "V16"),
        ("inode", "<u8"),  # of the description's file, where files have one: it tells whether this row is still true
        ("own", "V16"),  # the first of the keys that the writer filed it under
        ("digest", "V16"),
        ("nbytes", "<i8"),
        ("created", "<f8"),
        ("seconds", "<f8"),
        ("used", "<f8"),  # unix time; 0 where it was not asked for
        ("sort", "<u4"),
        ("inline", "?"),
    ]
)

AT_ONCE = 10_000  # entries in one outline
Sort = tuple[str, str, str]  # kind, name, codec
Row = tuple[bytes, int, bytes, bytes, int, float, float, float, Sort, bool]


class Outline(NamedTuple):
    """Rows of ``ROW``, and the kinds, names and codecs that their column ``sort`` counts through.

    Examples
    --------
    >>> info = EntryInfo("0f" * 16, "result", "select", "numpy", "ab" * 16, 8, 0.0, 1.5, {}, None)
    >>> outline = Outline.of([info])
    >>> outline.rows["seconds"].sum(), outline.sorts
    (np.float64(1.5), [('result', 'select', 'numpy')])
    >>> next(outline.entries()).key == info.key
    True
    """

    rows: npt.NDArray[Any]
    sorts: list[Sort]

    @classmethod
    def of(cls, infos: Iterable[EntryInfo]) -> Outline:
        """The outline of these entries."""
        return cls.of_rows(row(info, info.key) for info in infos)

    @classmethod
    def batches(cls, infos: Iterator[EntryInfo]) -> Iterator[Outline]:
        """Outlines of these entries, of so many at once as keep memory bounded."""
        while batch := list(islice(infos, AT_ONCE)):
            yield cls.of(batch)

    @classmethod
    def of_rows(cls, rows: Iterable[Row]) -> Outline:
        """The outline of these rows."""
        sorts: dict[Sort, int] = {}
        numbered = [(*each[:-2], sorts.setdefault(each[-2], len(sorts)), each[-1]) for each in rows]
        return cls(np.array(numbered, ROW), list(sorts))

    @classmethod
    def joined(cls, outlines: Iterable[Outline]) -> Outline:
        """One outline of several."""
        sorts: dict[Sort, int] = {}
        parts = [np.empty(0, ROW)]
        for rows, theirs in outlines:
            numbers = np.array([sorts.setdefault(sort, len(sorts)) for sort in theirs], "u4")
            if len(rows):
                rows = rows.copy()
                rows["sort"] = numbers[rows["sort"]]
                parts.append(rows)
        return cls(np.concatenate(parts), list(sorts))

    def where(self, chosen: npt.NDArray[Any]) -> Outline:
        """The rows that a mask or a list of numbers chooses."""
        return Outline(self.rows[chosen], self.sorts)

    def all_keys(self) -> list[str]:
        """The keys of the rows."""
        return hexes(self.rows["key"])

    def entries(self) -> Iterator[EntryInfo]:
        """The rows as entries, without details and payloads."""
        columns = [self.rows[name].tolist() for name in ("nbytes", "created", "seconds", "used", "sort", "inline")]
        texts = hexes(self.rows["key"]), hexes(self.rows["digest"])
        for key, digest, nbytes, created, seconds, used, sort, inline in zip(*texts, *columns, strict=True):
            kind, name, codec = self.sorts[sort]
            payload = b"" if inline else None
            yield EntryInfo(key, kind, name, codec, digest, nbytes, created, seconds, {}, payload, (), used)


def row(info: EntryInfo, key: str, inode: int = 0) -> Row:
    """An entry that is filed under this key, in a file with this inode, as a row of ``ROW``."""
    own = info.keys[0] if info.keys else key
    sort = info.kind, info.name, info.codec
    return (
        bytes.fromhex(key),
        inode,
        bytes.fromhex(own),
        bytes.fromhex(info.digest),
        info.nbytes,
        info.created,
        info.seconds,
        info.last_used,
        sort,
        info.payload is not None,
    )


def hexes(column: npt.NDArray[Any]) -> list[str]:
    """Keys or digests as text."""
    text = column.tobytes().hex()
    return [text[start : start + 32] for start in range(0, len(text), 32)]


def texts(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Keys or digests as what numpy can sort."""
    return np.ascontiguousarray(column).view("S16")
