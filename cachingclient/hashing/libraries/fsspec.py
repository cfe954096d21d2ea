"""fsspec: file systems by protocol and options, files of theirs as inputs; secrets stay out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cachingclient.hashing.digest import frame
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.libraries.stdlib import refuse
from cachingclient.hashing.objects import encode_input, encode_unordered
from cachingclient.hashing.registry import register_hasher

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_SECRET = re.compile(
    r"^key$|secret|token|passw|credential|account_key|access_key|api_key|auth|session|cert", re.IGNORECASE
)
_OF_THE_PROCESS = frozenset(
    {"loop", "asynchronous", "skip_instance_cache", "use_listings_cache", "listings_expiry_time"}
)

refuse("fsspec.spec.AbstractBufferedFile", "an open remote file")
refuse("fsspec.implementations.local.LocalFileOpener", "an open file")


@register_hasher("fsspec.spec.AbstractFileSystem", subclasses=True)
def encode_filesystem(filesystem: Any, walk: Walk) -> bytes:
    """Return the encoding of a file system by where it is, whoever has the key to it."""
    options = without_secrets(dict(filesystem.storage_options))
    return encode_unordered([filesystem.protocol, filesystem.storage_args, options], walk)


@register_hasher("fsspec.core.OpenFile", subclasses=True)
def encode_open_file(file: Any, walk: Walk) -> bytes:
    """Return the encoding of a file that is opened later, as an input of the step."""
    how = (file.mode, file.compression, file.encoding, file.errors, file.newline)
    return frame(b"(", [walk.encode(file.fs), _input(file.fs, file.path, walk, "r" in file.mode), walk.encode(how)])


@register_hasher("fsspec.mapping.FSMap", subclasses=True)
def encode_mapping(mapping: Any, walk: Walk) -> bytes:
    """Return the encoding of a folder seen as a mapping, as the input it is."""
    return frame(b"(", [walk.encode(mapping.fs), _input(mapping.fs, mapping.root, walk, True)])


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by name without what grants access, nested ones included.

    Examples
    --------
    >>> without_secrets({"secret": "x", "client_kwargs": {"endpoint_url": "http://a", "aws_session_token": "y"}})
    {'client_kwargs': {'endpoint_url': 'http://a'}}
    """
    return {
        name: without_secrets(value) if isinstance(value, Mapping) else value
        for name, value in sorted(options.items())
        if not _SECRET.search(name) and name not in _OF_THE_PROCESS
    }


def _input(filesystem: Any, path: str, walk: Walk, must_exist: bool) -> bytes:
    url = filesystem.unstrip_protocol(path)
    found = walk.inputs.of(url)
    if found is None and must_exist and walk.inputs.mode != "name":
        raise Unidentifiable(f"a file that can't be looked at, {url}")
    return encode_input(url, found, walk)
