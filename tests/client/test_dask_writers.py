"""What dask's own writers leave on the disk belongs to their steps: a hit only while it is there as they left it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import pandas as pd
import pytest

from cachingclient import DiracClient
from tests.support.reported import counts


def frame() -> dd.DataFrame:
    return dd.from_pandas(pd.DataFrame({"x": range(4)}), npartitions=2)


WRITERS: dict[str, Callable[[Path], object]] = {
    "to_textfiles": lambda folder: db.from_sequence(["abc", "123"], npartitions=2).to_textfiles(f"{folder}/*.txt"),
    "to_csv": lambda folder: frame().to_csv(f"{folder}/*.csv"),
    "to_parquet": lambda folder: frame().to_parquet(str(folder)),
    "to_json": lambda folder: frame().to_json(f"{folder}/*.json"),
    "to_npy_stack": lambda folder: da.to_npy_stack(str(folder), da.arange(6, chunks=3)),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_what_is_gone_or_changed_is_written_again(
    writer: str, make_client: Callable[..., DiracClient], tmp_path: Path
) -> None:
    """A writer runs again after a file of its was removed or changed; where all lie as it left them it does not."""
    folder = tmp_path / "written"

    def session() -> dict[str, bytes]:
        client = make_client()
        folder.mkdir(exist_ok=True)
        WRITERS[writer](folder)
        found = {path.name: path.read_bytes() for path in folder.iterdir()}
        ran.append(counts(client)[0])
        client.close()
        return found

    ran: list[int] = []
    written = session()
    first, second, *_ = sorted(written)
    assert session() == written
    (folder / first).unlink()
    assert session() == written
    (folder / second).write_bytes(b"another's")
    assert session() == written
    shutil.rmtree(folder)
    assert session() == written
    assert [bool(each) for each in ran] == [True, False, True, True, True]


@pytest.mark.parametrize("writer", WRITERS)
def test_what_a_writer_reads_of_the_store_is_its_own_in_this_program_too(
    writer: str, store_url: str, tmp_path: Path
) -> None:
    """A writer changes the frame that it writes: where it alone loaded that, its result is kept."""
    folder = tmp_path / "written"
    ran: list[int] = []
    for remove in (False, True, False):
        if remove:
            shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)
        with DiracClient(processes=False, n_workers=1, cache=store_url, policy="all", dashboard_address=":0") as client:
            WRITERS[writer](folder)
            client.flush()
            ran.append(counts(client)[0])
            assert not any("not kept" in record.note for run in client.reports for record in run.records)
    assert [bool(each) for each in ran] == [True, True, False]
