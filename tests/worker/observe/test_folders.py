"""What a step lists, looks for and asks about: names in folders, sizes, links, and files that are not there."""

import glob
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.hashing.inputs.trace import Surroundings, Trace
from cachingclient.worker.observe import observing
from cachingclient.worker.observe.record import MOST_FILES
from cachingclient.worker.seen import trace_of_run
from tests.worker.observe.reading import read


def test_a_file_that_is_looked_for_in_vain_is_missing(tmp_path):
    """Making the file would change what the step does."""
    with observing() as seen, pytest.raises(FileNotFoundError):
        read(tmp_path / "override.json")
    assert seen.missing == {str(tmp_path / "override.json")}
    assert not seen.reads


def test_listings_change_with_the_names_in_a_folder(tmp_path):
    """A listing is known by the names in it, not by when they came."""

    def look():
        with observing() as seen:
            sorted(tmp_path.iterdir())
        return seen.listings

    empty = look()
    assert list(empty) == [str(tmp_path)]
    (tmp_path / "a.json").touch()
    assert look() != empty
    (tmp_path / "a.json").unlink()
    assert look() == empty


def test_what_is_asked_about_counts_without_being_opened(tmp_path: Path) -> None:
    """Whether a file is there counts as that alone; its size and time are read."""
    (tmp_path / "there").write_text("x")
    (tmp_path / "sized").write_text("x")
    with observing() as seen:
        assert (tmp_path / "there").exists()
        assert not os.path.exists(tmp_path / "absent")
        os.path.getsize(tmp_path / "sized")
    assert seen.there == {str(tmp_path / "there"): "file"}
    assert str(tmp_path / "absent") in seen.missing
    assert list(seen.reads) == [str(tmp_path / "sized")]


def exists(path: Path) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > 0


def walk(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in [folder / "table"]}


def resolve(path: Path) -> int:
    return os.stat(path).st_size


@pytest.mark.parametrize("ask", [exists, resolve, lambda path: walk(path.parent)], ids=["exists", "resolve", "walk"])
def test_a_size_counts_whatever_the_function_that_asks_is_called(tmp_path: Path, ask: Callable[[Path], object]) -> None:
    """A function of the user's may have the name of one that only asks whether a file is there."""
    (tmp_path / "table").write_text("1")
    with observing() as seen:
        ask(tmp_path / "table")
    assert set(seen.reads) == {str(tmp_path / "table")}


