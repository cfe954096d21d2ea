"""What stores cost, each figure beside the raw one on the same disk or server in the same run.

::

    python -m benchmarks.stores                # local folder
    python -m benchmarks.stores s3 rucio       # also servers, started as the tests start them
    python -m benchmarks.stores small          # small results in packs, beside a file each
    python -m benchmarks.stores million        # a million small entries
    python -m benchmarks.stores blobs          # pruning a million entries that have blobs
    python -m benchmarks.stores agc            # the ttbar example on all three kinds of stores
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cachingclient.storage import Entry, Store, encode, open_store
from cachingclient.worker.writer import Job, Writer

MB = 1e6
REPEATS = 3
ENTRIES = {"small": 100_000, "million": 1_000_000, "blobs": 1_000_000}


def timed(action: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def show(what: str, figure: str, raw: str = "", ratio: float | None = None) -> None:
    """One line of the table."""
    print(f"{what:<58}{figure:>16}{raw:>22}{'' if ratio is None else f'{ratio:>8.0%}'}", flush=True)


def new_key() -> str:
    """A key that nothing has."""
    return os.urandom(16).hex()


def typical(key: str, value: object) -> Entry:
    """An entry with as many details as steps have."""
    arguments = [os.urandom(16).hex() for _ in range(6)]
    details = {"code": new_key(), "arguments": arguments, "upstream": [new_key()], "user": "ada", "host": "desk"}
    return Entry((key,), "result", "select_objects", 1.5, details, encode(value))


def large_values(megabytes: int, seed: int) -> Iterator[tuple[str, Any]]:
    """So much of each sort; a store keeps equal bytes once, so other bytes for another seed."""
    import awkward as ak
    import pandas as pd
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    flat = rng.random(megabytes * 125_000)
    yield "array", flat
    lists = megabytes * 25_000
    yield "awkward array", ak.unflatten(flat[: 4 * lists], np.full(lists, 4))
    columns = dict(zip("abcd", flat.reshape(4, -1), strict=True))
    yield "arrow table", pa.table(columns)
    yield "data frame", pd.DataFrame(columns)


def throughput(store: Store, raw_write: Callable[[bytes], Any], raw_read: Callable[[], Any], megabytes: int) -> None:
    """Save and load large values, against moving as many bytes raw. Medians of interleaved runs."""
    rounds: dict[tuple[str, int], list[tuple[float, float, float, float]]] = {}
    for seed in range(REPEATS):
        for name, value in large_values(megabytes, seed):
            nbytes = encode(value).nbytes
            times = _round(store, value, bytes(nbytes), raw_write, raw_read)
            rounds.setdefault((name, nbytes), []).append(times)
    for (name, nbytes), times in rounds.items():
        medians = [nbytes / MB / statistics.median(each) for each in zip(*times, strict=True)]
        raw_save, save, raw_load, load = medians
        size = f"{nbytes / MB:.0f} MB"
        show(f"save {name}, {size}", f"{save:.0f} MB/s", f"raw {raw_save:.0f} MB/s", save / raw_save)
        show(f"load {name}, {size}", f"{load:.0f} MB/s", f"raw {raw_load:.0f} MB/s", load / raw_load)


def _round(
    store: Store, value: Any, blob: bytes, raw_write: Callable[[bytes], Any], raw_read: Callable[[], Any]
) -> tuple[float, float, float, float]:
    """Seconds of a raw write, a save, a raw read and a load."""
    key = new_key()
    raw_save = timed(lambda: raw_write(blob))
    save = timed(lambda: store.write(Entry((key,), "result", "large", 1.5, {}, encode(value))))
    info = store.find([key])[key]
    raw_load = timed(raw_read)
    load = timed(lambda: _touched(store.read(info)))
    store.delete([key])
    return raw_save, save, raw_load, load


def _touched(value: Any) -> Any:
    """Read a byte of each page, so that mapped memory is really loaded."""
    if isinstance(value, np.ndarray):
        return value.view("u1")[::4096].sum()
    return value


def local(folder: Path, megabytes: int) -> None:
    """A folder on the local disk."""
    store = open_store(folder / "store", verify="always")
    file = folder / "raw"

    def raw_write(blob: bytes) -> None:
        file.unlink(missing_ok=True)
        file.write_bytes(blob)

    throughput(store, raw_write, lambda: np.fromfile(file, "u1"), megabytes)
    file.unlink()
    keys = [new_key() for _ in range(10_000)]
    write = timed(lambda: [store.write(typical(key, 3.5)) for key in keys])
    show("write a small entry", f"{write * 100:.0f} us")
    raw = timed(lambda: [(folder / "store/v1/steps" / key[:2] / key).read_bytes() for key in keys])
    hit, miss = timed(lambda: store.find(keys)), timed(lambda: store.find([new_key() for _ in keys]))
    show("find 10,000 that are there", f"{hit:.3f} s", f"only read {raw:.3f} s")
    show("find 10,000 that are not", f"{miss:.3f} s")


@contextmanager
def _s3(folder: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    from tests.services.s3 import best_available

    with best_available(folder) as service:
        service.make_bucket("bench")
        yield service, service.options


def s3(folder: Path, megabytes: int) -> None:
    """A bucket of Ceph's gateway, or moto's."""
    import s3fs

    with _s3(folder / "s3") as (service, options):
        print(f"S3 on {type(service).__name__}")
        files = s3fs.S3FileSystem(**options, use_listings_cache=False)
        store = open_store("s3://bench/cache", verify="always", **options)
        missing = [new_key() for _ in range(10_000)]
        show("find 10,000 that are not, empty store", f"{timed(lambda: store.find(missing)):.2f} s")
        there = [new_key() for _ in range(2000)]
        for key in there:
            store.write(typical(key, 3.5))
        show("find 10,000 that are not, 2,000 others there", f"{timed(lambda: store.find(missing)):.2f} s")
        frontier = there[:100]
        raw = timed(lambda: files.cat([f"bench/cache/v1/steps/{key[:2]}/{key}" for key in frontier]))
        show("find a frontier of 100", f"{timed(lambda: store.find(frontier)):.3f} s", f"s3fs {raw:.3f} s")
        raw = timed(lambda: files.cat([f"bench/cache/v1/steps/{key[:2]}/{key}" for key in there]))
        show("find 2,000 that are there", f"{timed(lambda: store.find(there)):.2f} s", f"s3fs {raw:.2f} s")
        _obstore(options, there)
        raw_write, raw_read = lambda blob: files.pipe_file("bench/raw", blob), lambda: files.cat_file("bench/raw")
        throughput(store, raw_write, raw_read, megabytes)
        _many_writes(store)


def _many_writes(store: Store) -> None:
    """Small results through the background writer, as steps bring them, beside one after another."""
    writer = Writer(10**9)
    jobs = [Job(store, typical(new_key(), 3.5), False, lambda kept, note: None) for _ in range(500)]

    def behind() -> None:
        for job in jobs:
            writer.submit(job)
        writer.flush()

    raw = timed(lambda: [store.write(typical(new_key(), 3.5)) for _ in jobs])
    show("keep 500 small results", f"{timed(behind):.2f} s", f"one by one {raw:.2f} s")


def _obstore(options: dict[str, Any], keys: list[str]) -> None:
    """The same raw requests through obstore, beside s3fs."""
    try:
        import obstore
        from obstore.store import S3Store
    except ImportError:
        print("obstore is not installed: not measured")
        return
    import asyncio

    client = S3Store(
        "bench",
        endpoint=options["endpoint_url"],
        access_key_id=options["key"],
        secret_access_key=options["secret"],
        client_options={"allow_http": True},
        region="us-east-1",
    )

    async def get_all() -> None:
        places = asyncio.Semaphore(64)

        async def get(key: str) -> None:
            async with places:
                answer = await obstore.get_async(client, f"cache/v1/steps/{key[:2]}/{key}")
                await answer.bytes_async()

        await asyncio.gather(*map(get, keys))

    show("obstore, the same 2,000 files raw", f"{timed(lambda: asyncio.run(get_all())):.2f} s")


def rucio(folder: Path, _: int) -> None:
    """A Rucio server with PostgreSQL, as an ordinary account."""
    from tests.services.rucio import RSE, Rucio

    with Rucio(folder / "rucio") as service:
        os.environ["RUCIO_CONFIG"] = str(service.client_cfg)
        url = service.url("bench")
        store = open_store(url, local=str(folder / "local"))
        results = [typical(new_key(), os.urandom(10_000)) for _ in range(1000)]

        def keep() -> None:
            for each in results:
                store.write(each)
            store.flush()

        seconds = timed(keep)
        raw = timed(lambda: _upload_one_by_one(folder, RSE, 50)) * 20
        show("keep 1,000 results of 10 kB", f"{seconds:.2f} s", f"1,000 uploads {raw:.0f} s, {raw / seconds:.0f} x")
        keys = [each.keys[0] for each in results]
        cold = open_store(url, local=str(folder / "other"))
        show("find 1,000 on a host that knows nothing", f"{timed(lambda: cold.find(keys)):.2f} s")
        read = timed(lambda: [cold.read(info) for info in cold.find(keys).values()])
        show("read these 1,000", f"{read:.2f} s")
        plan = keys + [new_key() for _ in range(9000)]
        cold._refreshed = float("-inf")  # type: ignore[attr-defined]
        show("find 10,000 with a warm index", f"{timed(lambda: cold.find(plan)):.2f} s")


def _upload_one_by_one(folder: Path, rse: str, count: int) -> None:
    import logging

    from rucio.client import Client
    from rucio.client.uploadclient import UploadClient

    quiet = logging.getLogger("quiet")
    quiet.setLevel(logging.CRITICAL)
    client = Client()
    for _ in range(count):
        path = folder / f"raw-{new_key()}"
        path.write_bytes(os.urandom(10_000))
        item = {"path": str(path), "rse": rse, "did_scope": "user.alice", "register_after_upload": True}
        UploadClient(client, logger=quiet).upload([item])


def agc(folder: Path, _: int) -> None:
    """The ttbar example plain, cold and warm, on a local folder, S3 and Rucio."""
    from benchmarks._stores_agc import measure

    for name, outcome, plain in measure(folder, scale=0.25):
        ran = f"{outcome.counts['loaded']:.0f} loaded, {outcome.counts['ran']:.0f} ran"
        what = f"{name} ({ran}, {outcome.flush_seconds:.1f} s to flush)"
        show(what, f"{outcome.seconds:.2f} s", f"plain {plain.seconds:.2f} s", outcome.seconds / plain.seconds)


def small(folder: Path, count: int) -> None:
    """Small results in packs, beside a file each: medians of rounds that take turns, by processor time."""
    from benchmarks._stores_small import measure

    for part, together, alone in measure(folder, count):
        ratio = statistics.median(own / one for own, one in zip(together, alone, strict=True))
        each = [statistics.median(times) * 1e6 * len(times) / count for times in (together, alone)]
        show(f"small results, {part}", f"{each[0]:.0f} us", f"a file each {each[1]:.0f} us", ratio)


def million(folder: Path, count: int) -> None:
    """Looking after a million small entries on the local disk, beside looking at each of its files once."""
    from benchmarks._stores_million import measure

    for command, seconds, megabytes, raw in measure(folder, count):
        show(f"cachectl {command}", f"{seconds:.1f} s {megabytes:.0f} MB", f"look at files {raw:.1f} s")


def blobs(folder: Path, count: int) -> None:
    """Pruning a million entries whose results lie beside them, each time beside looking at the descriptions once."""
    from benchmarks._stores_million import measure_blobs

    for command, seconds, megabytes, raw in measure_blobs(folder, count):
        show(f"cachectl {command}", f"{seconds:.1f} s {megabytes:.0f} MB", f"look at files {raw:.1f} s")


def main() -> None:
    """Run what was asked for, in a folder that is removed afterwards."""
    parts = {"local": local, "s3": s3, "rucio": rucio, "agc": agc, "small": small, "million": million, "blobs": blobs}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", help=f"any of {', '.join(parts)}; local if none is named")
    parser.add_argument("--folder", help="where to measure; a new folder is made in it, and removed")
    parser.add_argument("--megabytes", type=int, default=500, help="of each large value")
    parser.add_argument("--entries", type=int, help="of small (100,000), million and blobs (a million)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the servers, which are the tests'
    if arguments.folder:
        Path(arguments.folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        Path(folder).chmod(0o711)  # some servers run as users of their own
        for part in arguments.part or ["local"]:
            print(f"--- {part}: {(parts[part].__doc__ or '').splitlines()[0]}")
            parts[part](Path(folder), arguments.entries or ENTRIES.get(part, arguments.megabytes))


if __name__ == "__main__":
    main()
