"""Inputs: which texts name files, what of a file counts, and how a change is seen."""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest

from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.identify import identify
from cachingclient.hashing.inputs import inputs as inputs_module
from cachingclient.hashing.inputs.fingerprint import SMALL_FILE, Fingerprint, files_below
from cachingclient.hashing.inputs.inputs import File, Inputs
from cachingclient.hashing.inputs.remote import look_at_remote, run_with_timeout, scheme_of

OLD = 1_600_000_000_000_000_001
"""A time of change, in nanoseconds, long enough ago that no clock's tick is in doubt."""


def write(path: Path, content: bytes, mtime_ns: int = OLD) -> Path:
    """Write a file as if it had been changed at a given time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def large(letter: bytes) -> bytes:
    """Return content too large to be read for an identity."""
    return letter * (SMALL_FILE + 1)


def looks_of(value: object, inputs: Inputs | None = None) -> list[bytes]:
    """Return what the files look like that a value names: what an entry that was made from them is compared with."""
    return [look.identity for look in identify(value, inputs).inputs]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file, a folder and a tree of files in it."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.root", b"root")
    write(tmp_path / "Events", b"no suffix")
    write(tmp_path / "data" / "b.txt", b"b")
    write(tmp_path / "data" / "deep" / "c.txt", b"c")
    return tmp_path


@pytest.mark.parametrize(
    "text",
    ["a.root", "./a.root", "data/b.txt", "data/", "./data", "data/*.txt", "*.root", "a.root:Events"]
    + ["Events", "data", "Events:tree", "Even*"],
)
def test_a_text_names_what_exists(here: Path, text: str) -> None:
    """Files, folders, patterns and objects in files are found by their text, with a suffix or without."""
    assert Inputs().of(text) is not None


@pytest.mark.parametrize(
    "text", ["event", "date", "missing.root", "pt/eta", "/", ".", "./", "1.5", "a.root\n", "", "x" * 5000 + "/"]
)
def test_other_texts_are_just_texts(here: Path, text: str) -> None:
    """Missing files, separators alone and long texts name nothing."""
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


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD with whatever the test set."""

    headers_to_send: ClassVar[dict[str, str]] = {}
    status = 200
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        for name, value in self.headers_to_send.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server whose answers a test sets on Handler."""
    monkeypatch.setattr(Handler, "headers_to_send", {"ETag": '"1"', "Content-Length": "5"})
    monkeypatch.setattr(Handler, "status", 200)
    monkeypatch.setattr(Handler, "asked", [])
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a.root"
        server.shutdown()


def test_a_url_counts_by_what_its_server_says(server: str) -> None:
    """A new ETag is a new identity, found with one request."""
    before = identify(server).digest
    assert identify(server).digest == before
    Handler.headers_to_send = {"ETag": '"2"', "Content-Length": "5"}
    assert identify(server).digest != before
    assert Handler.asked == ["/a.root"] * 3


def test_recheck_asks_the_server_again(server: str) -> None:
    """A remote file that changed is reported, unless only local ones are asked for."""
    seen = Inputs().of(server)
    assert seen is not None
    assert Inputs().recheck([seen]) == []
    Handler.headers_to_send = {"ETag": '"2"'}
    assert Inputs().recheck([seen]) == [seen]
    assert Inputs().recheck([seen], remote=False) == []


def test_an_object_in_a_remote_file_is_asked_for_as_the_file(server: str) -> None:
    """The name of a tree behind a URL is not sent to the server."""
    assert Inputs().of(f"{server}:Events") == Inputs().of(server)


def test_a_missing_url_is_a_text(server: str) -> None:
    """A server that says 404 has answered: there is no input."""
    Handler.status = 404
    assert Inputs().of(server) is None


@pytest.mark.parametrize(
    ("status", "headers", "reason"), [(403, {}, "403"), (200, {"Content-Length": "5"}, "neither an ETag")]
)
def test_a_url_that_says_nothing_has_no_identity(
    server: str, status: int, headers: dict[str, str], reason: str
) -> None:
    """A refusal, and an answer by which no change could be seen, are reasons."""
    Handler.status, Handler.headers_to_send = status, headers
    with pytest.raises(Unidentifiable, match=reason):
        Inputs().of(server)


def test_an_unreachable_url_has_no_identity() -> None:
    """A server that is not there is a reason that names the URL."""
    with pytest.raises(Unidentifiable, match=r"http://127\.0\.0\.1:1/x, which can't be looked at now"):
        Inputs().of("http://127.0.0.1:1/x")


def test_a_silent_server_is_asked_once_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of files on a server that is away cost one wait, and each has its reason."""
    asked = []

    def look(url: str, timeout: float) -> None:
        asked.append(url)
        raise Unidentifiable(f"{url}, which did not answer") from TimeoutError()

    monkeypatch.setattr(inputs_module, "look_at_remote", look)
    inputs = Inputs()
    for name in ("a", "b", "a"):
        with pytest.raises(Unidentifiable, match=r"http://away\.example/a, which did not answer"):
            inputs.of(f"http://away.example/{name}")
    with pytest.raises(Unidentifiable, match=r"http://other\.example/a"):
        inputs.of("http://other.example/a")
    assert asked == ["http://away.example/a", "http://other.example/a"]


