"""How bytes go to S3 and come from there: large files in parts, many small ones through obstore, if it is installed.

obstore reads small files several times faster than s3fs. Endpoint and credentials are those that s3fs has worked out,
with its profiles, roles and environment; where its settings ask for more than these (certificates, proxies, requester
pays), s3fs itself is used.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

from cachingclient.storage.base import Frame

PLAIN = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "endpoint_url", "region_name", "use_ssl"}


async def reader(fs: Any, bucket: str) -> Callable[[str], Coroutine[Any, Any, bytes | None]] | None:
    """Return a function that reads a key, or None for a missing one; None where s3fs has to do it."""
    try:
        import obstore
        from obstore.exceptions import NotFoundError
        from obstore.store import S3Store
    except ImportError:
        return None
    plain = set(fs.client_kwargs) <= PLAIN and not fs.req_kw and "proxies" not in fs.config_kwargs
    provider = None if fs.anon or not plain else await _credentials(fs)
    if provider is None:
        return None
    endpoint = fs.s3.meta.endpoint_url
    store = S3Store(
        bucket,
        endpoint=endpoint,
        region=fs.s3.meta.region_name or "us-east-1",
        client_options={"allow_http": endpoint.startswith("http:"), "connect_timeout": "5s", "timeout": "60s"},
        credential_provider=provider,
    )

    async def read(key: str) -> bytes | None:
        try:
            answer = await obstore.get_async(store, key)
            return bytes(await answer.bytes_async())
        except (NotFoundError, FileNotFoundError):
            return None

    return read


async def _credentials(fs: Any) -> Any:
    """What gives obstore the credentials of s3fs, again whenever they expire."""
    found = None if fs.key else await fs.session.get_credentials()
    if found is None and not fs.key:
        return None

    async def current() -> dict[str, Any]:
        frozen = await found.get_frozen_credentials() if found else None
        return {
            "access_key_id": frozen.access_key if frozen else fs.key,
            "secret_access_key": frozen.secret_key if frozen else fs.secret,
            "token": frozen.token if frozen else fs.token,
            "expires_at": getattr(found, "_expiry_time", None),
        }

    return current


def parts(frames: Iterable[Frame], size: int) -> Iterator[bytes]:
    """Cut the row of frames into parts of one size.

    Examples
    --------
    >>> list(parts([memoryview(b"abc"), memoryview(b"defg")], 3))
    [b'abc', b'def', b'g']
    """
    part: list[Frame] = []
    room = size
    for frame in frames:
        start = 0
        while start < frame.nbytes:
            piece = frame[start : start + room]
            part.append(piece)
            start += piece.nbytes
            room -= piece.nbytes
            if not room:
                yield b"".join(part)
                part, room = [], size
    if part:
        yield b"".join(part)
