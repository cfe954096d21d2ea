"""The fields of a description, from JSON that anyone may have written to types that can hold nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from cachingclient.storage.model import EntryInfo
from cachingclient.storage.names import Digest, Key

DEEPEST = 100
LATEST = 1e11  # unix time, in the year 5138
LONGEST_NAME = 10_000
MOST_BYTES = 1 << 60
MOST_KEYS = 1000
_is_codec = re.compile("[a-z_0-9]{1,40}").fullmatch  # later versions may have others than are known here
_is_code = re.compile("([0-9a-f]{32})?").fullmatch
_is_hex = re.compile("([0-9a-f]{2})*").fullmatch
_brackets = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')


def parse(key: str, body: bytes, payload: bytes, last_used: float) -> EntryInfo:
    """Return the description that JSON states for the entry with a key.

    Raises
    ------
    AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError
        A field is missing, or is not what such a field is.
    """
    fields = loads(body)
    keys = fields["keys"]
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_KEYS:
        raise ValueError("keys")
    return EntryInfo(
        Key(key),
        _text(fields, "kind"),
        _text(fields, "name"),
        _codec(fields["codec"]),
        Digest(fields["digest"]),
        _size(fields["nbytes"]),
        _seconds(fields, "created"),
        _seconds(fields, "seconds"),
        _details(fields["details"]),
        payload if fields["inline"] else None,
        tuple(map(Key, keys)),
        last_used,
    )


def loads(body: bytes, deepest: int = DEEPEST) -> Any:
    """Read JSON that is not too deep to be written again. Raises ValueError.

    Examples
    --------
    >>> loads(b"[" * 200 + b"]" * 200)
    Traceback (most recent call last):
    ValueError: its JSON is more than 100 deep
    """
    if body.count(b"[") + body.count(b"{") > deepest and _depth(body) > deepest:
        raise ValueError(f"its JSON is more than {deepest} deep")
    return json.loads(body.decode())  # bytes would be searched for other encodings first


def _depth(body: bytes) -> int:
    depth = deepest = 0
    for match in _brackets.finditer(body):
        if match[0] in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif match[0] in b"]}":
            depth -= 1
    return deepest


def _text(fields: dict[str, Any], name: str) -> str:
    text = fields[name]
    if not isinstance(text, str) or len(text) > LONGEST_NAME:
        raise ValueError(name)
    text.encode()  # half a character can't be printed
    return text


def _codec(name: Any) -> str:
    if not isinstance(name, str) or not _is_codec(name):
        raise ValueError("codec")
    return name


def _size(nbytes: Any) -> int:
    if type(nbytes) is not int or not 0 <= nbytes <= MOST_BYTES:
        raise ValueError("nbytes")
    return nbytes


def _seconds(fields: dict[str, Any], name: str) -> float:
    seconds = float(fields[name])
    if not 0 <= seconds <= LATEST:
        raise ValueError(name)
    return seconds


def _details(details: Any) -> dict[str, Any]:
    if not isinstance(details, dict):
        raise TypeError("details")
    codecs, libraries = details["codecs"], details.setdefault("libraries", {})
    if not all(_is_codec(name) and type(version) is int for name, version in codecs.items()):
        raise TypeError("codecs")
    if not all(type(version) is str for version in libraries.values()):
        raise TypeError("libraries")
    for name, is_right in _KNOWN.items():
        if name in details and not is_right(details[name]):
            raise TypeError(name)
    return details


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_NAME


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _are_ingredients(value: Any) -> bool:
    return _are_texts(value) and all(bool(_is_hex(each[1:])) for each in value.values() if each.startswith("="))


_KNOWN: dict[str, Callable[[Any], bool]] = {
    "arguments": lambda value: isinstance(value, list) and all(isinstance(e, str) and bool(_is_hex(e)) for e in value),
    "classes": _are_texts,
    "code": lambda value: value is None or (isinstance(value, str) and bool(_is_code(value))),
    "expires": lambda value: type(value) is float and value >= 0,
    "host": _is_text,
    "ingredients": _are_ingredients,
    "observed": lambda value: isinstance(value, dict),
    "peak": lambda value: type(value) is int and 0 <= value <= MOST_BYTES,
    "site": _is_text,
    "type": _is_text,
    "unseen": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
}
"""The details that other rooms know, each with what it must be; they may hold others."""
