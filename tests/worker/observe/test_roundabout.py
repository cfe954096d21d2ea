"""Files, variables, the working folder and entropy that a step gets at by way of some library."""

import configparser
import importlib.util
import json
import linecache
import os
import random
import sqlite3
import ssl
import subprocess
import sys
import tokenize

import fsspec
import numba
import numpy as np
import pytest
from pyarrow import fs

from cachingclient.hashing.inputs.told import EVERYTHING
from cachingclient.worker.observe import observing
from cachingclient.worker.seen import why_not

STEPS = """
import configparser, importlib.util, linecache, os, sqlite3, ssl, sys, tokenize
import fsspec
from pyarrow import fs
from cachingclient import step

def path(name):
    return os.path.join(os.environ["DATA_FOLDER"], name)

@step
def by_line():
    return int(linecache.getline(path("lines"), 1))

@step
def by_line_that_is_remembered():
    return int(linecache.getline(path("lines"), 1)) + 1

@step
def by_tokenize():
    with tokenize.open(path("lines")) as file:
        return int(file.read())

@step
def by_path_of_a_module():
    spec = importlib.util.spec_from_file_location("cuts", path("cuts.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CUT

@step
def by_size():
    return fs.LocalFileSystem().get_file_info(path("lines")).size

@step
def by_selector():
    return len(fs.LocalFileSystem().get_file_info(fs.FileSelector(path(""))))

@step
def by_relative_path():
    with fsspec.open("here.txt", "r") as file:
        return int(file.read())

@step
def by_all_variables():
    return configparser.ConfigParser(os.environ, interpolation=None)["DEFAULT"]["ANA_CUT"]

@step
def by_device():
    with open("/dev/urandom", "rb") as file:
        return file.read(8).hex()

@step
def by_database():
    return sqlite3.connect(":memory:").execute("select random()").fetchone()[0]

@step
def by_ssl():
    return ssl.RAND_bytes(8).hex()

if __name__ == "__main__":
    import json
    print(json.dumps({name: value() for name, value in list(globals().items()) if name.startswith("by_")}))
"""
DRAWS = {"by_device", "by_database", "by_ssl"}


def test_another_session_gets_what_is_right_there(tmp_path):
    """Files, the working folder and a variable change between two sessions; what is drawn is another draw."""
    (tmp_path / "steps.py").write_text(STEPS)
    store = {"DASK_CACHINGCLIENT__STORE": (tmp_path / "store").as_uri(), "DASK_CACHINGCLIENT__POLICY": "all"}

    def run(folder, cut):
        where = tmp_path / folder
        where.mkdir(exist_ok=True)
        (where / "here.txt").write_text(str(cut))
        environment = {**os.environ, **store, "DATA_FOLDER": str(tmp_path / "data"), "ANA_CUT": str(cut)}
        command = [sys.executable, "-W", "ignore", str(tmp_path / "steps.py")]
        done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    data = tmp_path / "data"
    data.mkdir()
    (data / "lines").write_text("1")
    (data / "cuts.py").write_text("CUT = 1\n")
    first, again = run("one", 1), run("one", 1)
    files = {"by_line": 1, "by_line_that_is_remembered": 2, "by_tokenize": 1, "by_path_of_a_module": 1, "by_size": 1}
    surroundings = {"by_selector": 2, "by_relative_path": 1, "by_all_variables": "1"}
    assert {name: first[name] for name in first if name not in DRAWS} == files | surroundings
    (data / "lines").write_text("25")
    (data / "cuts.py").write_text("CUT = 25\n")
    (data / "more").write_text("")
    other = run("two", 25)
    files = {
        "by_line": 25,
        "by_line_that_is_remembered": 26,
        "by_tokenize": 25,
        "by_path_of_a_module": 25,
        "by_size": 2,
    }
    surroundings = {"by_selector": 3, "by_relative_path": 25, "by_all_variables": "25"}
    assert {name: other[name] for name in other if name not in DRAWS} == files | surroundings
    for name in DRAWS:
        assert len({first[name], again[name], other[name]}) == 3, name


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder that is the working folder, with some files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines").write_text("1\n2\n")
    (tmp_path / "cuts.py").write_text("CUT = 1\n")
    return tmp_path


