"""Crafts of descriptions: whole files whose fields are not what such fields are."""

from __future__ import annotations

import json
from typing import Any

from tests.trust.crafting import BAD, Scene, craft, crafts, described

FIELDS: dict[str, dict[str, Any]] = {
    "nbytes infinite": {"nbytes": float("inf")},
    "nbytes not a number": {"nbytes": float("nan")},
    "nbytes negative": {"nbytes": -1},
    "nbytes text": {"nbytes": "12"},
    "nbytes huge": {"nbytes": 10**30},
    "nbytes a list": {"nbytes": [1]},
    "seconds infinite": {"seconds": float("inf")},
    "seconds negative": {"seconds": -1.0},
    "created not a number": {"created": float("nan")},
    "created far off": {"created": 1e300},
    "created a dict": {"created": {}},
    "version text": {"details": {"codecs": {"numpy": "1"}}},
    "version a dict": {"details": {"codecs": {"numpy": {}}}},
    "version infinite": {"details": {"codecs": {"numpy": float("inf")}}},
    "codecs a list": {"details": {"codecs": ["numpy"]}},
    "codecs missing": {"details": {}},
    "libraries a list": {"details": {"codecs": {"numpy": 1}, "libraries": ["x"]}},
    "details a list": {"details": []},
    "details none": {"details": None},
    "name a list": {"name": ["x"]},
    "name half a character": {"name": "\ud800"},
    "name very long": {"name": "x" * 1_000_000},
    "name that moves the cursor": {"name": "\x1b[2J\x1b]0;owned\x07"},
    "kind a dict": {"kind": {}},
    "codec a path": {"codec": "../../evil"},
    "codec a number": {"codec": 7},
    "keys none": {"keys": None},
    "keys text": {"keys": BAD},
    "keys empty": {"keys": []},
    "keys of others": {"keys": ["0f" * 16]},
    "keys in capitals": {"keys": [BAD, "AB" * 16]},
    "keys very many": {"keys": [BAD] * 100_000},
    "digest short": {"digest": "ab"},
    "digest none": {"digest": None},
    "signature a list": {"details": {"codecs": {"containers": 1}, "signature": [1]}},
    "signature of a dict": {"details": {"codecs": {"containers": 1}, "signature": {"key": {}, "sha256": 1}}},
    "signature not hex": {
        "details": {"codecs": {"containers": 1}, "signature": {"key": "x", "sha256": "y", "signature": "z"}}
    },
    "trace a list": {"details": {"codecs": {"containers": 1}, "observed": [1]}},
    "trace of numbers": {"details": {"codecs": {"containers": 1}, "observed": {"read": {"x": 7}}}},
    "trace that moves the cursor": {
        "details": {"codecs": {"containers": 1}, "observed": {"variables": {"\x1b[2J": "\x1b[2J"}}}
    },
    "place a path": {"details": {"codecs": {"containers": 1}, "place": ["../../etc/passwd", 0]}},
}
DETAILS: dict[str, Any] = {
    "expires a list": {"expires": [1]},
    "expires text": {"expires": "soon"},
    "expires huge": {"expires": 10**400},
    "expires not a number": {"expires": float("nan")},
    "host a dict": {"host": {}},
    "site a list": {"site": [1]},
    "peak text": {"peak": "x"},
    "type a dict": {"type": {}},
    "unseen a number": {"unseen": 7},
    "unseen of dicts": {"unseen": [{}]},
    "code a path": {"code": "../../evil"},
    "arguments of numbers": {"arguments": [1, 2]},
    "arguments not hex": {"arguments": ["xyz"]},
    "ingredients of lists": {"ingredients": {"function f": []}},
    "ingredients not hex": {"ingredients": {"variable f:x": "=xyz"}},
    "classes a list": {"classes": ["x"]},
    "classes of lists": {"classes": {"__main__:Event": []}},
    "classes to import": {"classes": {"antigravity:x": "0" * 32}},
}
"""What other rooms know of a description."""
TRACES: dict[str, Any] = {
    "size text": {"written": {"/etc/passwd": ["appended", "5", None, None, None]}},
    "size a list": {"read": {"/etc/passwd": ["file", [], 7, None, None]}},
    "kind a dict": {"read": {"/etc/passwd": [{}, 5, 7, None, None]}},
    "too short": {"read": {"/etc/passwd": ["file"]}},
    "a path with a zero": {"read": {"/etc/\0": ["pattern", 5, None, "x", None]}},
    "half a character": {"read": {"/etc/\ud800": ["listing", None, None, "x", None]}},
    "variables a list": {"variables": ["HOME"]},
    "a variable of lists": {"variables": {"HOME": []}},
    "folder a list": {"folder": [1]},
    "folder a dict": {"folder": {"x": 1}},
    "classes text": {"classes": "x"},
    "a URL": {"named": {"http://169.254.169.254/latest/meta-data": ["remote", 5, None, "x", None]}},
    "a URL that is known": {"named": {"http://169.254.169.254/": ["known", None, None, None, "x"]}},
    "the whole disk": {"read": {"/": ["folder", 1, None, "1:x", None]}},
    "all that matches": {"read": {"/**/no-such-*": ["pattern", 1, None, "1:x", None]}},
    "a device": {"read": {"/dev/zero": ["file", 5, None, "xxh3:x", None]}},
    "the kernel's messages": {"read": {"/proc/kmsg": ["file", 0, None, "xxh3:x", None]}},
    "thousands of names": {"read": {f"/no/such/{n}": ["file", 5, 7, None, None] for n in range(20_000)}},
    "thousands that are not there": {"read": {f"/no/such/{n}": None for n in range(20_000)}},
    "a name that moves the cursor": {"read": {"\x1b[2J/x": ["file", 5, 7, None, None]}},
}
BODIES = {
    "empty": b"",
    "a list": b"[]",
    "a number": b"1",
    "nothing": b"{}",
    "half": b'{"keys":',
    "deep": b'{"details":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not text": b"\xff\xfe\x00",
    "a number of 5,000 digits": b'{"nbytes":' + b"9" * 5000 + b"}",
    "forty megabytes of lists": b'{"keys":[' + b"[]," * 13_000_000 + b"[]]}",
}
LINES = {
    "empty": b"",
    "text": b"hello",
    "a length of 5,000 digits": b"cachingclient-entry 1 " + b"0" * 32 + b" " + b"9" * 5000 + b"\n",
    "a format of 5,000 digits": b"cachingclient-entry " + b"9" * 5000 + b" x 1\n",
    "a negative length": b"cachingclient-entry 1 " + b"0" * 32 + b" -1\n",
    "digits of another script": "cachingclient-entry 1 x \u0662\n".encode(),
}


