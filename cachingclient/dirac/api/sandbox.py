"""Sandboxes: a few files in a compressed tar archive, made and opened in memory, so that none lies about."""

from __future__ import annotations

import io
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Mapping

from cachingclient.dirac.api.errors import DiracError, MalformedReply

# A sandbox of 100 MB, which servers take at most, may unpack to no more than this.
MAX_UNPACKED = 1_000_000_000
ZSTANDARD = b"\x28\xb5\x2f\xfd"


def pack(files: Mapping[str, bytes]) -> bytes:
    """An archive of files, executable by their owner, the same for the same files.

    Examples
    --------
    >>> unpack(pack({"start.sh": b"exec true"}))
    {'start.sh': b'exec true'}
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o700
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    """The regular files of an archive, by their path within it.

    Raises
    ------
    MalformedReply
        It is no archive, is damaged, or unpacks to too much.
    """
    if content.startswith(ZSTANDARD):
        content = _decompress(content)
    files: dict[str, bytes] = {}
    size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
            for member in archive:
                size += member.size
                if size > MAX_UNPACKED:
                    raise MalformedReply(f"a sandbox that unpacks to more than {MAX_UNPACKED:,} bytes")
                if member.isfile() and (file := archive.extractfile(member)):
                    files[posixpath.normpath(member.name)] = file.read()
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise MalformedReply(f"a sandbox that is no tar archive: {error}") from error
    return files


def _decompress(content: bytes) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise DiracError("this sandbox is compressed with Zstandard: pip install zstandard") from error
    try:
        with zstandard.ZstdDecompressor().stream_reader(content) as reader:
            plain: bytes = reader.read(MAX_UNPACKED + 1)
    except zstandard.ZstdError as error:
        raise MalformedReply(f"a damaged sandbox: {error}") from error
    return plain
