"""Large files in S3: they are sent, and copied within the server, in parts that appear together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import xxhash

from cachingclient.storage.files.folder import ChangedError
from cachingclient.storage.model import Frame

PART = 50 << 20
AT_ONCE = 4  # parts: of those that are sent, so many are in memory
COPIED = 128 << 20  # bytes of a copy at one request, which a slow server must answer in time too

Call = Callable[..., Awaitable[Any]]  # a method of S3 by name, of one bucket


async def send(call: Call, key: str, frames: Iterable[Frame], digest: str) -> None:
    """Send a file, digesting the bytes that are sent."""
    state = xxhash.xxh3_128()
    places = asyncio.Semaphore(AT_ONCE)
    async with _upload(call, key) as (upload, sending):

        async def send_part(number: int, body: bytes) -> dict[str, Any]:
            try:
                sent = await call("upload_part", **upload, PartNumber=number, Body=body)
            finally:
                places.release()
            return {"PartNumber": number, "ETag": sent["ETag"]}

        for number, body in enumerate(parts(frames, PART), 1):
            state.update(body)
            await places.acquire()
            sending.append(asyncio.create_task(send_part(number, body)))
        await asyncio.gather(*sending)
        if digest and state.hexdigest() != digest:
            raise ChangedError


async def copy(call: Call, source: Mapping[str, str], key: str, nbytes: int) -> None:
    """Copy a file of this size."""
    places = asyncio.Semaphore(AT_ONCE)
    async with _upload(call, key) as (upload, copying):

        async def copy_part(number: int, start: int) -> dict[str, Any]:
            part = {"CopySource": source, "CopySourceRange": f"bytes={start}-{min(start + COPIED, nbytes) - 1}"}
            async with places:
                copied = await call("upload_part_copy", **upload, PartNumber=number, **part)
            return {"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]}

        starts = enumerate(range(0, nbytes, COPIED), 1)
        copying.extend(asyncio.create_task(copy_part(number, start)) for number, start in starts)


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


@asynccontextmanager
async def _upload(call: Call, key: str) -> AsyncIterator[tuple[dict[str, Any], list[asyncio.Task[dict[str, Any]]]]]:
    """Open an upload: its name, and the list of parts under way. The file appears when all parts have arrived."""
    upload = {"Key": key, "UploadId": (await call("create_multipart_upload", Key=key))["UploadId"]}
    tasks: list[asyncio.Task[dict[str, Any]]] = []
    try:
        yield upload, tasks
        await call("complete_multipart_upload", **upload, MultipartUpload={"Parts": await asyncio.gather(*tasks)})
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await call("abort_multipart_upload", **upload)
        raise
