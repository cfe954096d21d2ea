"""Files that a step reads, writes, lists and looks for in vain."""

import glob
import os
import pickle
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cachingclient.worker.observe import Stamp, ignore_folder, observing, stamp, unobserved
from cachingclient.worker.observe.record import MOST_FILES


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "jec.json"
    path.write_text('{"sf": 2}')
    return path


@pytest.mark.parametrize(
    "opening",
    [
        read,
        lambda path: Path(path).read_bytes(),
        lambda path: pd.read_json(path, typ="series"),
        lambda path: os.read(os.open(path, os.O_RDONLY), 10),
        lambda path: read(os.fsencode(path)),
        lambda path: np.fromfile(path, dtype="u1"),
        lambda path: np.memmap(path, dtype="u1", mode="r"),
        lambda path: shutil.copyfile(path, os.devnull),
    ],
)
def test_each_way_of_reading_a_file_is_seen(table, opening):
    """Whatever function of Python or numpy reads a file, the file is told with its size, time and inode."""
    with observing() as seen:
        opening(str(table))
    assert seen.reads == {str(table): stamp(str(table))}
    assert not seen.writes
    assert not seen.unknown


def test_a_relative_path_is_told_in_full_and_says_that_the_folder_counts(table, monkeypatch):
    """A relative path is resolved in the folder of the moment."""
    monkeypatch.chdir(table.parent)
    with observing() as seen:
        read(table.name)
    assert list(seen.reads) == [str(table)]
    assert seen.used_cwd


def test_the_working_folder_counts_where_the_step_asks_for_it_and_not_where_a_library_does():
    """`os.getcwd` in a step counts; a library's does not."""
    with observing() as seen:
        import linecache

        linecache.getline(__file__, 1)
    assert not seen.used_cwd
    with observing() as seen:
        os.path.abspath("a")
    assert seen.used_cwd


