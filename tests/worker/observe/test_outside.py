"""What a step does beyond files: processes, connections, file systems elsewhere, standard input."""

import http.server
import io
import multiprocessing
import os
import platform
import socket
import subprocess
import sys
import threading
import urllib.request

import fsspec
import pytest
from XRootD import client as xrootd

from cachingclient.worker.observe import describe, observing


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An HTTP server that keeps its connections."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "jec.json").write_text("{}")

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("starting", "name"),
    [
        (lambda: subprocess.run([sys.executable, "-c", ""], check=True), sys.executable),
        (lambda: os.system("true"), "true"),
        (lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0), "/bin/true"),
    ],
)
def test_programs_that_are_started_are_told(starting, name):
    """Nobody sees here what they read."""
    with observing() as seen:
        starting()
    assert seen.processes == {name}
    assert f"starts {name}" in describe(seen)


def test_processes_of_multiprocessing_are_told():
    """However they are started."""
    with observing() as seen:
        process = multiprocessing.get_context("spawn").Process(target=abs, args=(-1,))
        process.start()
        process.join()
    assert "multiprocessing" in seen.processes


def test_asking_for_the_platform_starts_nothing_that_counts():
    """The standard library runs programs to know the system."""
    platform._uname_cache = None
    with observing() as seen:
        platform.processor()
    assert not seen.processes


def test_connections_are_told(server):
    """Each host and port, by name where there is one."""
    with observing() as seen:
        socket.create_connection(("127.0.0.1", server)).close()
    assert seen.connections == {f"127.0.0.1:{server}"}


def test_a_request_over_a_kept_connection_is_told(server):
    """The second step makes no connection: it uses that of the first."""
    connection, url = http.client.HTTPConnection("127.0.0.1", server), f"http://127.0.0.1:{server}/jec.json"

    def ask():
        with observing() as seen:
            connection.request("GET", "/jec.json")
            connection.getresponse().read()
        return seen.remote, seen.connections <= seen.asked

    assert ask() == ask() == ({url}, True)
    connection.close()
    with observing() as seen, urllib.request.urlopen(url) as answer:
        answer.read()
    assert seen.remote == {url}
    assert seen.connections == {f"127.0.0.1:{server}"} <= seen.asked


def test_what_fsspec_reads_elsewhere_is_told_by_its_url(server):
    """Also where its own thread has a connection left from an earlier step."""
    url = f"http://127.0.0.1:{server}/jec.json"
    system = fsspec.filesystem("http")
    for _ in range(2):
        with observing() as seen:
            system.cat_file(url)
        assert url in seen.remote


def test_what_xrootd_opens_is_told_by_its_url():
    """The library connects in C++: the URL is all there is."""
    url = "root://127.0.0.1:1//store/a.root"
    with observing() as seen, xrootd.File() as file:
        file.open(url, timeout=1)
    assert seen.remote == {url}


def test_standard_input_cannot_be_read_again(monkeypatch):
    """A step that asks its user is told to do so."""
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    with observing() as seen:
        input()
    assert seen.unknown == {"standard input can't be read again"}


def test_a_library_that_is_imported_does_nothing_for_the_step(tmp_path, monkeypatch):
    """What it reads, sets and draws to get ready is no input: in the next step it is there already."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (tmp_path / "settings.json").write_text("{}")
    (folder / "library_of_tests.py").write_text(
        f"import os, random, uuid\nopen({str(tmp_path / 'settings.json')!r}).read()\nos.listdir({str(tmp_path)!r})\n"
        "os.environ['OF_LIBRARY'] = os.environ.get('LIBRARY_MODE', '1')\nname = uuid.uuid4()\nrandom.Random()\n"
    )
    monkeypatch.setenv("OF_LIBRARY", "")
    monkeypatch.syspath_prepend(str(folder))
    with observing() as seen:
        import library_of_tests  # noqa: F401
    assert describe(seen) == []


def test_a_module_of_the_users_that_is_imported_does(tmp_path, monkeypatch):
    """What the user's own module reads while it is imported is an input of the step that imported it."""
    (tmp_path / "settings.json").write_text("{}")
    (tmp_path / "module_of_tests.py").write_text(f"text = open({str(tmp_path / 'settings.json')!r}).read()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with observing() as seen:
        import module_of_tests  # noqa: F401
    assert list(seen.reads) == [str(tmp_path / "settings.json")]
