"""Proxies and tokens at workers: private, renewed, and nowhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import dask
import pytest
from distributed import Client

from cachingclient.vine import VineCluster
from cachingclient.worker import credentials
from cachingclient.worker.credentials import Credentials, Given
from tests.services.certificates import Authority
from tests.support.waiting import until
from tests.vine.pools import place_for

KINDS = ["dask", "workqueue"]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:distributed")


@pytest.fixture
def token(tmp_path: Path) -> Path:
    return renew(tmp_path / "bt_u1000", "the first token")


@pytest.fixture
def proxy(tmp_path: Path) -> Path:
    return authority_in(tmp_path).proxy("alice")


def authority_in(folder: Path) -> Authority:
    (folder / "authority").mkdir()
    return Authority(folder / "authority")


def renew(path: Path, text: str) -> Path:
    """Write a token as programs do that get one."""
    unfinished = path.with_suffix(".new")
    unfinished.touch(0o600)
    unfinished.write_text(text)
    return unfinished.replace(path)


@contextmanager
def cluster_with(engine: str, given: Given, folder: Path) -> Iterator[tuple[VineCluster, Client]]:
    options = {"folder": folder / "manager"} if engine == "workqueue" else {}
    with (
        place_for(engine, folder / "place"),
        dask.config.set({"temporary-directory": str(folder / "workers")}),
        VineCluster({"RAL": 1}, engine=engine, engine_options=options, credentials=given) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield cluster, client


def found_by(variable: str) -> tuple[str, int, dict[str, str]]:
    """What a task finds: a credential, the mode of its file, and its whole environment."""
    path = os.environ[variable]
    return Path(path).read_text(), os.stat(path).st_mode & 0o777, dict(os.environ)


def shown_by_processes() -> bytes:
    """The environments and command lines of all processes."""
    found = b""
    for path in (file for name in ("environ", "cmdline") for file in Path("/proc").glob(f"[0-9]*/{name}")):
        try:
            found += path.read_bytes()
        except OSError:
            continue  # it has ended
    return found


@pytest.mark.services
@pytest.mark.parametrize("engine", KINDS)
def test_tasks_find_them_in_private_files(
    engine: str, tmp_path: Path, proxy: Path, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their content in no variable, no command line, and no file that others can read."""
    monkeypatch.setenv("BEARER_TOKEN", "an old one")
    with cluster_with(engine, {"proxy": proxy, "token": token}, tmp_path) as (_, client):
        for variable, path in (("X509_USER_PROXY", proxy), ("BEARER_TOKEN_FILE", token)):
            content, mode, environment = client.submit(found_by, variable, pure=False).result()
            assert content == path.read_text()
            assert mode == 0o600
            assert environment[variable] != str(path)
            assert "BEARER_TOKEN" not in environment
            assert not any(content in value for value in environment.values())
        assert token.read_bytes() not in shown_by_processes()
        holding = [file for file in tmp_path.rglob("*") if file.is_file() and token.read_bytes() in file.read_bytes()]
        assert len(holding) > 1
        assert {file.stat().st_mode & 0o777 for file in holding} == {0o600}
    assert os.environ["BEARER_TOKEN"] == "an old one"


