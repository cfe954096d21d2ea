"""Files that a step reads: which count, and which don't."""

import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cachingclient.worker.observe import Stamp, ignore_folder, observing, stamp, unobserved
from cachingclient.worker.observe.record import MOST_FILES
from tests.worker.observe.reading import read, write


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
