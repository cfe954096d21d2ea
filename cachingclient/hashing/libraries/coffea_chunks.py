"""coffea's chunks where their file goes by another name: the call without the name, and the result with its own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from cachingclient.hashing.content_keys import Call
from cachingclient.hashing.inputs.same_content import Held
from cachingclient.hashing.keys import Code
from cachingclient.hashing.step_keys import Merkle, join

NAMELESS = "any://name"
"""What the file of an item is called in the key that leaves its name out."""
PROCESSED = "processed"
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
        return join(b"chunk" + code.digest, [self.held.size.to_bytes(8, "little"), *parts.encodings]).hex()

    def still_held(self) -> Held | None:
        """Return what the file held while the call ran, None if it changed meanwhile."""
        now = Held.of(self.held.path)
        if now is None or (now.mtime_ns, now.inode) != (self.held.mtime_ns, self.held.inode):
            return None
        return now if now.holds_what(self.held) else None

    def with_own_item(self, result: Any) -> Any:
        """Return the result of the same chunk with this item among those that it says were processed.

        Raises
        ------
        ValueError
            If it is no result of a chunk.
        """
        unpacked = self._unpacked(result)
        if not _is_of_one_item(unpacked):
            raise ValueError("not the result of a chunk")
        return self._packed({**unpacked, PROCESSED: {self.item}})

    def may_name(self, result: Any) -> bool:
        """Tell whether the result says anywhere but among the processed items what the file is called."""
        if isinstance(result, bytes) and len(result) > MOST_BYTES:
            return True
        unpacked = self._unpacked(result)
        if not _is_of_one_item(unpacked) or unpacked[PROCESSED] != {self.item}:
            return True
        rest = {name: value for name, value in unpacked.items() if name != PROCESSED}
        content = pickle.dumps(rest, protocol=5, buffer_callback=lambda buffer: None)
        name = os.path.basename(self.item.filename.rstrip("/"))
        return not name.isascii() or not name or name.encode() in content or self.held.path.encode() in content

    def _unpacked(self, result: Any) -> Any:
        from coffea.processor.executor import _decompress

        return _decompress(result)

    def _packed(self, result: Any) -> Any:
        from coffea.processor.executor import _compress

        return _compress(result, getattr(self.function, "level", None))


def chunk_call(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], call: Call) -> ChunkCall | None:
    """Return the call of a chunk of a local file; None if it is anything else."""
    if len(args) != 1 or kwargs or not isinstance(call.code, Code) or call.content_key is None:
        return None
    item, heavy = args[0] if type(args[0]) in (tuple, list) and len(args[0]) == 2 else (args[0], None)
    if type(item).__name__ != "WorkItem" or type(item).__module__ != "coffea.processor.executor":
        return None
    path = _path_of(item.filename)
    held = Held.of(path) if path else None
    return None if held is None or not item.fileuuid else ChunkCall(function, item, heavy, held)


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
