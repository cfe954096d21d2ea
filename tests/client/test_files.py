"""Files that steps are given, or open by themselves: when one changes, what it reaches runs in the next session.

That is so whatever names the file and however it changes; what is as it was is loaded.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dask.delayed import delayed
from distributed import Client, LocalCluster

from cachingclient import DiracClient, File
from cachingclient.hashing.inputs.fingerprint import SMALL_FILE


def read(name: Any) -> str:
    return Path(os.fsdecode(name)).read_text()


def read_tree(name: str) -> str:
    file, _, tree = name.rpartition(":")
    return tree + read(file)


def read_below(folder: str) -> list[str]:
    return [path.read_text() for path in sorted(Path(folder).rglob("*.txt"))]


def read_matches(pattern: str) -> list[str]:
    return [read(name) for name in sorted(glob.glob(pattern))]


def read_nested(named: dict[str, list[str]]) -> list[str]:
    return [read(name) for names in named.values() for name in names]


def read_listed(name: str) -> list[str]:
    return [read(line) for line in read(name).splitlines()]


def read_through_a_handle(name: str) -> bytes:
    handle = os.open(name, os.O_RDONLY)
    try:
        return os.read(handle, 2 * SMALL_FILE)
    finally:
        os.close(handle)


def listed(folder: Path) -> str:
    (folder / "list.lst").write_text(f"{folder / 'a.txt'}\n")
    return str(folder / "list.lst")


def in_code(folder: Path, source: str) -> Callable[[], str]:
    """Return the function of an analysis that lies in the folder and goes to the workers by value."""
    names: dict[str, Any] = {"__name__": "analysis_of_files", "__file__": str(folder / "analysis.py")}
    exec(source.replace("{FILE}", str(folder / "a.txt")), names)
    return names["literal"]


LITERAL = "def literal():\n    return open('{FILE}').read()"
BESIDE = "import os\ndef literal():\n    return open(os.path.join(os.path.dirname(__file__), 'a.txt')).read()"
PARENT = "from pathlib import Path\ndef literal():\n    return (Path(__file__).parent / 'a.txt').read_text()"

WAYS: dict[str, Callable[[Path], tuple[Any, ...]]] = {
    "a text": lambda folder: (read, str(folder / "a.txt")),
    "a Path": lambda folder: (read, folder / "a.txt"),
    "bytes": lambda folder: (read, os.fsencode(folder / "a.txt")),
    "a URL": lambda folder: (lambda url: read(url.removeprefix("file://")), (folder / "a.txt").as_uri()),
    "an object in the file": lambda folder: (read_tree, f"{folder / 'a.txt'}:Events"),
    "a File": lambda folder: (read, File(folder / "a.txt")),
    "a folder": lambda folder: (read_below, str(folder)),
    "a pattern": lambda folder: (read_matches, str(folder / "*.txt")),
    "a list in a dict": lambda folder: (read_nested, {"ttbar": [str(folder / "a.txt")]}),
    "a list in a file": lambda folder: (read_listed, listed(folder)),
    "a handle": lambda folder: (read_through_a_handle, str(folder / "a.txt")),
    "a literal": lambda folder: (in_code(folder, LITERAL),),
    "beside the module": lambda folder: (in_code(folder, BESIDE),),
    "below the module's parent": lambda folder: (in_code(folder, PARENT),),
}


def rewrite(path: Path) -> None:
    path.write_text(path.read_text().swapcase())


def rewrite_unnoticed(path: Path) -> None:
    """Other content of the same size, with the old time."""
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_text(path.read_text().swapcase())
    os.replace(other, path)


def replace_by_a_link(path: Path) -> None:
    other = path.with_suffix(".other")
    other.write_text(path.read_text().swapcase())
    path.unlink()
    path.symlink_to(other)


CHANGES: dict[str, Callable[[Path], object]] = {
    "rewritten": rewrite,
    "rewritten with the old time": rewrite_unnoticed,
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: path.write_text(""),
    "appended to": lambda path: path.write_text(path.read_text() + "more"),
    "replaced": replace,
    "replaced by a link": replace_by_a_link,
}
SAME: dict[str, Callable[[Path], object]] = {
    "touched": lambda path: os.utime(path),
    "written again": lambda path: path.write_text(path.read_text()),
    "copied back": lambda path: (shutil.copy(path, path.with_suffix(".bak")), path.with_suffix(".bak").replace(path)),
}


def after(way: str, content: Any) -> tuple[str, Any]:
    return way, content


class Analysis:
    """One step for each way to name a file, with a step after it, run by a new client each time."""

    def __init__(self, folder: Path, make_client: Callable[..., DiracClient], filler: str = "") -> None:
        self.make_client = make_client
        self.folders = {way: folder / way.replace(" ", "-").replace("'", "") for way in WAYS}
        for way, place in self.folders.items():
            place.mkdir()
            (place / "a.txt").write_text(f"Numbers of {way}{filler}")
        self.steps = {way: WAYS[way](place) for way, place in self.folders.items()}

    def session(self) -> dict[str, set[str]]:
        """Run the analysis; return which ways ran their first and their second step."""
        graph = []
        for way, (function, *args) in self.steps.items():
            first = delayed(function)(*args, dask_key_name=f"read {way}")
            graph.append(delayed(after)(way, first, dask_key_name=f"after {way}"))
        client = self.make_client()
        found = client.compute(graph, sync=True)
        client.flush()
        assert dict(found) == {way: function(*args) for way, (function, *args) in self.steps.items()}
        assert client.report is not None
        assert not {record.name: record.note for record in client.report.records if record.note}
        ran = [str(record.key).partition(" ") for record in client.report.records if record.action == "ran"]
        return {step: {way for first, _, way in ran if first == step} for step in ("read", "after")}

    def change(self, how: Callable[[Path], object]) -> None:
        """Change the file of each way."""
        for place in self.folders.values():
            how(place / "a.txt")


EVERYTHING = {"read": set(WAYS), "after": set(WAYS)}
NOTHING: dict[str, set[str]] = {"read": set(), "after": set()}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_by_the_next_session(
    change: str, make_client: Callable[..., DiracClient], tmp_path: Path
) -> None:
    """What read the file runs, and what comes after it; the session after that loads everything."""
    analysis = Analysis(tmp_path, make_client)
    assert analysis.session() == EVERYTHING
    assert analysis.session() == NOTHING
    analysis.change(CHANGES[change])
    assert analysis.session() == EVERYTHING
    assert analysis.session() == NOTHING


@pytest.mark.parametrize("same", SAME)
def test_a_file_that_is_what_it_was_costs_nothing(
    same: str, make_client: Callable[..., DiracClient], tmp_path: Path
) -> None:
    """A small file is known by what it holds, whoever wrote it again and when; those of a pattern by size and time."""
    analysis = Analysis(tmp_path, make_client)
    analysis.session()
    analysis.change(SAME[same])
    ran = analysis.session()
    assert ran["read"] <= {"a pattern"}
    assert not ran["after"]
    assert analysis.session() == NOTHING


def test_large_files_are_seen_to_change(make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """Of a file too large to be read for it, size and time tell."""
    analysis = Analysis(tmp_path, make_client, "x" * SMALL_FILE)
    assert analysis.session() == EVERYTHING
    assert analysis.session() == NOTHING
    analysis.change(rewrite)
    assert analysis.session() == EVERYTHING
    analysis.change(CHANGES["truncated"])
    assert analysis.session() == EVERYTHING
    assert analysis.session() == NOTHING


def test_a_change_that_is_taken_back_finds_the_first_results(
    make_client: Callable[..., DiracClient], tmp_path: Path
) -> None:
    """Results of both states of a file are kept beside each other."""
    analysis = Analysis(tmp_path, make_client)
    analysis.session()
    analysis.change(rewrite)
    assert analysis.session() == EVERYTHING
    analysis.change(rewrite)
    ran = analysis.session()
    assert ran["read"] <= {"a pattern"}, "the times of a pattern's files count"
    assert not ran["after"]


@pytest.mark.parametrize("way", ["a folder", "a pattern"])
def test_files_that_come_and_go_are_seen(way: str, make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """A file that joins a folder or a pattern, and one that leaves it, make the step run."""
    analysis = Analysis(tmp_path, make_client)
    analysis.session()
    other = analysis.folders[way] / "b.txt"
    other.write_text("one more")
    assert analysis.session() == {"read": {way}, "after": {way}}
    other.rename(other.with_name("0.txt"))
    assert analysis.session() == {"read": {way}, "after": {way}}
    other.with_name("0.txt").unlink()
    assert analysis.session() == NOTHING


def test_a_file_that_is_gone_is_missed(make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """A result made from a file that is no more is not loaded: the step fails as it does without a cache."""
    analysis = Analysis(tmp_path, make_client)
    analysis.session()
    analysis.change(Path.unlink)
    client = make_client()
    for way in set(WAYS) - {"a folder", "a pattern"}:
        function, *args = analysis.steps[way]
        with pytest.raises(FileNotFoundError):
            client.submit(after, way, client.submit(function, *args)).result()


def test_a_bare_name_is_found_in_the_workers_folder(tmp_path: Path) -> None:
    """A relative name without a suffix leads where the workers are, and is seen to change there."""
    (tmp_path / "calibration").write_text("1.0")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        with Client(cluster, set_as_default=False) as plain:
            plain.run(os.chdir, str(tmp_path))
        seen = []
        for content in ("1.0", "1.0", "2.0", "2.0"):
            (tmp_path / "calibration").write_text(content)
            with DiracClient(cluster, cache=(tmp_path / "cache").as_uri(), policy="all") as client:
                found = client.compute(delayed(after)("", delayed(read)("calibration")), sync=True)
                client.flush()
                assert client.report is not None
                seen.append((found[1], sum(record.action == "ran" for record in client.report.records)))
    assert seen == [("1.0", 2), ("1.0", 0), ("2.0", 2), ("2.0", 0)]