def test_files_of_the_users_own_package_count(tmp_path, monkeypatch):
    """Data beside the user's modules is seen by importlib.resources, pkgutil and plain paths; the modules are not."""
    package = tmp_path / "ana_of_tests"
    package.mkdir()
    (package / "sf.json").write_text("2")
    (package / "__init__.py").write_text(
        "import pkgutil\nfrom importlib import resources\n"
        "def a(): return resources.files(__name__).joinpath('sf.json').read_text()\n"
        "def b(): return pkgutil.get_data(__name__, 'sf.json')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with observing() as seen:
        import ana_of_tests
    assert not seen.reads
    assert not seen.listings
    for way in (ana_of_tests.a, ana_of_tests.b):
        with observing() as seen:
            way()
        assert list(seen.reads) == [str(package / "sf.json")]
    del sys.modules["ana_of_tests"]


def test_what_libraries_and_the_system_open_for_themselves_does_not_count(tmp_path):
    """Imports, sources shown, time zones and /proc are no inputs."""
    with observing() as seen:
        import inspect
        import zoneinfo

        zoneinfo.ZoneInfo("Europe/Zurich")
        inspect.getsource(test_each_way_of_reading_a_file_is_seen)
        read("/proc/self/status")
        write("/dev/null")
        import wsgiref.validate  # noqa: F401  # not imported before
    assert not seen.reads
    assert not seen.writes
    assert not seen.listings
    assert not seen.missing


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


def test_what_a_step_writes_is_told_as_it_left_it(tmp_path):
    """A new file, a changed one, one that was added to, a removed one, a folder."""
    for name in ("changed", "log", "gone"):
        write(tmp_path / name, name)
    with observing() as seen:
        write(tmp_path / "new")
        write(tmp_path / "changed", "other")
        with open(tmp_path / "log", "a") as log:
            log.write("line")
        os.remove(tmp_path / "gone")
        os.makedirs(tmp_path / "plots" / "png", exist_ok=True)
    how = {os.path.relpath(path, tmp_path): written.how for path, written in seen.writes.items()}
    assert how == {
        "new": "created",
        "changed": "changed",
        "log": "appended",
        "gone": "removed",
        "plots": "folder",
        "plots/png": "folder",
    }
    assert seen.writes[str(tmp_path / "new")].after == stamp(str(tmp_path / "new"))
    assert not seen.reads


def test_what_a_step_wrote_itself_is_no_input(tmp_path):
    """A file that the step wrote and read again is an output only."""
    with observing() as seen:
        write(tmp_path / "skim")
        read(tmp_path / "skim")
    assert not seen.reads
    assert list(seen.writes) == [str(tmp_path / "skim")]


def test_a_file_that_is_read_and_then_written_is_both(table):
    """Its looks before are an input, those after an output; it was not changed by somebody else."""
    before = stamp(str(table))
    with observing() as seen:
        write(table, read(table) + "more")
    assert seen.reads == {str(table): before}
    assert seen.writes[str(table)].after == stamp(str(table))
    assert not seen.changed


@pytest.mark.parametrize("mode", ["r+", "a+"])
def test_a_file_that_is_changed_in_place_is_an_input_too(table, mode):
    """What stays of it is part of the output."""
    before = stamp(str(table))
    with observing() as seen, open(table, mode) as file:
        file.seek(0)
        file.read()
        file.write("more")
    assert list(seen.writes) == [str(table)]
    if mode == "r+":
        assert seen.reads == {str(table): before}


def test_temporary_files_that_are_gone_do_not_count(tmp_path):
    """What a step made and removed again is neither read nor written."""
    with observing() as seen:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            write(f"{folder}/a")
            os.mkdir(f"{folder}/below")
            write(f"{folder}/below/b")
            read(f"{folder}/a")
            os.listdir(folder)
        with tempfile.NamedTemporaryFile(dir=tmp_path) as file:
            file.write(b"x")
        write(tmp_path / "part")
        os.replace(tmp_path / "part", tmp_path / "whole")
        shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-copy")
        shutil.rmtree(tmp_path.parent / f"{tmp_path.name}-copy")
    assert list(seen.writes) == [str(tmp_path / "whole")]
    assert seen.writes[str(tmp_path / "whole")].how == "created"
    assert not seen.reads
    assert not seen.drew


def test_a_file_that_changes_while_it_is_read_is_told(table):
    """Somebody else changed it: what the step read is not what is there."""
    with observing() as seen:
        read(table)
        with unobserved():
            write(table, "something longer")
    assert seen.changed == {str(table)}
    assert seen.reads[str(table)] != stamp(str(table))


def test_a_file_that_vanishes_while_it_is_read_is_told(table):
    """A path that is gone at the end has changed."""
    with observing() as seen:
        read(table)
        with unobserved():
            table.unlink()
    assert seen.changed == {str(table)}


def test_renaming_an_input_reads_and_removes_it(table):
    """What is under the new name came from the old one."""
    before = stamp(str(table))
    with observing() as seen:
        os.rename(table, table.with_suffix(".old"))
    assert seen.reads == {str(table): before}
    assert {Path(path).name: written.how for path, written in seen.writes.items()} == {
        "jec.json": "removed",
        "jec.old": "created",
    }


def test_a_folder_that_was_made_under_another_name_takes_its_files_along(tmp_path):
    """Writers fill a folder and rename it last."""
    with observing() as seen:
        os.mkdir(tmp_path / "part")
        write(tmp_path / "part" / "a")
        os.rename(tmp_path / "part", tmp_path / "out")
    assert set(seen.writes) == {str(tmp_path / "out"), str(tmp_path / "out" / "a")}


def test_a_database_is_read_and_written_only_if_it_changed(tmp_path):
    """sqlite3 opens its file in C; Python tells of the connection."""
    path = tmp_path / "runs.db"
    with sqlite3.connect(path) as made:
        made.execute("create table runs (number int)")
    made.close()
    before = stamp(str(path))
    with observing() as seen:
        sqlite3.connect(path).execute("select * from runs").fetchall()
    assert seen.reads == {str(path): before}
    assert not seen.writes
    with observing() as seen, sqlite3.connect(path) as again:
        again.execute("insert into runs values (1)")
    assert seen.writes[str(path)].how == "changed"


def test_thousands_of_files_are_told_by_their_folder(tmp_path):
    """A step that reads very many files is told by the folders, and one that is changed later shows."""
    from cachingclient.hashing.inputs.listing import stamp_folder

    for number in range(MOST_FILES + 50):
        (tmp_path / f"{number}.txt").write_text(str(number))
    with observing() as seen:
        for number in range(MOST_FILES + 50):
            read(tmp_path / f"{number}.txt")
    assert seen.folders == {str(tmp_path): stamp_folder(str(tmp_path))}
    assert len(seen.reads) < MOST_FILES
    assert not seen.changed
    assert not seen.unknown
    (tmp_path / "7.txt").write_text("changed")
    assert seen.folders != {str(tmp_path): stamp_folder(str(tmp_path))}


def test_what_is_to_be_left_out_is_left_out(tmp_path):
    """A store's folder, patterns of a step, and what the cache does itself."""
    for folder in ("store", "logs"):
        (tmp_path / folder).mkdir()
    ignore_folder(tmp_path / "store")
    with observing(unobserved=["*/logs/*.log"]) as seen:
        write(tmp_path / "store" / "blob")
        write(tmp_path / "logs" / "today.log")
        with unobserved():
            write(tmp_path / "own")
    assert not seen.writes


def test_globs_must_be_a_list():
    """A single string would be taken for its letters."""
    with pytest.raises(TypeError, match=r"unobserved takes globs .* not the string '\*.log'"):
        observing(unobserved="*.log")


def test_a_pipe_and_standard_input_cannot_be_read_again(tmp_path):
    """What is read from a pipe is told as unknown."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with observing() as seen:
        os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
    assert seen.unknown == {f"{pipe} is no file"}


def test_a_caches_folder_counts_for_who_opens_it_himself(tmp_path, monkeypatch):
    """What libraries keep below the user's cache folder does not count; what the step opens there does."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    import fontTools.ttLib  # noqa: F401

    write(tmp_path / "mine.json", "1")
    np.save(tmp_path / "library.npy", np.ones(3))
    with observing() as seen:
        read(tmp_path / "mine.json")
        np.load(tmp_path / "library.npy")
    assert list(seen.reads) == [str(tmp_path / "mine.json")]


def test_what_was_seen_can_be_kept_with_an_entry(table):
    """An observation is made of plain values."""
    with observing() as seen:
        read(table)
    assert pickle.loads(pickle.dumps(seen.reads)) == seen.reads
    assert isinstance(seen.reads[str(table)], Stamp)


def test_a_source_that_a_library_reads_is_code(tmp_path, monkeypatch):
    """numba keeps compiled code by what it was compiled from, which is no input."""
    (tmp_path / "compiled_of_tests.py").write_text(
        "import numba\n@numba.njit(cache=True)\ndef step(x):\n    return x + 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with observing() as seen:
        import compiled_of_tests

        assert compiled_of_tests.step(1) == 2
    assert not seen.reads
    assert not seen.writes


def test_what_is_asked_about_counts_without_being_opened(tmp_path: Path) -> None:
    """Whether a file is there counts as that alone; its size and time are read."""
    (tmp_path / "there").write_text("x")
    (tmp_path / "sized").write_text("x")
    with observing() as seen:
        assert (tmp_path / "there").exists()
        assert not os.path.exists(tmp_path / "absent")
        os.path.getsize(tmp_path / "sized")
    assert seen.there == {str(tmp_path / "there")}
    assert str(tmp_path / "absent") in seen.missing
    assert list(seen.reads) == [str(tmp_path / "sized")]


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
            marks=pytest.mark.skipif(sys.version_info >= (3, 13), reason="pathlib tells no more what it is after"),
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


def test_times_and_modes_that_are_set_count(tmp_path):
    """Whether a file of others is still as it was set, nobody looks; of what the step makes it is a part."""
    table = tmp_path / "table"
    table.write_text("1")
    table.chmod(0o644)
    for set_it, what in (
        (lambda: os.utime(table, (1, 1)), {f"it sets the time of {table}"}),
        (lambda: table.chmod(0o600), {f"it sets who may use {table}"}),
        (lambda: table.chmod(0o600), set()),
    ):
        with observing() as seen:
            set_it()
        assert seen.unknown == what
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "table").write_text("1")
    with observing() as seen:
        shutil.copytree(tmp_path / "folder", tmp_path / "copy")
    assert {path: written.how for path, written in seen.writes.items()} == {
        str(tmp_path / "copy"): "folder",
        str(tmp_path / "copy" / "below"): "folder",
        str(tmp_path / "copy" / "below" / "table"): "created",
    }
    assert not seen.unknown
