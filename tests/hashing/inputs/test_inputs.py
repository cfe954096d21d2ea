"""Inputs: which texts and files among the arguments name files, and what they are known by."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs.fingerprint import files_below
from cachingclient.hashing.inputs.inputs import File, Inputs
from tests.hashing.inputs.writing import OLD, write


@pytest.mark.parametrize(
    "text",
    ["a.root", "./a.root", "data/b.txt", "data/", "./data", "data/*.txt", "*.root", "a.root:Events"]
    + ["Events", "data", "Events:tree", "Even*"],
)
def test_a_text_names_what_exists(here: Path, text: str) -> None:
    """Files, folders, patterns and objects in files are found by their text, with a suffix or without."""
    assert Inputs().of(text) is not None


@pytest.mark.parametrize(
    "text",
    ["event", "date", "missing.root", "pt/eta", "/", ".", "./", "1.5", "a.root\n", "", "x" * 5000 + "/"]
    + ["/*", "/*/*", "/**", "/**/*"],
)
def test_other_texts_are_just_texts(here: Path, text: str) -> None:
    """Missing files, separators alone, long texts, and patterns that the whole machine fits, name nothing."""
    assert Inputs().of(text) is None


def test_absolute_names_and_file_urls_are_found(here: Path) -> None:
    """An absolute path, its URL and a chained URL name the same file."""
    path = here / "a.root"
    looks = [Inputs().of(text) for text in (str(path), path.as_uri(), f"simplecache::{path.as_uri()}")]
    assert looks[0] is not None
    assert looks == [looks[0]] * 3


def test_a_way_into_a_file_names_the_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group inside a file, and a name with a variable in it, lead to the file."""
    monkeypatch.setenv("DATA", str(here))
    looks = [Inputs().of(text) for text in ("./a.root", "a.root/group/tree", "$DATA/a.root")]
    assert looks[0] is not None
    assert looks == [looks[0]] * 3


def test_a_path_counts_as_one_without_a_suffix(here: Path) -> None:
    """A Path names whatever lies there; of a bare word among the arguments, opening it tells."""
    assert Inputs().of_path(Path("Events")) is not None
    assert identify(Path("data")).inputs
    assert not identify("data").inputs


def test_a_local_file_is_no_part_of_the_key(here: Path) -> None:
    """What a file holds stands in the trace of a result, so a key stays the same when the file changes."""
    before = [identify(value).digest for value in ("a.root", "data/", "*.root", Path("a.root"))]
    write(here / "a.root", b"changed", OLD + 1)
    write(here / "data" / "new.txt", b"new")
    write(here / "new.root", b"new")
    assert [identify(value).digest for value in ("a.root", "data/", "*.root", Path("a.root"))] == before


def test_name_mode_looks_at_nothing(here: Path) -> None:
    """In name mode a file's name is a text like any other, and a URL is not asked."""
    assert Inputs("name").of("a.root") is None
    assert Inputs("name").of("http://localhost:1/x") is None


def test_an_unknown_mode_is_named() -> None:
    """A wrong mode is named with those there are."""
    with pytest.raises(ValueError, match='mode must be "stat", "content" or "name", got \'fast\''):
        Inputs("fast")  # type: ignore[arg-type]


def test_the_same_look_under_another_name_is_another_input(here: Path) -> None:
    """The name is part of what a step gets, so it counts."""
    write(here / "b.root", b"root")
    assert identify("a.root").digest != identify("b.root").digest


def test_a_circle_of_links_ends(here: Path) -> None:
    """A folder that links to itself is listed once."""
    (here / "data" / "loop").symlink_to(here / "data", target_is_directory=True)
    assert [name for name, _ in files_below(str(here / "data"))] == ["b.txt", "deep/c.txt"]


def test_a_partial_look_is_a_warning_of_the_identity(here: Path) -> None:
    """Whoever asks for the identity is told of what was not looked at."""
    assert "only the first 1 files" in identify("data/", Inputs(most_files=1)).warnings[0]


def test_a_file_named_by_its_content_may_lie_anywhere(here: Path) -> None:
    """Equal content under two names is one File, and other content is another."""
    write(here / "b.root", b"root", OLD + 1)
    write(here / "c.root", b"other")
    one, same, other = (identify(File(name)).digest for name in ("a.root", "b.root", "c.root"))
    assert one == same != other


def test_a_file_opens_like_a_path_and_survives_a_pickle(here: Path) -> None:
    """A File is text and path at once."""
    file = pickle.loads(pickle.dumps(File(here / "a.root")))
    assert type(file) is File
    assert Path(file).read_bytes() == b"root"
    assert os.fspath(file) == str(here / "a.root")
    assert repr(file) == f"File({str(here / 'a.root')!r})"


def test_a_file_that_is_missing_has_no_identity(here: Path) -> None:
    """There is no content to go by."""
    with pytest.raises(Unidentifiable, match=r"File\('gone.root'\), where there is no file"):
        identify(File("gone.root"))


def test_a_file_by_its_content_and_by_its_name_is_known_by_its_content(here: Path) -> None:
    """In whichever order they come, what is in the key needs no trace."""
    path = str(here / "a.root")
    for both in ([File(path), path], [path, File(path)]):
        (seen,) = identify(both).inputs
        assert seen.in_key


def test_one_plan_looks_once(here: Path) -> None:
    """Inputs keep what they saw, so one plan sees one state of a file."""
    inputs = Inputs()
    before = inputs.of("a.root")
    write(here / "a.root", b"changed")
    assert inputs.of("a.root") == before


def test_prefetch_looks_at_many(here: Path) -> None:
    """After a prefetch nothing is looked at again."""
    inputs = Inputs()
    inputs.prefetch(["a.root", "Events", "data/b.txt", "a.root", "missing/x"])
    for name in ("a.root", "data/b.txt"):
        (here / name).unlink()
    assert inputs.of("a.root") is not None
    assert inputs.of("data/b.txt") is not None
    assert inputs.of("missing/x") is None


def test_identities_name_the_inputs_met_on_the_way(here: Path) -> None:
    """Files deep inside an argument are listed with the identity."""
    found = identify({"files": {"a.root": "Events"}, "more": [Path("data/b.txt")]}).inputs
    assert {Path(look.url).name for look in found} == {"a.root", "b.txt"}


def test_a_file_has_one_identity_under_all_its_names(tmp_path: Path) -> None:
    """A link, a copy and a URL of it are the same; another content is not."""
    path = tmp_path / "a.root"
    path.write_bytes(bytes(100_000))
    (tmp_path / "link.root").symlink_to(path)
    (tmp_path / "hard.root").hardlink_to(path)
    (tmp_path / "copy.root").write_bytes(bytes(100_000))
    names = [str(path), *(str(tmp_path / f"{how}.root") for how in ("link", "hard", "copy")), path.as_uri()]
    assert len({identify(File(name)).digest for name in names}) == 1
    path.write_bytes(bytes(99_999) + b"1")
    assert len({identify(File(name)).digest for name in names}) == 2
