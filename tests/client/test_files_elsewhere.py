"""Workers that see other files than the client: what is kept under a key is made of what the key says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest
from dask.delayed import delayed
from distributed import LocalCluster

from cachingclient import DiracClient, File, step
from tests.support.reported import counts


def read(path: Any) -> str:
    return Path(path).read_text()


def read_first(pair: tuple[Any, int]) -> str:
    return Path(pair[0]).read_text()


def name_file(path: str) -> File:
    return File(path)


def name_url(url: str, what: str) -> str:
    return f"{url}/{what}"


def fetch(url: str) -> str:
    with urlopen(url) as answer:
        return str(answer.read().decode())


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Callable[[], LocalCluster]]:
    """Makes clusters of one worker that sees the folder `theirs` where the client sees `data`."""
    (tmp_path / "data").mkdir()
    (tmp_path / "theirs").mkdir()
    mount = f"mount --bind {tmp_path}/theirs {tmp_path}/data"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("a worker can only be given mounts of its own by root")
    clusters: list[LocalCluster] = []
    workers: list[subprocess.Popen[bytes]] = []

    def start() -> LocalCluster:
        clusters.append(LocalCluster(n_workers=0, dashboard_address=":0"))
        address = clusters[-1].scheduler_address
        worker = f"{sys.executable} -m distributed.cli.dask_worker {address} --no-nanny --nthreads 1 --no-dashboard"
        workers.append(subprocess.Popen(["unshare", "-m", "sh", "-c", f"{mount} && exec {worker}"], cwd=tmp_path))
        return clusters[-1]

    yield start
    for process in workers:
        process.terminate()
        process.wait()
    for cluster in clusters:
        cluster.close()


@pytest.fixture
def connect(store_url: str) -> Callable[[LocalCluster], DiracClient]:
    """Returns a way to open a client that waits for one worker."""

    def open_client(cluster: LocalCluster) -> DiracClient:
        client = DiracClient(cluster, cache=store_url, policy="all")
        client.wait_for_workers(1)
        return client

    return open_client


def two_files(folder: Path) -> str:
    """Write a file for the client, and another one where a worker elsewhere finds it; return their path."""
    for place in ("data", "theirs"):
        (folder / place / "cuts.txt").write_text(place)
    return str(folder / "data" / "cuts.txt")


@pytest.mark.parametrize("named_as", [File, str])
@pytest.mark.parametrize("inside", [False, True])
def test_a_file_that_is_another_on_the_worker(
    named_as: type[str],
    inside: bool,
    tmp_path: Path,
    elsewhere: Callable[[], LocalCluster],
    connect: Callable[[LocalCluster], DiracClient],
) -> None:
    """Its result is not filed under the client's key: a worker that sees the client's file gives the right one."""
    named = named_as(two_files(tmp_path))
    call = delayed(read_first)((delayed(named), 1)) if inside else delayed(read)(named)
    with connect(elsewhere()) as client:
        for _ in range(2):
            assert client.compute(call, sync=True) == "theirs"
            client.flush()
        if named_as is File:
            notes = [record.note for record in client.report.records]
            assert any("cuts.txt is another file here than on the client" in note for note in notes), notes
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as same, connect(same) as client:
        assert client.compute(call, sync=True) == "data"
        assert counts(client)[0] > 0


@pytest.mark.parametrize("named_as", [File, str])
def test_a_result_of_the_clients_file_is_not_loaded_for_a_worker_with_another(
    named_as: type[str],
    tmp_path: Path,
    elsewhere: Callable[[], LocalCluster],
    connect: Callable[[LocalCluster], DiracClient],
) -> None:
    """A path leads to what is there where the step runs, also in a container that has its host's name."""
    named = named_as(two_files(tmp_path))
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as same, connect(same) as client:
        assert client.submit(read, named).result() == "data"
        client.flush()
    with connect(elsewhere()) as client:
        # A File is what the client says it is.
        assert client.submit(read, named).result() == ("data" if named_as is File else "theirs")


def test_a_file_that_a_result_names(make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """No key knows what is in it: the step that reads it runs again when it changes, and only then."""
    path = tmp_path / "table.txt"
    ran = []
    for text in ("one", "one", "two"):
        path.write_text(text)
        client = make_client()
        assert client.compute(delayed(read)(delayed(name_file)(str(path))), sync=True) == text
        client.flush()
        ran.append(counts(client)[0])
        client.close()
    assert ran == [2, 0, 1]


def test_a_file_of_a_step_inside_a_task(make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """A task whose step was found by the content of a file runs again when that file changes."""
    path = tmp_path / "table.txt"
    marked = step(read)

    def task(version: int) -> Any:
        def around(parts: list[str]) -> str:
            return f"{version} {marked(File('/'.join(parts)))}"

        return around

    for text, version in (("one", 1), ("one", 2), ("two", 2), ("two", 3), ("three", 3)):
        path.write_text(text)
        client = make_client()
        # The path is put together, so that no argument names the file, or the folder that it lies in.
        assert client.submit(task(version), str(path).split("/")).result() == f"{version} {text}"
        client.flush()
        client.close()


class _Server(BaseHTTPRequestHandler):
    """Serves one text, with an ETag."""

    text = "one"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{self.text}"')
        self.send_header("Content-Length", str(len(self.text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.text.encode())

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server."""
    monkeypatch.setattr(_Server, "text", "one")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_url_that_a_result_names(
    make_client: Callable[..., DiracClient], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key says how it looked, so nothing is kept of the step that reads it."""
    for text in ("one", "two"):
        monkeypatch.setattr(_Server, "text", text)
        client = make_client()
        assert client.compute(delayed(fetch)(delayed(name_url)(url, "a.txt")), sync=True) == text
        client.flush()
        assert any("came with the result of another step" in record.note for record in client.report.records)
        client.close()


def test_a_url_that_an_earlier_step_was_given(make_client: Callable[..., DiracClient], url: str) -> None:
    """Its key says how it looked, and so the keys of those after it do."""
    named = f"{url}/a.txt"
    ran = []
    for _ in range(2):
        client = make_client()
        pair = delayed(tuple)([named, 1])
        assert client.compute(delayed(lambda pair: fetch(pair[0]))(pair), sync=True) == "one"
        client.flush()
        ran.append(counts(client)[0])
        client.close()
    assert ran == [2, 0]
