"""coffea's chunks where their file goes by another name: the call without the name, and the result with its own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from cachingclient.hashing.content_keys import Call
from cachingclient.hashing.inputs.fingerprint import KNOWN
from cachingclient.hashing.inputs.remote import look_at_remote
from cachingclient.hashing.inputs.same_content import Held
from cachingclient.hashing.inputs.signed import unsigned
from cachingclient.hashing.keys import Code, join_held
from cachingclient.hashing.step_keys import Merkle

NAMELESS = "any://name"
"""What the file of an item is called in the key that leaves its name out."""
PROCESSED = "processed"
PATIENCE = 10.0
"""Seconds that a server may take to say what a file holds after it was read."""
MOST_BYTES = 64 << 20
"""A compressed result that is larger is not looked through for a name: it has one name."""


@dataclass(frozen=True, slots=True)
class ChunkCall:
    """A call of coffea's that processes a chunk.

    Attributes
    ----------
    function
        What is called.
    item
        The work item.
    heavy
        The processor, where it comes beside the item.
    held
        The file, as it was before the call.
    """

    function: Any
    item: Any
    heavy: Any
    held: Held

    def key(self, code: Code, merkle: Merkle) -> str | None:
        """Return the content key of the call without the name of the file, 32 hexadecimal characters.

        Of a processor beside the item what it reads counts, as in the key with the name; another is part of the code.
        """
        item = replace(self.item, filename=NAMELESS)
        parts = merkle.arguments(self.function, (item if self.heavy is None else (item, self.heavy),), {})
        if parts.reason:
            return None
        encodings = [self.held.size.to_bytes(8, "little"), *parts.encodings]
        return join_held(b"chunk" + code.digest, encodings, (*code.remade, *parts.remade)).hex()

    def still_held(self) -> Held | None:
        """Return what the file held while the call ran, None if it changed meanwhile."""
        if self.held.sums is not None:
            return self._still_there(self.held)
        now = Held.of(self.held.path)
        if now is None or (now.mtime_ns, now.inode) != (self.held.mtime_ns, self.held.inode):
            return None
        return now if now.holds_what(self.held) else None

    def _still_there(self, held: Held) -> Held | None:
        """Return what a remote file holds, None if its server tells something else now, or for another."""
        now = look_at_remote(self.item.filename, PATIENCE)
        if now is None or now.relayed or (told := Held.of_remote(now)) is None:
            return None
        return told if told == held else None

    def with_own_item(self, result: Any) -> Any:
        """Return the result of the same chunk with this item among those that it says were processed.

        Raises
        ------
        ValueError
            If it is no result of a chunk.
        """
        unpacked = _unpacked(result)
        if not _is_of_one_item(unpacked):
            raise ValueError("not the result of a chunk")
        return self._packed({**unpacked, PROCESSED: {_unsigned(self.item)}})

    def may_name(self, result: Any) -> bool:
        """Tell whether the result says anywhere but among the processed items what the file is called."""
        if isinstance(result, bytes) and len(result) > MOST_BYTES:
            return True
        unpacked = _unpacked(result)
        if not _is_of_one_item(unpacked) or unpacked[PROCESSED] != {_unsigned(self.item)}:
            return True
        rest = {name: value for name, value in unpacked.items() if name != PROCESSED}
        content = pickle.dumps(rest, protocol=5, buffer_callback=lambda buffer: None)
        name = os.path.basename(unsigned(self.item.filename).partition("?")[0].rstrip("/"))
        names = {name, unquote(name), self.held.path}
        return not name or not all(each.isascii() and each.encode() not in content for each in names)

    def _packed(self, result: Any) -> Any:
        return _packed_by(self.function, result)


def without_signature(function: Any, args: tuple[Any, ...], result: Any) -> Any:
    """Return the result of a chunk of a file whose URL is signed, with the URL alone: the result may be kept.

    Examples
    --------
    >>> without_signature(len, ([1, 2],), 2)
    2
    """
    item = _item_of(args)
    if item is None or not isinstance(item.filename, str) or unsigned(item.filename) == item.filename:
        return result
    unpacked = _unpacked(result)
    if not _is_of_one_item(unpacked):
        return result
    return _packed_by(function, {**unpacked, PROCESSED: {_unsigned(item)}})


def _unpacked(result: Any) -> Any:
    from coffea.processor.executor import _decompress

    return _decompress(result)


def _packed_by(function: Any, result: Any) -> Any:
    from coffea.processor.executor import _compress

    return _compress(result, getattr(function, "level", None))


def _unsigned(item: Any) -> Any:
    return replace(item, filename=unsigned(item.filename))


def _item_of(args: tuple[Any, ...]) -> Any:
    """Return the work item that a call is given, alone or with the processor; None if it is given anything else."""
    if len(args) != 1:
        return None
    item = args[0][0] if type(args[0]) in (tuple, list) and len(args[0]) == 2 else args[0]
    is_item = type(item).__name__ == "WorkItem" and type(item).__module__ == "coffea.processor.executor"
    return item if is_item else None


def chunk_call(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], call: Call) -> ChunkCall | None:
    """Return the call of a chunk of a file that can be compared with others; None if it is anything else."""
    item = _item_of(args)
    if item is None or kwargs or not isinstance(call.code, Code) or call.content_key is None:
        return None
    heavy = None if item is args[0] else args[0][1]
    held = _held_by(item.filename, call)
    return None if held is None or not item.fileuuid else ChunkCall(function, item, heavy, held)


def _held_by(name: Any, call: Call) -> Held | None:
    """Return what a file holds that goes by this name."""
    if path := _path_of(name):
        return Held.of(path)
    seen = next((each for each in call.inputs if each.url == name and each.kind == KNOWN), None)
    return None if seen is None else Held.of_remote(seen)


def _path_of(name: Any) -> str:
    """Return the path of a local file; empty for anything else, also for a name with more than a path in it."""
    if not isinstance(name, str):
        return ""
    if name.startswith("file://"):
        parts = urlsplit(name)
        return "" if parts.netloc or parts.query or parts.fragment or "%" in name else parts.path
    return "" if "://" in name or ":" in name or any(sign in name for sign in "*?[~$") else name


def _is_of_one_item(result: Any) -> bool:
    done = result.get(PROCESSED) if type(result) is dict else None
    return type(done) is set and len(done) == 1 and type(next(iter(done))).__name__ == "WorkItem"
