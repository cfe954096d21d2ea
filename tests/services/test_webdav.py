"""Stores on a WebDAV server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient import open_store
from cachingclient.storage import StoreError, StoreUnavailable, prune, verify
from tests.services.certificates import Authority
from tests.services.service import free_port
from tests.services.webdav import WebDAV, front
from tests.storage.contract import BIG, StoreContract
from tests.support.entries import entry, new_key


@pytest.fixture
def url(webdav_service: WebDAV) -> str:
    return f"{webdav_service.url}/group space/é-{new_key()[:8]}"


@pytest.fixture
def options(webdav_service: WebDAV) -> dict[str, Any]:
    return webdav_service.options


class TestWebDAVStore(StoreContract):
    """The contract on WebDAV, in a folder whose name needs care in URLs."""

    @pytest.fixture
    def url(self, url: str) -> str:
        return url

    @pytest.fixture
    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        return options


def test_looking_after_it(url: str, options: dict[str, Any]) -> None:
    """Verifying and pruning see what is there, and nothing is left."""
    store: Any = open_store(url, **options)
    for number in range(3):
        assert store.write(entry(np.arange(BIG) + number))
    assert verify(store).sound
    assert store.totals()["temporary"] == (0, 0)
    assert prune(store, max_size=0).kept_entries == 0
    assert store.totals()["entries"] == store.totals()["blobs"] == (0, 0)


def test_a_wrong_password_is_told(url: str, options: dict[str, Any], tmp_path: Path) -> None:
    """The store says who refuses, and what was shown, without the password."""
    (wrong := tmp_path / "wrong").write_text("wrong password")
    with pytest.raises(StoreUnavailable, match="refuses us: 401 Unauthorized, with the password of alice"):
        open_store(url, user="alice", password_file=str(wrong))


def test_an_unreachable_server_is_told() -> None:
    """Opening fails with a StoreUnavailable that names the store."""
    with pytest.raises(StoreUnavailable, match=r"dav://127.0.0.1:.* does not answer as it should: .*refused"):
        open_store(f"dav://127.0.0.1:{free_port()}/cache")


def test_a_server_that_loses_bytes_keeps_nothing(webdav_service: WebDAV, url: str, options: dict[str, Any]) -> None:
    """A result of which it took less than it was sent is no entry, and the error has both sizes."""
    with front(webdav_service.port, loses=7) as lossy:
        store = open_store(url.replace(webdav_service.url, lossy), **options)
        kept = entry(np.arange(BIG))
        with pytest.raises(StoreError, match=r"says that it took \d+ bytes, and has \d+ of them"):
            store.write(kept)
    assert open_store(url, **options).find(kept.keys) == {}


def test_an_answer_that_is_cut_short_is_no_result(webdav_service: WebDAV, url: str, options: dict[str, Any]) -> None:
    """Fewer bytes than the server says are an error, never a value."""
    kept = entry(np.arange(BIG))
    store = open_store(url, **options)
    assert store.write(kept)
    info = store.find(kept.keys)[kept.keys[0]]
    with front(webdav_service.port, cuts=11) as cutting:
        cut = open_store(url.replace(webdav_service.url, cutting), **options)
        with pytest.raises(StoreError, match="does not answer as it should"):
            cut.read(info)
    assert np.array_equal(store.read(info), np.arange(BIG))


def test_a_server_without_locks_and_ranges(webdav_service: WebDAV, url: str, options: dict[str, Any]) -> None:
    """Nothing asks for either: results are kept, read, replaced, looked after and removed."""
    with front(webdav_service.port, plain=True) as plain:
        store: Any = open_store(url.replace(webdav_service.url, plain), **options)
        kept, other = entry(np.arange(BIG)), entry(np.arange(BIG) + 2)
        assert store.write(kept)
        assert store.read(store.find(kept.keys)[kept.keys[0]])[7] == 7
        assert store.write(replace(other, keys=kept.keys), overwrite=True)
        assert store.read(store.find(kept.keys)[kept.keys[0]])[7] == 9
        assert verify(store).sound
        assert prune(store, max_size=0).kept_entries == 0


def test_a_server_that_lies_about_sizes(webdav_service: WebDAV, url: str, options: dict[str, Any]) -> None:
    """It keeps nothing, and what is there already is read whole."""
    kept, new = entry(np.arange(BIG)), entry(np.arange(BIG) + 1)
    honest = open_store(url, **options)
    assert honest.write(kept)
    for size, says in ((b"1", "and has 1 of them"), (b"99999999", "and has 99999999"), (b"many", "invalid literal")):
        with front(webdav_service.port, sizes=size) as lying:
            store = open_store(url.replace(webdav_service.url, lying), **options)
            with pytest.raises(StoreError, match=says):
                store.write(new)
            assert np.array_equal(store.read(store.find(kept.keys)[kept.keys[0]]), np.arange(BIG))
    assert honest.find(new.keys) == {}


def test_options_that_make_no_sense_are_refused(url: str) -> None:
    """A file that is not there, a name without a password, an option that there is not."""
    with pytest.raises(ValueError, match="token_file is '/nowhere', where there is no file"):
        open_store(url, token_file="/nowhere")
    with pytest.raises(ValueError, match="user is 'alice'; it takes a password_file too"):
        open_store(url, user="alice")
    with pytest.raises(TypeError, match="passwort"):
        open_store(url, passwort="secret")


def test_tokens_over_https(webdav_service: WebDAV, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of the environment is shown at each request, so one that was renewed is; hosts have to prove theirs."""
    authority = Authority(tmp_path)
    certificate = authority.host("127.0.0.1")
    (token := tmp_path / "token").write_text("one that has expired\n")
    monkeypatch.setenv("BEARER_TOKEN_FILE", str(token))
    monkeypatch.delenv("BEARER_TOKEN", raising=False)
    with front(webdav_service.port, certificate, token="valid") as secure:
        there = url.replace(webdav_service.url, secure)
        with pytest.raises(StoreUnavailable, match="refuses us: 401 Unauthorized, with a token"):
            open_store(there, authorities=str(authority.ca))
        token.write_text("valid\n")
        store, kept = open_store(there, authorities=str(authority.ca)), entry(np.arange(BIG))
        assert store.write(kept)
        token.write_text("one that has expired since\n")
        with pytest.raises(StoreUnavailable, match="refuses us"):
            store.find(kept.keys)
        token.write_text("valid\n")
        assert store.find(kept.keys).keys() == set(kept.keys)
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            open_store(there)


def test_no_token_is_sent_in_the_clear(
    webdav_service: WebDAV, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without encryption a token has to be named to be sent."""
    monkeypatch.setenv("BEARER_TOKEN", "valid")
    (token := tmp_path / "token").write_text("valid")
    with front(webdav_service.port, token="valid") as clear:
        there = url.replace(webdav_service.url, clear)
        with pytest.raises(StoreUnavailable, match="refuses us: 401 Unauthorized, without a token"):
            open_store(there)
        assert open_store(there, token_file=str(token)).write(entry(1))