def test_a_file_system_of_fsspec_is_asked_for_files_folders_and_patterns() -> None:
    """Whatever fsspec can open is looked at by size and time, or by the version its server names."""
    memory = fsspec.filesystem("memory")
    memory.pipe({"/look/a.txt": b"1", "/look/deep/b.txt": b"2"})
    urls = ["memory://look/a.txt", "memory://look", "memory://look/*.txt"]
    before = [look_at_remote(url, 5) for url in urls]
    assert [look_at_remote(url, 5) for url in urls] == before
    assert look_at_remote("memory://look/none.txt", 5) is None
    memory.pipe({"/look/a.txt": b"11"})
    assert all(look_at_remote(url, 5) != look for url, look in zip(urls, before, strict=True))
    memory.rm("/look", recursive=True)


def test_a_rucio_name_counts_by_the_checksums_of_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data identifier is asked for its files; a new file in a data set is a change."""
    files = [{"scope": "user", "name": "a", "bytes": 1, "adler32": "x"}]

    class Missing(Exception):
        """What Rucio raises for unknown names."""

    class Client:
        def list_files(self, scope: str, name: str) -> list[dict[str, Any]]:
            if (scope, name) != ("user.alice", "ttbar"):
                raise Missing
            return files

    monkeypatch.setitem(sys.modules, "rucio", types.ModuleType("rucio"))
    for name, members in {
        "rucio.client": {"Client": Client},
        "rucio.common": {},
        "rucio.common.exception": {"DataIdentifierNotFound": Missing},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    before = look_at_remote("rucio://user.alice:ttbar", 5)
    assert before == Fingerprint(before.url, "remote", 1, checksum=before.checksum)
    assert look_at_remote("rucio://user.alice:other", 5) is None
    files.append({"scope": "user", "name": "b", "bytes": 1, "adler32": "y"})
    assert look_at_remote("rucio://user.alice:ttbar", 5) != before


def test_a_server_that_hangs_takes_bounded_time() -> None:
    """The wait for an answer ends, and says so."""
    never = threading.Event()
    with pytest.raises(TimeoutError):
        run_with_timeout(0.05, never.wait)
    never.set()


def test_a_scheme_without_its_library_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A known scheme that nothing here can open is a reason, not a text."""
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(Unidentifiable, match="without another library"):
        look_at_remote("root://host.example//a.root", 5)


@pytest.mark.parametrize("text", ["tcp://10.0.0.1:8786", "inproc://x", "mailto:a@b.c", "http", "C:/x"])
def test_other_schemes_are_texts(text: str) -> None:
    """Addresses of schedulers and the like are never asked."""
    assert scheme_of(text) is None


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
