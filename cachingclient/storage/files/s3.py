"""A folder in an S3 bucket, through s3fs's own connection pool and credentials.

Requests go out together, up to ``CONCURRENT`` at once. Looking many keys up starts with listing: one request names a
thousand files, and most keys of a first run are missing.

Notes
-----
A file is created with ``If-None-Match: *``, which AWS, Ceph and moto honour; a server that ignores it lets the last
of several racing writers win, with a result that is as good.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import xxhash
from fsspec import AbstractFileSystem
from fsspec.asyn import sync

from cachingclient.storage.files import s3_multipart as multipart
from cachingclient.storage.files.folder import MOST_FETCHED, ChangedError, FileStat
from cachingclient.storage.files.fsspec_folder import RemoteFolder
from cachingclient.storage.files.layout import STEPS
from cachingclient.storage.files.s3_obstore import reader
from cachingclient.storage.model import Frame, StoreUnavailable
from cachingclient.storage.options import names_taken
from cachingclient.warn_once import warn_user

T = TypeVar("T")

CONCURRENT = 64
LIST_FROM = 200  # keys looked up at once, from which on listing first is cheaper
MANY = 50  # files read at once, from which on it is worth looking for a faster reader
MOST_PAGES = 4  # of a thousand names, listed of one folder before files are asked for one by one
MOST_COPIED = 1 << 30  # bytes to be copied at one request: servers take up to 5 GB, and slow ones take their time
PATIENCE = {
    "connect_timeout": 5,
    "read_timeout": 20,
    "retries": {"max_attempts": 2},
    "max_pool_connections": CONCURRENT,
}


class S3Folder(RemoteFolder):
    """Files below ``s3://bucket/prefix``; options are those of ``s3fs.S3FileSystem``."""

    latency = 0.01
    bandwidth = 2e8

    def __init__(self, url: str, **options: Any) -> None:
        options["config_kwargs"] = {**PATIENCE, **options.get("config_kwargs", {})}
        super().__init__(url, **options)
        self.fs.retries = 1  # botocore's own are enough: five times each of these is a quarter of an hour
        self.bucket, _, self._prefix = self.root.partition("/")
        self._conditional = True
        self._asked_for_fast = False
        self._fast: Callable[[str], Coroutine[Any, Any, bytes | None]] | None = None
        self._check_bucket()

    def options_of(self, file_system: type[AbstractFileSystem]) -> set[str]:
        """As that of any file system, and what s3fs hands on to its session, such as ``profile``."""
        from aiobotocore.session import AioSession

        return super().options_of(file_system) | names_taken(AioSession)

    def _check_bucket(self) -> None:
        """A bucket that does not exist would else look like an empty one."""
        try:
            with self._asking():
                self._run(self._call("list_objects_v2", Prefix=self._key("v1/"), MaxKeys=1))
        except FileNotFoundError:
            raise StoreUnavailable(f"{self.url}: there is no bucket {self.bucket!r}") from None

    def fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        with self._asking():
            return self._run(self._fetch(names))

    async def _fetch(self, names: Sequence[str]) -> dict[str, bytes]:
        candidates = await self._listed(names) if len(names) >= LIST_FROM else names
        fast = await self._fast_reader() if len(candidates) >= MANY else None
        get = (lambda name: fast(self._key(name))) if fast else self._get
        contents = await self._together(get, candidates)
        return {name: data for name, data in zip(candidates, contents, strict=True) if data is not None}

    async def _fast_reader(self) -> Callable[[str], Coroutine[Any, Any, bytes | None]] | None:
        if not self._asked_for_fast:
            self._asked_for_fast = True
            self._fast = await reader(self.fs, self.bucket)
        return self._fast

    async def _listed(self, names: Sequence[str]) -> list[str]:
        """Those of the names that listings show, and those that lie beyond the pages that were listed."""
        found, beyond = await self._listed_in(STEPS, set(names))  # a small store is listed in a few requests
        shards = defaultdict(set)
        for name in beyond:
            shards[name.rpartition("/")[0]].add(name)
        for there, unknown in await self._together(lambda shard: self._listed_in(shard, shards[shard]), list(shards)):
            found |= there | unknown
        return sorted(found)

    async def _listed_in(self, folder: str, wanted: set[str]) -> tuple[set[str], set[str]]:
        """Of the wanted names: those in the first pages of a listing, and those that come after these."""
        found: set[str] = set()
        last = ""
        async for page in self._pages(f"{folder}/", MOST_PAGES):
            names = [self._name(item["Key"]) for item in page.get("Contents", ())]
            found |= wanted.intersection(names)
            last = names[-1] if names and page.get("IsTruncated") else ""
        return found, {name for name in wanted if last and name > last}

    async def _pages(self, prefix: str, most: int | None = None) -> AsyncIterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while most is None or most > 0:
            page = await self._call("list_objects_v2", Prefix=self._key(prefix), **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}
            most = None if most is None else most - 1

    async def _get(self, name: str) -> bytes | None:
        try:
            response = await self._call("get_object", Key=self._key(name))
        except FileNotFoundError:
            return None
        async with response["Body"] as body:
            return await body.read() if response["ContentLength"] <= MOST_FETCHED else b""

    def open(self, name: str, nbytes: int | None = None) -> Frame:
        with self._asking():
            return self._run(self._open(name, nbytes))

    async def _open(self, name: str, nbytes: int | None) -> Frame:
        if nbytes is None:
            nbytes = (await self._call("head_object", Key=self._key(name)))["ContentLength"]
        memory = memoryview(bytearray(nbytes))

        async def read_part(start: int) -> int:
            stop = min(start + multipart.PART, nbytes)
            response = await self._call("get_object", Key=self._key(name), Range=f"bytes={start}-{stop - 1}")
            position = start
            async with response["Body"] as body:
                async for chunk in body.iter_chunks(1 << 20):
                    chunk = chunk[: stop - position]
                    memory[position : position + len(chunk)] = chunk
                    position += len(chunk)
            return position - start

        got = await self._together(read_part, range(0, nbytes, multipart.PART))
        return memory if sum(got) == nbytes else memory[: sum(got)]

    def put(self, names: Sequence[str], frames: Iterable[Frame], *, digest: str = "", overwrite: bool = False) -> bool:
        try:
            with self._asking():
                return self._run(self._put(names, list(frames), digest, overwrite))
        except StoreUnavailable as error:
            if isinstance(error.__cause__, PermissionError) and not self.read_only:
                self.read_only = True
                warn_user(f"nothing will be kept: {error}")
            raise

    async def _put(self, names: Sequence[str], frames: list[Frame], digest: str, overwrite: bool) -> bool:
        if sum(frame.nbytes for frame in frames) >= 2 * multipart.PART:  # as s3fs does: parts cost requests
            await multipart.send(self._call, self._key(names[0]), frames, digest)
            return True
        data = b"".join(frames)
        if digest and xxhash.xxh3_128_hexdigest(data) != digest:
            raise ChangedError
        ours = await self._together(lambda name: self._create_one(name, data, overwrite), names)
        return ours[0]

    async def _create_one(self, name: str, data: bytes, overwrite: bool) -> bool:
        condition = {} if overwrite or not self._conditional else {"IfNoneMatch": "*"}
        try:
            await self._call("put_object", Key=self._key(name), Body=data, **condition)
        except (OSError, NotImplementedError) as error:
            reason = f"{error!r} {error.__cause__!r}"
            if isinstance(error, FileExistsError) or "PreconditionFailed" in reason or "ConditionalRequest" in reason:
                return False
            if condition and "NotImplemented" in reason:
                self._conditional = False
                return await self._create_one(name, data, overwrite)
            raise
        return True

    def stat(self, names: Sequence[str]) -> dict[str, FileStat]:
        with self._asking():
            found = self._run(self._together(self._stat_one, names))
        return {status.name: status for status in found if status is not None}

    async def _stat_one(self, name: str) -> FileStat | None:
        try:
            head = await self._call("head_object", Key=self._key(name))
        except FileNotFoundError:
            return None
        return FileStat(name, head["ContentLength"], head["LastModified"].timestamp())

    def remove(self, names: Sequence[str]) -> int:
        there = self.stat(names)
        self._remove(list(there))
        return sum(status.nbytes for status in there.values())

    def _remove(self, names: Sequence[str]) -> None:
        with self._asking():
            for start in range(0, len(names), 1000):
                doomed = {"Objects": [{"Key": self._key(name)} for name in names[start : start + 1000]], "Quiet": True}
                answer = self._run(self._call("delete_objects", Delete=doomed))
                for error in answer.get("Errors", ()):  # which is a success to the protocol
                    raise StoreUnavailable(f"{self.url}: {error['Key']} can't be removed: {error.get('Code')}")

    def walk(self, prefix: str) -> Iterator[FileStat]:
        pages = self._pages(f"{prefix}/")
        while True:
            with self._asking():
                page: dict[str, Any] | None = self._run(_next(pages))
            if page is None:
                return
            for item in page.get("Contents", ()):
                yield FileStat(self._name(item["Key"]), item["Size"], item["LastModified"].timestamp())

    def move(self, name: str, new: str) -> None:
        if not self.move_all({name: new}):
            raise FileNotFoundError(self._path(name))

    def move_all(self, names: Mapping[str, str]) -> list[str]:
        with self._asking():
            copied = self._run(self._together(self._copy, list(names.items())))
        moved = [name for name, there in zip(names, copied, strict=True) if there]
        self._remove(moved)
        return moved

    async def _copy(self, names: tuple[str, str]) -> bool:
        """Copy a file within the server; False if it is not there."""
        name, new = names
        there = await self._stat_one(name)
        source = {"Bucket": self.bucket, "Key": self._key(name)}
        if there is not None and there.nbytes > MOST_COPIED:
            await multipart.copy(self._call, source, self._key(new), there.nbytes)
        elif there is not None:
            await self._call("copy_object", Key=self._key(new), CopySource=source)
        return there is not None

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _name(self, key: str) -> str:
        return key[len(self._prefix) + 1 :] if self._prefix else key

    def _call(self, method: str, **arguments: Any) -> Awaitable[Any]:
        return self.fs._call_s3(method, Bucket=self.bucket, **arguments)

    def _run(self, work: Awaitable[T] | Coroutine[Any, Any, T]) -> T:
        return sync(self.fs.loop, _awaited, work)

    async def _together(self, action: Callable[[Any], Awaitable[T]], items: Sequence[Any]) -> list[T]:
        """Run an action on each item, so many at once that the server is busy and not more."""
        places = asyncio.Semaphore(CONCURRENT)

        async def run(item: Any) -> T:
            async with places:
                return await action(item)

        return list(await asyncio.gather(*map(run, items)))


async def _awaited(work: Awaitable[T]) -> T:
    return await work


async def _next(pages: AsyncIterator[T]) -> T | None:
    return await anext(pages, None)