@pytest.mark.services
@pytest.mark.parametrize("engine", KINDS)
def test_a_new_one_reaches_workers(engine: str, tmp_path: Path, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that run, and one that comes later, which gets it before its first task."""
    monkeypatch.setattr(credentials, "LOOK_EVERY", 0.1)
    with cluster_with(engine, {"token": token}, tmp_path) as (cluster, client):

        def finds() -> str:
            return client.submit(found_by, "BEARER_TOKEN_FILE", pure=False).result()[0]

        assert finds() == "the first token"
        renew(token, "the second token")
        until(lambda: finds() == "the second token", "the worker has the new token")
        cluster.scale(RAL=0)
        until(lambda: not cluster.table().rows[0].stats.workers, "the worker is gone")
        cluster.scale(RAL=1)
        assert finds() == "the second token"


def test_the_users_own_are_found(tmp_path: Path, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """True takes what the environment names; where there is nothing, that is an error that says where was looked."""
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(token))
    assert Credentials(True).contents["BEARER_TOKEN_FILE"] == b"the first token"
    monkeypatch.setattr(credentials, "_usual", lambda kind: [tmp_path / "nothing"])
    with pytest.raises(ValueError, match=f"neither a proxy nor a token at {tmp_path}"):
        Credentials(True)


def test_one_that_is_not_renewed_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Ten minutes before it ends, with its name; a new one in its place is taken and not warned of."""
    authority = authority_in(tmp_path)
    path = authority.proxy("alice", lasts=timedelta(minutes=5))
    followed = Credentials({"proxy": path})
    assert [followed.look(), followed.look()] == [False, False]
    assert [each.message.partition(" ends in ")[0] for each in caplog.records] == [f"the proxy {path}"]
    authority.proxy("alice").replace(path)
    assert [followed.look(), followed.look()] == [True, False]
    assert len(caplog.records) == 1


def test_one_that_ends_in_mid_run_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers keep it, as there is no other; a new one in its place reaches them."""
    authority = authority_in(tmp_path)
    path = authority.proxy("alice", lasts=timedelta(hours=1))
    followed = Credentials({"proxy": path})
    ended = followed.contents
    monkeypatch.setattr(credentials, "time", SimpleNamespace(time=lambda: time.time() + 4000))
    assert [followed.look(), followed.look(), followed.look()] == [False] * 3
    assert [each.message for each in caplog.records] == [
        f"credentials: the proxy {path} has ended; make a new one there"
    ]
    assert followed.contents == ended
    authority.proxy("alice").replace(path)
    assert followed.look()


def test_half_a_proxy_is_not_sent(proxy: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was there is kept until there is a whole one; if that lasts it is warned of."""
    followed = Credentials({"proxy": proxy})
    whole = proxy.read_bytes()
    proxy.write_bytes(whole[:100])
    assert not followed.look()
    assert not caplog.records
    assert not followed.look()
    assert "there is no proxy in" in caplog.text
    assert followed.contents["X509_USER_PROXY"] == whole


def test_when_a_token_ends() -> None:
    """By its claims, if it has any."""
    assert credentials.ends(b"opaque") is None
    assert credentials.ends(b"a.b.c") is None
    assert (credentials.ends(b"e30.eyJleHAiOiAxMjN9.c2ln") or 0) < time.time()


@pytest.mark.parametrize(
    ("write", "mode", "says"),
    [
        ("", 0o600, "there is no proxy in"),
        ("text", 0o600, "there is no proxy in"),
        ("text", 0o644, "others can read the proxy"),
        (None, 0o600, "can't be read: No such file"),
    ],
)
def test_what_is_none_is_refused(write: str | None, mode: int, says: str, tmp_path: Path) -> None:
    """Before anything starts."""
    if write is not None:
        (tmp_path / "proxy").write_text(write)
        (tmp_path / "proxy").chmod(mode)
    with pytest.raises(ValueError, match=says):
        VineCluster({"RAL": 1}, credentials={"proxy": tmp_path / "proxy"})


def test_an_ended_one_is_refused(tmp_path: Path) -> None:
    """A proxy that has ended would fail at the first file."""
    path = Authority(tmp_path).proxy("alice", lasts=timedelta(hours=-1))
    with pytest.raises(ValueError, match="has ended; make a new one there"):
        VineCluster({"RAL": 1}, credentials={"proxy": path})


@pytest.mark.parametrize("given", [{}, {"password": "x"}, "proxy"])
def test_other_kinds_are_refused(given: Given) -> None:
    """With what it takes."""
    with pytest.raises(ValueError, match="it takes True, or a dict with the paths of 'proxy' and 'token'"):
        Credentials(given)


def test_they_are_not_sent_in_clear(token: Path, tmp_path: Path) -> None:
    """Neither by dask without TLS, nor by Work Queue to other machines."""
    with pytest.raises(ValueError, match="security=False would send them"):
        VineCluster({"RAL": 1}, credentials={"token": token}, security=False)
    options = {"host": "head.example.org"}
    with (
        place_for("workqueue", tmp_path / "place"),
        pytest.raises(ValueError, match=r"engine workqueue encrypts nothing, and its host head\.example\.org"),
    ):
        VineCluster({"RAL": 1}, engine="workqueue", engine_options=options, credentials={"token": token})
