"""Points in a write at which a process kills itself, as if it had been killed from outside at that very moment."""

from __future__ import annotations

import os
import pkgutil
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_writing = threading.local()
_undo: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True)
class Trap:
    """A function at which to die.

    `part` is "blobs" or "steps" where only the writing of a blob or of a description counts, whose `folder` has the
    `put` that says which of them is written; `after` says whether the function is called first.
    """

    phase: str
    function: str
    part: str = ""
    after: bool = False
    folder: str = ""


_PARTS = {"blob": "blobs", "description": "steps"}


def _around(sort: str, what: str, function: str, folder: str) -> list[Trap]:
    """Before and after a function that a blob or a description goes through."""
    return [
        Trap(f"{sort}: {'after' if after else 'before'} it is {what}", function, _PARTS[sort], after, folder)
        for after in (False, True)
    ]


def _both_parts(folder: str, what: str, function: str) -> list[Trap]:
    """Before and after `put`, and another function, for both."""
    return [
        trap
        for sort in _PARTS
        for each in (("written", f"{folder}.put"), (what, function))
        for trap in _around(sort, *each, folder)
    ]


_EVERYWHERE = [
    Trap("before the result is encoded", "cachingclient.worker.attempt:encode"),
    Trap("after the result is encoded", "cachingclient.worker.attempt:encode", after=True),
    Trap("before it is handed to the writer", "cachingclient.worker.writer:Writer.submit"),
    Trap("after it is handed to the writer", "cachingclient.worker.writer:Writer.submit", after=True),
    Trap("before the client is told", "cachingclient.worker.process:ProcessState.record"),
    Trap("after the client is told", "cachingclient.worker.process:ProcessState.record", after=True),
]
_LOCAL = "cachingclient.storage.files.local"
_S3 = "cachingclient.storage.files.s3:S3Folder"
_XROOTD = "cachingclient.storage.files.xrootd:XRootDFolder"
_RUCIO = "cachingclient.storage.rucio.store:RucioStore"
TRAPS: dict[str, list[Trap]] = {
    "file": [
        *_EVERYWHERE,
        *_both_parts(f"{_LOCAL}:LocalFolder", "given a temporary file", f"{_LOCAL}:make_file"),
        *_around("blob", "renamed into place", f"{_LOCAL}:move", f"{_LOCAL}:LocalFolder"),
        *_around("description", "linked into place", f"{_LOCAL}:place", f"{_LOCAL}:LocalFolder"),
    ],
    "s3": [*_EVERYWHERE, *_both_parts(_S3, "sent", f"{_S3}._create_one")],
    "root": [
        *_EVERYWHERE,
        *_both_parts(_XROOTD, "opened and sent", f"{_XROOTD}._write"),
        Trap("blob: before it is renamed", f"{_XROOTD}.move"),
        Trap("blob: after it is renamed", f"{_XROOTD}.move", after=True),
    ],
    "rucio": [
        *_EVERYWHERE,
        Trap("before it is put into the pack", f"{_RUCIO}.write"),
        Trap("after it is put into the pack", f"{_RUCIO}.write", after=True),
        Trap("before the pack is finished", f"{_RUCIO}.flush"),
        Trap("before pack and index are sent", "rucio.client.uploadclient:UploadClient.upload"),
        Trap("after pack and index are sent", "rucio.client.uploadclient:UploadClient.upload", after=True),
        Trap("after they are registered", "rucio.client.replicaclient:ReplicaClient.add_replicas", after=True),
        Trap("after they are in the dataset", "cachingclient.storage.rucio.catalogue:Catalogue.add", after=True),
    ],
}


def set_trap(trap: Trap, call: int) -> None:
    """Have this process die at the so-many-th call that counts."""
    left = call

    def die_if_due(after: bool) -> None:
        nonlocal left
        if after == trap.after:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    place, _, name = trap.function.replace(":", ".").rpartition(".")
    owner = pkgutil.resolve_name(place)
    real = getattr(owner, name)

    def counts(arguments: tuple[Any, ...]) -> bool:
        if trap.part and name in ("put", "_create_one"):
            return f"v1/{trap.part}/" in str(arguments[1:3])
        return not trap.part or getattr(_writing, "part", "") == trap.part

    def trapped(*arguments: Any, **keywords: Any) -> Any:
        if not counts(arguments):
            return real(*arguments, **keywords)
        die_if_due(after=False)
        result = real(*arguments, **keywords)
        die_if_due(after=True)
        return result

    async def trapped_later(*arguments: Any, **keywords: Any) -> Any:
        if not counts(arguments):
            return await real(*arguments, **keywords)
        die_if_due(after=False)
        result = await real(*arguments, **keywords)
        die_if_due(after=True)
        return result

    _replace(owner, name, trapped_later if name == "_create_one" else trapped)
    if trap.part:
        _note_what_is_written(pkgutil.resolve_name(trap.folder))


def _note_what_is_written(folder: Any) -> None:
    """Have calls below `put` know whether a blob or a description is written, on the thread that writes it."""
    name = "_put" if hasattr(folder, "_put") else "put"  # a local folder writes on a thread that it can give up
    real = getattr(folder, name)

    def put(self: Any, names: Any, *arguments: Any, **keywords: Any) -> Any:
        _writing.part = names[0].split("/")[1]
        return real(self, names, *arguments, **keywords)

    _replace(folder, name, put)


def _replace(owner: Any, name: str, new: Any) -> None:
    old = getattr(owner, name)
    setattr(owner, name, new)
    _undo.append(lambda: setattr(owner, name, old))


def remove_traps() -> None:
    """Let this process live."""
    while _undo:
        _undo.pop()()
