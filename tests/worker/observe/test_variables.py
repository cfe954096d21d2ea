"""Environment variables that a step reads."""

import contextlib
import getpass
import os
import pathlib

import click
import pytest

from cachingclient.hashing.inputs.told import EVERYTHING, digest_of_value
from cachingclient.worker.observe import observing


@pytest.mark.parametrize(
    "reading",
    [
        lambda: os.environ["ANA_YEAR"],
        lambda: os.environ.get("ANA_YEAR"),
        lambda: os.getenv("ANA_YEAR"),
        lambda: os.getenvb(b"ANA_YEAR"),
        lambda: "ANA_YEAR" in os.environ,
        lambda: os.path.expandvars("/data/$ANA_YEAR"),
    ],
)
def test_each_way_of_reading_a_variable_is_seen(monkeypatch, reading):
    """With a digest of its value, and None where it is not set."""
    monkeypatch.setenv("ANA_YEAR", "2018")
    with observing() as seen:
        reading()
    assert seen.variables == {"ANA_YEAR": digest_of_value("2018")}
    monkeypatch.delenv("ANA_YEAR")
    with observing() as seen, contextlib.suppress(KeyError):
        reading()
    assert seen.variables == {"ANA_YEAR": None}


def test_the_home_folder_is_read_where_the_step_asks_for_it():
    """`~` in a path of the step stands for $HOME."""
    with observing() as seen:
        pathlib.Path.home()
    assert set(seen.variables) == {"HOME"}


def test_a_librarys_own_variables_do_not_count():
    """A library reads what it names itself, at import and later."""
    import tempfile

    tempfile.tempdir = None
    with observing() as seen:
        tempfile.gettempdir()
        import webbrowser  # noqa: F401
    assert not seen.variables


def test_a_variable_that_a_library_reads_for_the_step_counts(monkeypatch):
    """The name is the user's: a library that has it from him has read it for him."""
    monkeypatch.setenv("ANA_YEAR", "2018")
    option, context = click.Option(["--year"], envvar="ANA_YEAR"), click.Context(click.Command("x"))
    with observing() as seen:
        assert option.resolve_envvar_value(context) == "2018"
    assert set(seen.variables) == {"ANA_YEAR"}


def test_values_are_not_kept(monkeypatch):
    """Not even a digest of a password that could be guessed from."""
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    with observing() as seen:
        os.getenv("DB_PASSWORD")
    assert "hunter2" not in repr(seen)
    assert seen.variables == {"DB_PASSWORD": digest_of_value("hunter2", "DB_PASSWORD")}
    assert len(digest_of_value("hunter2", "DB_PASSWORD")) == 4


def test_going_through_all_variables_reads_them_all(monkeypatch):
    """Each of them may have counted."""

    def look():
        with observing() as seen:
            [name for name in os.environ if name.startswith("ANA_")]
        return seen.variables["*"]

    before = look()
    assert look() == before
    monkeypatch.setenv("ANA_NEW", "1")
    assert look() != before


def test_a_variable_that_the_step_set_itself_is_no_input(monkeypatch):
    """It is told as set."""
    monkeypatch.delenv("ANA_OWN", raising=False)
    with observing() as seen:
        os.environ["ANA_OWN"] = "1"
        os.getenv("ANA_OWN")
        del os.environ["ANA_OWN"]
    assert not seen.variables
    assert seen.variables_set == {"ANA_OWN"}


def test_a_library_that_goes_through_all_variables_reads_none_for_the_step():
    """Proxies and settings of a library's own are looked for among all of them."""
    import urllib.request

    import numba.core.config

    with observing() as seen:
        urllib.request.getproxies_environment()
        numba.core.config.reload_config()
    assert not seen.variables


def library(tmp_path, monkeypatch, name, text):
    """Import a module of the given text as an installed library."""
    folder = tmp_path / "site-packages"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return __import__(name)


def test_a_library_that_goes_through_all_variables_reads_all(tmp_path, monkeypatch):
    """As those do that take settings from variables by the fields of a class of the user's."""
    taking = library(tmp_path, monkeypatch, "taking", "import os\ndef take():\n    return dict(os.environ.items())\n")
    with observing() as seen:
        taking.take()
    assert set(seen.variables) == {EVERYTHING}


def test_a_library_that_looks_for_its_own_among_all_reads_none(tmp_path, monkeypatch):
    """As numba does whenever it compiles: it says by which letters its own begin."""
    own = library(
        tmp_path,
        monkeypatch,
        "own",
        "import os\ndef take():\n    return {k: v for k, v in os.environ.items() if k.startswith('OWN_')}\n",
    )
    with observing() as seen:
        own.take()
    assert not seen.variables


def test_the_standard_library_asks_for_its_caller(monkeypatch):
    """The name of the user is that of whoever runs the step."""
    monkeypatch.setenv("LOGNAME", "alice")
    with observing() as seen:
        assert getpass.getuser() == "alice"
    assert set(seen.variables) == {"LOGNAME"}
