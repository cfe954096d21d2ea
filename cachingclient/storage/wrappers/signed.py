"""Entries that are signed, for stores that others can write to.

Loading a pickle runs code, so whoever can write to a store could run code as everyone who reads from it. A
:class:`SignedStore` only believes entries that a known key has signed. The signature covers the description and a
seal of the result's bytes (`seals.py`), and with them the keys under which it is filed. `keys.py` has the keys.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cachingclient.storage.base import Store
from cachingclient.storage.entry import describe
from cachingclient.storage.model import Entry, EntryInfo, EntryLost, Frame, under
from cachingclient.storage.wrappers.keys import Key
from cachingclient.storage.wrappers.seals import DIGEST, TAG, fits, seal, stated_seal
from cachingclient.storage.wrappers.wrapper import Wrapper

logger = logging.getLogger("cachingclient")


_is_hex = re.compile("[0-9a-f]{64,128}").fullmatch
DOMAIN = b"cachingclient signed entry 1\n"  # so that no signature of these keys for anything else is one of an entry
ADDED = frozenset({"signature", "codecs", "libraries", "place"})


class SignedStore(Wrapper):
    """A store whose entries are believed only if one of these keys signed them.

    Parameters
    ----------
    inner
        The store that keeps them.
    keys
        Key files. The first that can sign signs what is written; without one nothing is written.

    Notes
    -----
    An entry that is not signed is a miss. Whoever can write to the store can still remove entries, or put back an
    older signed entry under its own keys, which is the result of the same step.
    """

    def __init__(self, inner: Store, keys: Iterable[Key], options: Mapping[str, Any]) -> None:
        self._inner = inner
        self.url, self.options = inner.url, dict(options)
        # A ring may hold both halves of a key: the one that signs verifies as well.
        self._keys = {key.name: key for key in sorted(keys, key=lambda key: key.can_sign)}
        self._signer = next((key for key in self._keys.values() if key.can_sign), None)
        if not self._keys:
            raise ValueError("trust='signed' takes signing_key=FILE, or several files")

    @property
    def inner(self) -> Store:
        return self._inner

    @property
    def trust(self) -> str:  # type: ignore[override]
        return "signed"

    @property
    def read_only(self) -> bool:  # type: ignore[override]
        return self.inner.read_only or self._signer is None

    def find(self, keys: Iterable[str]) -> dict[str, EntryInfo]:
        found = self.inner.find(keys)
        believed = {key: info for key, info in found.items() if self._believes(info)}
        if len(believed) < len(found):
            logger.warning("%d entries of %s are not signed by a known key", len(found) - len(believed), self.url)
        return believed

    def payload(self, info: EntryInfo) -> bytes | Frame:
        if not self._believes(info):
            raise EntryLost(info.key, "it is not signed by a known key")
        payload = self.inner.payload(info)
        stated = info.details["signature"]
        if not fits(stated, memoryview(payload), self._keys[stated["key"]]):
            raise EntryLost(info.key, "its bytes are not those that were signed")
        return payload

    def slim(self, info: EntryInfo) -> EntryInfo:
        return info  # the signature is over all of it

    def write(self, entry: Entry, *, overwrite: bool = False) -> bool:
        signed = entry if self._believes(describe(entry, None)) else self._signed(entry)
        if signed is None:
            return False
        # An unsigned entry is worth nothing to us, so it does not stand in the way.
        there = self.inner.find(entry.keys[:1]).get(entry.keys[0])
        return self.inner.write(signed, overwrite=overwrite or (there is not None and not self._believes(there)))

    @property
    def packs(self) -> bool:  # type: ignore[override]
        return self.inner.packs and not self.read_only

    def write_together(self, entries: Sequence[Entry]) -> list[bool]:
        signed = [self._signed(entry) if self.packs else None for entry in entries]
        kept = iter(self.inner.write_together([entry for entry in signed if entry is not None]))
        return [entry is not None and next(kept) for entry in signed]

    def alias_together(self, entries: Sequence[tuple[EntryInfo, str]]) -> list[bool]:
        signed = [(self._signed_under(key, info) if self.packs else None, key) for info, key in entries]
        kept = iter(self.inner.alias_together([(info, key) for info, key in signed if info is not None]))
        return [info is not None and next(kept) for info, _ in signed]

    def signers(self) -> Counter[str]:
        """How many entries there are by the key that signed them; those that no known key signed are of none."""
        return Counter(info.details["signature"]["key"] if self._believes(info) else "" for info in self.inner.scan())

    def _signed(self, entry: Entry) -> Entry | None:
        """The entry with our signature, if we can sign."""
        if self._signer is None:
            return None
        facts = _facts(
            (*entry.keys, *entry.later),
            entry.kind,
            entry.name,
            entry.encoded.codec,
            entry.encoded.digest,
            entry.encoded.nbytes,
        )
        signature = self._sign(facts, entry.details, seal(entry.encoded.frames, self._signer))
        return replace(entry, details={**entry.details, "signature": signature})

    def alias(self, info: EntryInfo, keys: Iterable[str], *, overwrite: bool = False) -> int:
        signed = ((key, self._signed_under(key, info)) for key in keys)
        return sum(self.inner.alias(each, [key], overwrite=overwrite) for key, each in signed if each is not None)

    def _signed_under(self, key: str, info: EntryInfo) -> EntryInfo | None:
        """The description of an entry with our signature for one more key, if we can sign and it is what is stored."""
        # Its details may be the caller's, such as what a whole chain of steps read: the seal is that of what is stored.
        stored = info if self._believes(info) else self.find([info.key]).get(info.key)
        if self._signer is None or stored is None or (stored.digest, stored.nbytes) != (info.digest, info.nbytes):
            return None
        facts = _facts(under(key, info).keys, info.kind, info.name, info.codec, info.digest, info.nbytes)
        return replace(
            info, details={**info.details, "signature": self._sign(facts, info.details, self._sealed(stored))}
        )

    def _sealed(self, info: EntryInfo) -> dict[str, str]:
        """The seal of an entry that is believed, which our key may be another than that of."""
        stated = info.details["signature"]
        assert self._signer is not None
        if stated["key"] == self._signer.name or stated_seal(stated)[0] != TAG:
            return dict([stated_seal(stated)])
        return seal([memoryview(self.payload(info))], self._signer)

    def _sign(self, facts: dict[str, Any], details: Mapping[str, Any], sealed: dict[str, str]) -> dict[str, str]:
        assert self._signer is not None
        message = _message(facts, details, *stated_seal(sealed))
        return {"key": self._signer.name, **sealed, "signature": self._signer.sign(message).hex()}

    def _believes(self, info: EntryInfo) -> bool:
        stated = info.details.get("signature")
        if not isinstance(stated, dict) or not all(isinstance(stated.get(each), str) for each in ("key", "signature")):
            return False
        key = self._keys.get(stated["key"])
        if key is None or not _is_hex(stated["signature"]):
            return False
        facts = _facts(info.keys, info.kind, info.name, info.codec, info.digest, info.nbytes)
        try:
            message = _message(facts, info.details, *stated_seal(stated))
        except ValueError:
            return False
        return key.verifies(message, bytes.fromhex(stated["signature"]))


def _facts(keys: Iterable[str], kind: str, name: str, codec: str, digest: str, nbytes: int) -> dict[str, Any]:
    return {"keys": list(keys), "kind": kind, "name": name, "codec": codec, "digest": digest, "nbytes": nbytes}


def _message(facts: dict[str, Any], details: Mapping[str, Any], kind: str, sealed: str) -> bytes:
    """The signed bytes: all fields but those that the store adds, which tell where and how to read the result."""
    sha256 = sealed if kind == DIGEST else f"{kind} {sealed}"
    rest = {name: value for name, value in details.items() if name not in ADDED}
    return DOMAIN + json.dumps([facts, rest, sha256], sort_keys=True).encode()