def test_where_a_link_leads_counts(tmp_path):
    """A path that the step resolves by hand depends on the links in it."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "table").write_text("1")
    (tmp_path / "current").symlink_to("v1")
    for look in (os.path.realpath, lambda path: os.readlink(path), lambda path: Path(path).resolve()):
        with observing() as seen:
            look(str(tmp_path / "current"))
        assert seen.links == {str(tmp_path / "current"): "v1"}


def test_sizes_of_what_is_in_a_folder_count(tmp_path):
    """``os.scandir`` gives entries that look at their files by themselves."""
    (tmp_path / "table").write_text("1")
    with observing() as seen:
        sizes = [entry.stat().st_size for entry in os.scandir(tmp_path)]
    assert sizes == [1]
    assert set(seen.reads) == {str(tmp_path / "table")}


def test_paths_from_an_open_folder_are_seen(tmp_path):
    """Python tells of such an opening by the path alone."""
    (tmp_path / "table").write_text("1")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with observing() as seen:
            os.close(os.open("table", os.O_RDONLY, dir_fd=folder))
            os.listdir(folder)
            os.stat("other", dir_fd=folder) if (tmp_path / "other").exists() else None
    finally:
        os.close(folder)
    assert set(seen.reads) == {str(tmp_path / "table")}
    assert set(seen.listings) == {str(tmp_path)}
    assert not seen.used_cwd


@pytest.mark.parametrize(
    "look",
    [
        lambda path: glob.glob(f"{path}/*.root"),
        pytest.param(
            lambda path: list(path.glob("*.root")),
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 13), reason="pathlib does not say which names it looks for"
            ),
        ),
    ],
)
def test_of_a_folder_that_is_searched_only_what_matches_counts(tmp_path, look):
    """A plot or a log that appears beside the data is nothing new to a step that looks for data."""

    def trace():
        with observing() as seen:
            look(tmp_path)
        return seen.matches, seen.listings

    (tmp_path / "a.root").touch()
    before = trace()
    assert before == ({(str(tmp_path), "*.root"): before[0][str(tmp_path), "*.root"]}, {})
    (tmp_path / "plot.pdf").touch()
    assert trace() == before
    (tmp_path / "b.root").touch()
    assert trace() != before


def in_folder(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()]


def of_entries(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_file()]


def walked(folder: Path) -> list[str]:
    return [name for _, _, names in os.walk(folder) for name in names]


def is_file(folder: Path) -> bool:
    return (folder / "it").is_file()


def is_there(folder: Path) -> bool:
    return (folder / "it").exists()


def may_write(folder: Path) -> bool:
    return os.access(folder / "it", os.W_OK)


def size(folder: Path) -> int:
    return os.stat(folder / "it").st_size


def a_file(path: Path) -> None:
    path.write_text("1")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def nothing(path: Path) -> None:
    pass


@pytest.mark.parametrize("asks", [in_folder, of_entries, walked, is_file, is_there, may_write, size])
@pytest.mark.parametrize(("before", "after"), itertools.permutations([a_file, a_folder, a_link_to_nothing, nothing], 2))
def test_a_look_holds_only_while_it_would_find_the_same(
    tmp_path: Path, asks: Callable[[Path], object], before: Callable[[Path], None], after: Callable[[Path], None]
) -> None:
    """What became a folder, or a link to nothing, is not what it was, though its name is there."""
    looked = tmp_path / "looked"
    looked.mkdir()
    it = looked / "it"

    def outcome() -> object:
        try:
            return asks(looked)
        except FileNotFoundError:
            return None

    before(it)
    with observing() as seen:
        first = outcome()
    trace = trace_of_run(seen, (), Inputs(), (), ())
    assert Surroundings().difference(trace) == ""
    shutil.rmtree(it) if it.is_dir() else it.unlink(missing_ok=True)
    after(it)
    if outcome() != first:
        assert Surroundings().difference(trace)


def newest(folder: Path) -> str:
    return max(folder.iterdir(), key=os.path.getmtime).name


def newest_by_stat(folder: Path) -> str:
    return max(folder.glob("*"), key=lambda path: path.stat().st_mtime_ns).name


def newest_entry(folder: Path) -> str:
    with os.scandir(folder) as entries:
        return max(entries, key=lambda entry: entry.stat().st_mtime_ns).name


def newest_open(folder: Path) -> str:
    def time(path: Path) -> float:
        with path.open() as file:
            return os.fstat(file.fileno()).st_mtime

    return max(folder.iterdir(), key=time).name


def newest_of_fsspec(folder: Path) -> str:
    files = fsspec.filesystem("file")
    return Path(max(files.ls(str(folder), detail=False), key=files.modified)).name


@pytest.mark.parametrize("pick", [newest, newest_by_stat, newest_entry, newest_open, newest_of_fsspec])
def test_the_time_of_a_file_counts_where_the_step_asks_for_it(tmp_path: Path, pick: Callable[[Path], str]) -> None:
    """The newest of some corrections is another once one is touched, though all hold what they held."""
    for name, time in (("old", 1_000), ("new", 2_000)):
        (tmp_path / name).write_text("1")
        os.utime(tmp_path / name, (time, time))
    with observing() as seen:
        assert pick(tmp_path) == "new"
    trace = Trace.of_json(json.loads(json.dumps(trace_of_run(seen, (), Inputs(), (), ()).as_json())))
    assert Surroundings().difference(trace) == ""
    os.utime(tmp_path / "old", (3_000, 3_000))
    assert "the time or the mode of" in Surroundings().difference(trace)


def test_who_may_use_a_file_counts_where_the_step_asks(tmp_path: Path) -> None:
    """Its time does not."""
    path = tmp_path / "table"
    path.write_text("1")
    path.chmod(0o644)
    with observing() as seen:
        os.access(path, os.X_OK)
    trace = trace_of_run(seen, (), Inputs(), (), ())
    os.utime(path, (3_000, 3_000))
    assert Surroundings().difference(trace) == ""
    path.chmod(0o755)
    assert "the time or the mode of" in Surroundings().difference(trace)


def test_a_size_alone_is_no_question_for_the_time(tmp_path: Path) -> None:
    """A small file that is touched holds what it held."""
    (tmp_path / "table").write_text("1")
    with observing() as seen:
        os.path.getsize(tmp_path / "table")
        (tmp_path / "table").read_text()
    trace = trace_of_run(seen, (), Inputs(), (), ())
    os.utime(tmp_path / "table", (3_000, 3_000))
    assert Surroundings().difference(trace) == ""


def test_times_of_many_files_are_told_by_their_folder(tmp_path: Path) -> None:
    """A step that asks for the size and time of thousands is kept, and sees one that is touched or closed to others."""
    for number in range(2 * MOST_FILES + 100):
        (tmp_path / str(number)).write_text("1")
    with observing() as seen:
        for path in tmp_path.iterdir():
            path.stat()
    assert not seen.unknown
    assert len(seen.times) <= MOST_FILES + 1
    trace = trace_of_run(seen, (), Inputs(), (), ())
    assert Surroundings().difference(trace) == ""
    mode = (tmp_path / "7").stat().st_mode
    (tmp_path / "7").chmod(0o600)
    assert Surroundings().difference(trace)
    (tmp_path / "7").chmod(mode)
    assert Surroundings().difference(trace) == ""
    os.utime(tmp_path / "7", (3_000, 3_000))
    assert Surroundings().difference(trace)
