"""Many small files of S3 read through obstore, if it is installed: it takes a fifth of the time that s3fs takes.

Endpoint and credentials are those that s3fs has worked out, with its profiles, roles and environment. If the settings
of s3fs ask for more than these (certificates, proxies, requester pays), s3fs reads. It also does everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from cachingclient.storage.files.folder import MOST_FETCHED

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
            return bytes(await answer.bytes_async()) if answer.meta["size"] <= MOST_FETCHED else b""
        except (NotFoundError, FileNotFoundError):
            return None

    return read


async def _credentials(fs: Any) -> Any:
    """A function that gives obstore the credentials of s3fs, again whenever they expire."""
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
