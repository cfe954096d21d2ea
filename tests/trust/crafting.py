"""Stores as an attacker leaves them: each craft adds one bad thing to a store that also holds a good entry."""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from cachingclient.storage.entry import FORMAT, MAGIC, _digest

BAD = "ba" * 16
"""The key under which the bad entry is looked for."""


@dataclass(frozen=True)
class Scene:
    """The folders of an attack: the store, the home of whoever reads it, and the file that code of the store makes.

    What is crafted for the key `BAD` is filed under another where the scene has one.
    """

    store: Path
    home: Path
    canary: Path
    key: str = BAD

    def description(self, body: bytes, payload: bytes = b"") -> Path:
        """File a description whose digest is right, whatever is in it."""
        key, body = BAD, body.replace(BAD.encode(), self.key.encode())
        data = b"%b%d %b %d\n%b%b" % (MAGIC, FORMAT, _digest(len(body), body + payload), len(body), body, payload)
        return self.file(f"v1/steps/{key[:2]}/{key}", data)

    def entry(self, payload: bytes = b"", *, inline: bool = True, **fields: Any) -> Path:
        """File an entry of these fields."""
        if not inline:
            digest = fields.get("digest", xxhash.xxh3_128_hexdigest(payload))
            self.file(f"v1/blobs/{digest[:2]}/{digest}", payload)
        body = json.dumps(described(payload, inline, fields)).encode()
        return self.description(body, payload if inline else b"")

    def file(self, name: str, data: bytes) -> Path:
        """Put a file into the store."""
        path = self.empty(name)
        path.write_bytes(data)
        return path

    def empty(self, name: str) -> Path:
        """Return where a file of the store goes, with its folder made and nothing there."""
        path = self.store / name.replace(f"{BAD[:2]}/{BAD}", f"{self.key[:2]}/{self.key}").replace(BAD, self.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path


def described(payload: bytes, inline: bool, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a description that is right but for those that are given."""
    right: dict[str, Any] = {
        "keys": [BAD],
        "kind": "result",
        "name": "bad",
        "codec": "containers",
        "digest": xxhash.xxh3_128_hexdigest(payload),
        "nbytes": len(payload),
        "created": time.time(),
        "seconds": 1.0,
        "details": {"codecs": {"containers": 1}, "libraries": {}},
        "inline": inline,
    }
    return {**right, **fields}


def payload(tree: Any, *frames: bytes, lengths: list[Any] | None = None) -> bytes:
    """Return the payload of a tree that may say anything."""
    head = json.dumps({"tree": tree, "frames": lengths or [len(frame) for frame in frames]}).encode()
    out = bytearray(len(head).to_bytes(8, "little") + head)
    for frame in frames:
        out += bytes(-len(out) % 64) + frame
    return bytes(out)


class Bomb:
    """What makes the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
        return os.system, (f"touch {self.canary}",)


def pickled(scene: Scene) -> bytes:
    """Return a pickle that makes the canary."""
    return pickle.dumps(Bomb(scene.canary), 5)


Craft = Callable[[Scene], object]
CRAFTS: dict[str, Craft] = {}


def craft(function: Craft) -> Craft:
    """List a craft by its name."""
    CRAFTS[function.__name__] = function
    return function


def crafts(name: str, variants: Mapping[str, Any], make: Callable[[Scene, Any], object]) -> None:
    """List a craft for each of these variants."""
    for variant, value in variants.items():
        CRAFTS[f"{name}-{variant}"] = lambda scene, value=value: make(scene, value)  # type: ignore[misc]
