"""What of a local file or folder counts, and how a change is seen: in a plan, and while a step runs."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs.fingerprint import SMALL_FILE, Fingerprint
from cachingclient.hashing.inputs.inputs import Inputs
from tests.hashing.inputs.writing import OLD, large, write


def looks_of(value: object, inputs: Inputs | None = None) -> list[bytes]:
    """Return what the files look like that a value names: what an entry that was made from them is compared with."""
    return [look.identity for look in identify(value, inputs).inputs]


def test_a_change_of_content_shows_at_the_same_size_and_time(here: Path) -> None:
    """A small file counts by its content, so a clock's tick hides nothing."""
    before = looks_of("a.root")
    write(here / "a.root", b"ROOT")
    assert looks_of("a.root") != before


def test_touching_a_small_file_changes_nothing(here: Path) -> None:
    """A checkout that writes the same content again costs no hit."""
    before = looks_of("a.root")
    write(here / "a.root", b"root", OLD + 10**9)
    assert looks_of("a.root") == before


def test_a_large_file_counts_by_size_and_time(here: Path) -> None:
    """A large file is not read: its size and time of change say what it is."""
    write(here / "big.root", large(b"a"))
    before = looks_of("big.root")
    write(here / "big.root", large(b"b"))
    assert looks_of("big.root") == before
    write(here / "big.root", large(b"b"), OLD + 1)
    assert looks_of("big.root") != before


def test_a_large_file_changed_just_now_is_read(here: Path) -> None:
    """Two writes within one tick of the file system's clock are told apart."""
    seen = set()
    for letter in (b"a", b"b"):
        path = here / "big.root"
        path.write_bytes(large(letter))
        seen.update(looks_of("big.root"))
    assert len(seen) == 2


def test_content_mode_reads_large_files(here: Path) -> None:
    """In content mode time does not count and content does."""
    write(here / "big.root", large(b"a"))
    before = looks_of("big.root", Inputs("content"))
    write(here / "big.root", large(b"a"), OLD + 5)
    assert looks_of("big.root", Inputs("content")) == before
    write(here / "big.root", large(b"b"), OLD + 5)
    assert looks_of("big.root", Inputs("content")) != before


def test_the_uuid_of_a_root_file_counts(here: Path) -> None:
    """Two large ROOT files of equal size and time differ by what ROOT wrote into them."""
    uproot = pytest.importorskip("uproot")
    looks = []
    for name in ("x.root", "y.root"):
        with uproot.recreate(here / name, compression=None) as file:
            file["text"] = "x" * 2 * SMALL_FILE
        os.utime(here / name, ns=(OLD, OLD))
        looks.append(Inputs().of(name))
        with uproot.open(here / name) as file:
            assert looks[-1].uuid == file.file.uuid.hex
    assert looks[0].size == looks[1].size
    assert looks[0].identity != looks[1].identity


def test_a_folder_counts_by_all_files_below_it(here: Path) -> None:
    """A new, a changed and a renamed file deep below a folder each change it."""
    seen = looks_of("data/")
    write(here / "data" / "deep" / "c.txt", b"changed", OLD + 1)
    seen += looks_of("data/")
    write(here / "data" / "new.txt", b"")
    seen += looks_of("data/")
    (here / "data" / "new.txt").rename(here / "data" / "other.txt")
    seen += looks_of("data/")
    assert len(set(seen)) == 4


def test_a_pattern_counts_by_all_files_it_matches(here: Path) -> None:
    """A file that joins a pattern changes it."""
    before = looks_of("data/*.txt")
    write(here / "data" / "z.txt", b"z")
    assert looks_of("data/*.txt") != before


CHANGES: dict[str, Callable[[Path], object]] = {
    "rewritten": lambda path: path.write_bytes(b"ROOT"),
    "appended": lambda path: path.open("ab").write(b"x"),
    "gone": lambda path: path.unlink(),
    "replaced by a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("content", [b"root", large(b"a")], ids=["small", "large"])
@pytest.mark.filterwarnings("ignore:.*unclosed file:ResourceWarning")
def test_recheck_sees_a_change(here: Path, change: str, content: bytes) -> None:
    """A file that changed while a step ran is reported, whatever happened to it."""
    path = write(here / "a.root", content)
    seen = Inputs().of("a.root")
    assert seen is not None
    assert Inputs().recheck([seen]) == []
    CHANGES[change](path)
    assert Inputs().recheck([seen]) == [seen]


def test_recheck_sees_changes_in_folders_and_patterns(here: Path) -> None:
    """A new file in a folder or a pattern is a change of it."""
    seen = [Inputs().of(text) for text in ("data/", "data/*.txt")]
    looks = [look for look in seen if look is not None]
    assert Inputs().recheck(looks) == []
    write(here / "data" / "new.txt", b"new")
    assert Inputs().recheck(looks) == looks


def test_recheck_accepts_a_copy_with_another_time(here: Path) -> None:
    """A small file with equal content on another machine is the same input."""
    seen = Inputs().of("a.root")
    assert seen is not None
    write(here / "a.root", b"root", OLD + 10**9)
    assert Inputs().recheck([seen]) == []


def test_a_fingerprint_travels(here: Path) -> None:
    """A fingerprint is small, pickles, and goes through JSON."""
    seen = Inputs().of("a.root")
    assert seen is not None
    assert pickle.loads(pickle.dumps(seen)) == seen
    assert Fingerprint(**json.loads(json.dumps(asdict(seen)))) == seen
    assert len(pickle.dumps(seen)) < 600
