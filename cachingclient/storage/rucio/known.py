"""The descriptions that are known of a Rucio store, and which of its files are behind them."""

from __future__ import annotations

from cachingclient.storage.entry import DamagedEntryError, unpack
from cachingclient.storage.rucio.lifetimes import week_of
from cachingclient.storage.rucio.pack_format import Flag, Record


class Known:
    """What the indices say that were read so far, and this process' own records, in their order."""

    def __init__(self) -> None:
        self.descriptions: dict[str, bytes] = {}
        self.indices: set[str] = set()
        self.complete = False  # whether all indices that there are were read
        self.overruling: dict[str, set[str]] = {}  # indices that remove or replace entries: the packs of what they put
        self._told_by: dict[str, str] = {}  # key -> the index that has its description

    def forget(self) -> None:
        """Begin anew."""
        self.descriptions.clear()
        self.indices.clear()
        self.overruling.clear()
        self._told_by.clear()

    def apply(self, record: Record, index: str = "") -> None:
        """Take in a record of an index, or of this process, which has none yet."""
        key = record.key
        if record.flag is Flag.FIRST and key in self.descriptions:
            return
        if record.flag is Flag.REMOVE:
            self.descriptions.pop(key, None)
        else:
            self.descriptions[key] = record.description
        self._told_by.pop(key, None)
        if index:
            self._told_by[key] = index
            if record.flag is not Flag.FIRST or index in self.overruling:
                self.overruling.setdefault(index, set()).update(_packs(key, record.description))

    def older(self, key: str, week: int) -> set[str]:
        """Return those files of an entry, its index and its pack, that were made before a week."""
        index, description = self._told_by.get(key), self.descriptions.get(key)
        if index is None or description is None:
            return set()
        return {
            name for name in (index, *_packs(key, description)) if (made := week_of(name)) is not None and made < week
        }


def _packs(key: str, description: bytes) -> set[str]:
    """The pack that a description names."""
    try:
        info = unpack(key, description) if description else None
    except DamagedEntryError:
        return set()
    place = info.details.get("place") if info else None
    return {place[0]} if isinstance(place, list) and place and isinstance(place[0], str) else set()
