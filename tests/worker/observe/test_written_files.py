"""Files that a step writes, changes, renames and removes, and those that others change meanwhile."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cachingclient.worker.observe import observing, stamp, unobserved
from tests.worker.observe.reading import read, write


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


def recreate(path: Path) -> None:
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(path) as file:
        file["Events"] = {"pt": [1.0]}


def copy(path: Path) -> None:
    shutil.copy(__file__, path)


def copy_with_times(path: Path) -> None:
    shutil.copy2(__file__, path)


@pytest.mark.parametrize("make", [recreate, copy, copy_with_times, write])
def test_an_output_that_is_made_anew_is_no_input(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Of what an earlier run left there nothing is in it, also where it is opened for both, or looked at before."""
    path = tmp_path / "skim"
    make(path)
    with observing() as seen:
        make(path)
    assert str(path) not in seen.reads
    assert seen.writes[str(path)].how == "changed"


def test_a_root_file_that_is_added_to_is_an_input_too(tmp_path: Path) -> None:
    """What was in it before is part of the output."""
    uproot = pytest.importorskip("uproot")
    recreate(tmp_path / "skim")
    with observing() as seen, uproot.update(tmp_path / "skim") as file:
        file["More"] = {"pt": [2.0]}
    assert set(seen.reads) == {str(tmp_path / "skim")}


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


def test_databases_that_a_statement_opens_are_read(tmp_path):
    """SQLite opens what is attached without a word of Python's; a name that only it knows can't be looked at again."""
    path = str(tmp_path / "runs.db")
    with sqlite3.connect(path) as made:
        made.execute("create table runs (number int)")
    made.close()
    with observing() as seen:
        other = sqlite3.connect(":memory:")
        other.execute(f"attach '{path}' as others")
        other.execute("vacuum into " + repr(str(tmp_path / "copy.db")))
    assert list(seen.reads) == [path]
    assert list(seen.writes) == [str(tmp_path / "copy.db")]
    assert not seen.unknown
    with observing() as seen:
        sqlite3.connect(":memory:").execute("attach ? as others", (path,))
    assert "attaches a database" in min(seen.unknown)
    with observing() as seen:
        sqlite3.Connection(path)
    assert "statements can't be seen" in min(seen.unknown)


def test_what_is_written_ahead_of_a_database_is_read(tmp_path):
    """Another process may have written what is in no file but the one beside the database, and may do so later."""
    path = str(tmp_path / "runs of 2026.db")
    kept = sqlite3.connect(path, isolation_level=None)
    kept.execute("pragma journal_mode=wal")
    kept.execute("create table runs (number int)")
    with observing() as seen:
        sqlite3.connect(f"file:{path.replace(' ', '%20')}?mode=ro", uri=True).close()
    before = stamp(f"{path}-wal")
    assert seen.reads.keys() == {path, f"{path}-wal"}
    kept.execute("insert into runs values (1)")
    assert stamp(f"{path}-wal") != before
    kept.close()
    with observing() as seen:
        sqlite3.connect(path).execute("select * from runs").fetchall()
    assert seen.missing == {f"{path}-wal"}


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


def test_a_file_that_is_touched_first_is_made(tmp_path):
    """`Path.touch` tries to set a time, and makes the file where it can't: it looked for it in vain, and wrote it."""
    flag = tmp_path / "done"
    with observing() as seen:
        flag.touch()
    assert seen.unknown == set()
    assert {path: written.how for path, written in seen.writes.items()} == {str(flag): "created"}
    with observing() as seen:
        flag.touch()
    assert seen.unknown == {f"it sets the time of {flag}"}
    flag.unlink()
    with observing() as seen, pytest.raises(FileNotFoundError):
        os.utime(flag)
    assert (seen.unknown, seen.missing) == (set(), {str(flag)})


def test_a_link_to_a_folder_is_written(tmp_path, monkeypatch):
    """One that a step makes, or puts in the place of another, has to be there as a folder that it makes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for _ in range(2):
        with observing() as seen:
            if os.path.lexists("latest"):
                os.remove("latest")
            os.symlink(tmp_path / "runs", "latest")
        assert {path: made.how for path, made in seen.writes.items()} == {str(tmp_path / "latest"): "folder"}