def module_at(path):
    spec = importlib.util.spec_from_file_location("cuts", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("lines", lambda path: linecache.getline(path, 1)),
        ("lines", lambda path: tokenize.open(path).close()),
        ("lines", lambda path: fs.LocalFileSystem().get_file_info(path)),
        ("lines", lambda path: fs.LocalFileSystem().get_file_info([path])),
        ("cuts.py", lambda path: module_at(path).CUT),
    ],
)
def test_what_is_read_through_a_library_is_read_by_the_step(data, name, reading):
    """Also the second time, where the library remembers it, and not by way of the working folder."""
    for _ in range(2):
        with observing() as seen:
            reading(str(data / name))
        assert set(seen.reads) == {str(data / name)}
        assert not seen.used_cwd


def test_a_module_that_is_imported_by_name_is_code(data, monkeypatch):
    """Its code is part of the key of the steps that use it."""
    monkeypatch.syspath_prepend(str(data))
    monkeypatch.delitem(sys.modules, "cuts", raising=False)
    with observing() as seen:
        import cuts  # noqa: F401
    assert not seen.reads


def test_a_folder_that_pyarrow_lists_counts_with_what_is_in_it(data):
    """Its selector gives the names and sizes of files."""
    with observing() as seen:
        fs.LocalFileSystem().get_file_info(fs.FileSelector(str(data)))
    assert set(seen.listings) == {str(data)}
    assert set(seen.reads) == {str(data / "lines"), str(data / "cuts.py")}


def test_a_relative_path_that_a_library_makes_absolute_says_that_the_folder_counts(data):
    """fsspec asks for the working folder and opens an absolute path; given one, it does not ask."""
    with observing() as seen, fsspec.open("lines") as file:
        file.read()
    assert seen.used_cwd
    with observing() as seen, fsspec.open(str(data / "lines")) as file:
        file.read()
    assert set(seen.reads) == {str(data / "lines")}
    assert not seen.used_cwd


def test_attributes_beside_a_files_content_cannot_be_looked_at_again(data):
    """Neither what they are nor that the step set them; a copy with all of them is a copy."""
    path = data / "lines"
    try:
        os.setxattr(path, "user.cut", b"1")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    with observing() as seen:
        os.getxattr(path, "user.cut")
    assert why_not(seen, []) == f"it reads extended attributes of {path}"
    with observing() as seen:
        os.setxattr(path, "user.cut", b"2")
    assert why_not(seen, []) == f"it sets extended attributes of {path}"


def test_variables_that_the_standard_library_was_given_are_read():
    """What it goes through for purposes of its own is not."""
    with observing() as seen:
        configparser.ConfigParser(os.environ, interpolation=None)
    assert EVERYTHING in seen.variables


@numba.njit
def compiled():
    return np.random.normal()


@pytest.mark.parametrize(
    ("seeding", "drawing", "source"),
    [
        (lambda: random.seed(1), lambda: random.gauss(0, 1), "random"),
        (lambda: None, compiled, "numba's generators"),
    ],
)
def test_the_second_of_two_normal_numbers_is_a_draw_as_the_first(seeding, drawing, source):
    """They are made by pairs, and the second is kept for the next call: no generator moves for it."""
    seeding()
    drawing()
    for _ in range(4):
        with observing() as seen:
            drawing()
        assert seen.drew == {source}


def first_bytes(path):
    with open(path, "rb") as file:
        return file.read(8)


@pytest.mark.parametrize(
    ("drawing", "source"),
    [
        (lambda: os.getrandom(8), "os.getrandom"),
        (lambda: ssl.RAND_bytes(8), "ssl.RAND_bytes"),
        (lambda: first_bytes("/dev/urandom"), "/dev/urandom"),
        (lambda: first_bytes(b"/dev/urandom"), "/dev/urandom"),
        (lambda: np.fromfile("/dev/urandom", count=1), "/dev/urandom"),
        (lambda: sqlite3.connect(":memory:").execute("select 1 order by RANDOM()"), "SQLite's random()"),
        (lambda: sqlite3.connect(":memory:").execute("select randomblob(3)"), "SQLite's randomblob()"),
    ],
)
def test_entropy_of_the_system_is_a_draw_by_whichever_way(drawing, source):
    """Python's own functions are not the only ones that give it."""
    with observing() as seen:
        drawing()
    assert seen.drew == {source}


def test_a_database_without_random_numbers_draws_none():
    """Functions of SQLite that give the same again are none of these."""
    with observing() as seen:
        assert sqlite3.connect(":memory:").execute("select abs(-1), hex('a')").fetchall() == [(1, "61")]
    assert not seen.drew