def states(scene: Scene, fields: dict[str, Any]) -> None:
    """File a description of these fields."""
    scene.description(json.dumps(described(b"", True, fields)).encode())


crafts("field", FIELDS, states)
crafts("detail", DETAILS, lambda scene, more: states(scene, {"details": {"codecs": {"containers": 1}, **more}}))
crafts("trace", TRACES, lambda scene, seen: states(scene, {"details": {"codecs": {"containers": 1}, "observed": seen}}))
crafts("body", BODIES, lambda scene, body: scene.description(body))
crafts("line", LINES, lambda scene, data: scene.file(f"v1/steps/{BAD[:2]}/{BAD}", data))
crafts("inventory", LINES, lambda scene, data: scene.file("v1/inventory/new-00", data))


@craft
def inventory_is_deep(scene: Scene) -> None:
    """The sorts of entries are lists in lists."""
    import xxhash

    body = b"[" * 100_000
    line = b"cachingclient-inventory 1 %d %b\n" % (len(body), xxhash.xxh3_128_hexdigest(body).encode())
    scene.file("v1/inventory/new-00", line + body)


@craft
def inventory_has_rows_that_cannot_be(scene: Scene) -> None:
    """A description is noted with times and sizes that are none."""
    import numpy as np
    import xxhash

    from cachingclient.storage.columns import ROW

    rows = np.zeros(1, ROW)
    path = scene.file(f"v1/steps/{BAD[:2]}/{BAD}", b"x")
    rows["key"] = rows["own"] = np.frombuffer(bytes.fromhex(BAD), "V16")
    rows["inode"] = path.stat().st_ino
    rows["nbytes"], rows["created"], rows["seconds"] = -(2**63), np.nan, np.inf
    body = json.dumps([["result", 7, []]]).encode() + rows.tobytes()
    length = len(body) - rows.nbytes
    line = b"cachingclient-inventory 1 %d %b\n" % (length, xxhash.xxh3_128_hexdigest(body).encode())
    scene.file("v1/inventory/new-00", line + body)
