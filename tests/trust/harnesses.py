"""What is fuzzed: functions of bytes that anyone may have written, each with inputs that are right."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import awkward as ak
import hist
import numpy as np
import pandas as pd
import pyarrow as pa
import xxhash

from cachingclient.dirac.api import dirac8_rpc, parse
from cachingclient.dirac.api.errors import DiracError
from cachingclient.hashing.inputs.trace import Surroundings, Trace
from cachingclient.plan.trace_in_words import in_words
from cachingclient.plan.variants import trace_of
from cachingclient.storage import EntryInfo, encode, open_store
from cachingclient.storage.codecs import DataOnlyError, NewerCodecError, decode
from cachingclient.storage.description import loads
from cachingclient.storage.entry import FORMAT, MAGIC, DamagedEntryError, _digest, describe, outline, pack, unpack
from cachingclient.storage.files import inventory
from cachingclient.storage.files.webdav import listed
from cachingclient.storage.limits import UnsafeError
from cachingclient.storage.rucio import pack_format
from cachingclient.storage.wrappers import signed
from cachingclient.storage.wrappers.keys import SecretKey
from cachingclient.tunnel import relay
from tests.support.entries import entry

KEY = "0f" * 16
VALUES: dict[str, Any] = {
    "containers": {"a": [1, (2.5, None)], "b": {frozenset({1, 2}): b"x" * 300}, "c": 1j, "d": {3, 4}},
    "numpy": np.arange(10.0).reshape(2, 5),
    "records": np.zeros(3, [("a", "i4"), ("b", "S3", (2,))]),
    "masked": np.ma.masked_array([1, 2, 3], [True, False, False]),
    "awkward": ak.Array([[1.5, 2.5], [], [{"x": "text"}, None]]),
    "table": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
    "arrow": pa.table({"a": [1, None], "b": ["x", "y"]}),
    "histogram": hist.Hist.new.Reg(5, 0, 1).StrCat(["a", "b"]).Double().fill([0.1], ["a"]),
}
KEPT = entry([1, 2, "abc"], KEY, user="ada", observed={"read": {"/data/a": ["file", 5, 7, None, None]}, "folder": "/x"})
SIGNED = signed.SignedStore(open_store("memory://fuzz"), [SecretKey(b"k" * 40)], {})


def payload(data: bytes) -> None:
    """Decode what others may have written, and look at it."""
    with contextlib.suppress(UnsafeError, DataOnlyError, NewerCodecError, LookupError, MemoryError):
        repr(decode(data, data_only=True))


def description(data: bytes) -> None:
    """Read a description whose digest fits, and all that other rooms take from it."""
    length = data.find(b"}}") + 2 if b"}}" in data else len(data)
    whole = b"%b%d %b %d\n%b" % (MAGIC, FORMAT, _digest(length, data), length, data)
    with contextlib.suppress(DamagedEntryError):
        outline(KEY, whole)
        info = unpack(KEY, whole)
        if info is not None:
            SIGNED._believes(info)
            with contextlib.suppress(ValueError):
                list(in_words(trace_of(info)))


def raw_description(data: bytes) -> None:
    """Read what should be a description."""
    with contextlib.suppress(DamagedEntryError):
        unpack(KEY, data)
    with contextlib.suppress(DamagedEntryError):
        outline(KEY, data)


def trace(data: bytes) -> None:
    """Read a trace, and put it beside another."""
    with contextlib.suppress(ValueError, RecursionError):
        fields = loads(data)
        with contextlib.suppress(ValueError):
            found = Trace.of_json(fields)
            found.digest(), list(in_words(found))
            Surroundings().difference(Trace(variables=found.variables, folder=found.folder, classes=found.classes))
            with contextlib.suppress(ValueError):
                found.after([found])


def signature(data: bytes) -> None:
    """Look whether a signature is believed, whatever its details are."""
    with contextlib.suppress(ValueError, RecursionError):
        details = loads(data)
        if isinstance(details, dict):
            info = EntryInfo(KEY, "result", "x", "numpy", KEY, 8, 0.0, 1.0, {"codecs": {}, "signature": details})
            assert not SIGNED._believes(info)


def index(data: bytes) -> None:
    """Read the index of a pack."""
    head, _, body = data.partition(b"\n")
    with contextlib.suppress(DamagedEntryError):
        list(pack_format.read_index(data))
    with contextlib.suppress(DamagedEntryError):
        number = head.rpartition(b" ")[2]
        digest = xxhash.xxh3_128_hexdigest(body + number).encode()
        list(pack_format.read_index(b"%b%d %b %b\n%b" % (pack_format.MAGIC, pack_format.FORMAT, digest, number, body)))


class _OneFile:
    url = "file:///fuzz"

    def __init__(self, content: bytes) -> None:
        self.content = content

    def fetch(self, names: list[str]) -> dict[str, bytes]:
        return dict.fromkeys(names, self.content)


def rows(data: bytes) -> None:
    """Read a file of the inventory."""
    length = data.find(b"]]") + 2
    head = b"%d %b\n" % (length, xxhash.xxh3_128_hexdigest(data).encode())
    inventory.Inventory(_OneFile(inventory.MAGIC + head + data), lambda names: ())._load("x")  # type: ignore[arg-type]


def reply(data: bytes) -> None:
    """Read what a DIRAC server answers."""
    with contextlib.suppress(DiracError):
        value = dirac8_rpc.decode("job", data)
        for read in (parse.an_id, parse.a_time, parse.a_sandbox, parse.a_list):
            with contextlib.suppress(DiracError):
                read("job", value)
        for number, fields in parse.a_dict("jobs", value).items():
            with contextlib.suppress(DiracError):
                parse.a_job(number, fields)


def listing(data: bytes) -> None:
    """Read what a WebDAV server answers to a listing."""
    with contextlib.suppress(ValueError):
        listed(data)


def frame(data: bytes) -> None:
    """Hear what comes to a relay from somebody without a token."""
    with contextlib.suppress(ValueError, RecursionError):
        message = json.loads(data)
        if isinstance(message, dict):
            heard = relay.Relay.__new__(relay.Relay)
            heard.secret, heard.workers, heard._proven = "secret", {}, set()
            heard._refuse = lambda *args, **options: None  # type: ignore[method-assign]
            heard._heard(_Nobody(), message, "peer")  # type: ignore[arg-type]


class _Nobody:
    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: None

    transport = property(lambda self: self)


JOBS = {
    "7": {"Status": "Running", "SubmissionTime": {"__dCls": "dt", "obj": "2026-11-20 10:00:00"}, "Site": "LCG.CERN"}
}
LISTING = b"""<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>/a/b</D:href><D:propstat><D:prop>
<D:getcontentlength>5</D:getcontentlength><D:getlastmodified>Fri, 20 Nov 2026 10:00:00 GMT</D:getlastmodified>
<D:resourcetype><D:collection/></D:resourcetype></D:prop></D:propstat></D:response></D:multistatus>"""
DESCRIPTION = pack(describe(KEPT, b"".join(KEPT.encoded.frames)))
INDEX = pack_format.write_index([])
HARNESSES: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "payload": (payload, [b"".join(encode(value, data_only=True).frames) for value in VALUES.values()]),
    "description": (description, [DESCRIPTION.partition(b"\n")[2]]),
    "raw description": (raw_description, [DESCRIPTION]),
    "trace": (
        trace,
        [json.dumps(KEPT.details["observed"]).encode(), b'{"variables":{"A":null},"classes":{"m:C":"0f"}}'],
    ),
    "signature": (signature, [b'{"key":"hmac-1","signature":"%b","gcm":"%b"}' % (b"0f" * 32, b"0f" * 32)]),
    "index": (index, [INDEX, b"x 1\n" + pack_format.RECORD.pack(bytes(16), 0, 3) + b"abc"]),
    "inventory": (rows, [b'[["result","x","numpy"]]' + bytes(200)]),
    "DIRAC reply": (reply, [json.dumps(JOBS).encode()]),
    "HTTP listing": (listing, [LISTING]),
    "tunnel frame": (frame, [b'{"worker":"w","token":"t","run":"r","port":7}', b'{"take":"7"}', b'{"beat":1}']),
}
