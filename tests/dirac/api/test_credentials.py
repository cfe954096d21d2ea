"""Proxies and tokens: found where grid tools keep them, and refused with the reason before anything is asked."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import dask
import pytest

from cachingclient.dirac import CredentialsError, DiracError, ServerUnavailable, TokenFile, find_proxy, open_api
from cachingclient.dirac.api.dirac8 import Dirac8
from cachingclient.dirac.api.diracx import DiracX
from cachingclient.dirac.api.http import certificate_authorities, checked_url
from tests.dirac.stand_in import stand_in
from tests.services.certificates import Authority


def test_a_proxy_says_whose_it_is_and_how_long_it_lasts(authority: Authority) -> None:
    """Its owner is the user whose certificate it was made from, its group what DIRAC wrote into it."""
    proxy = find_proxy(authority.proxy("alice", "tests_user", lasts=timedelta(hours=3)))
    assert (proxy.subject, proxy.group) == ("/O=CachingClientTests/CN=alice", "tests_user")
    assert timedelta(hours=2.9) < proxy.time_left <= timedelta(hours=3)
    assert find_proxy(authority.proxy("bob")).group == ""


def test_a_proxy_is_found_by_the_environment(proxy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As all grid tools do."""
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))
    assert find_proxy().path == proxy


@pytest.mark.parametrize(
    ("lasts", "why"),
    [(-7200, "expired 2 h ago: make one with dirac-proxy-init"), (20, r"expires in (20|19|1\d) s: make one")],
)
def test_a_proxy_that_does_not_last_is_refused(authority: Authority, lasts: float, why: str) -> None:
    """Also one that would end on the way."""
    with pytest.raises(CredentialsError, match=why):
        find_proxy(authority.proxy("alice", lasts=timedelta(seconds=lasts)))


def test_what_is_no_proxy_is_refused(authority: Authority, proxy: Path, tmp_path: Path) -> None:
    """Each with what is wrong with it."""
    open_to_all = tmp_path / "open"
    shutil.copy(proxy, open_to_all)
    open_to_all.chmod(0o644)
    with pytest.raises(CredentialsError, match=r"others can read the proxy .*chmod 600"):
        find_proxy(open_to_all)
    for content, why in [(b"", "holds no X.509 proxy"), (b"hello", "holds no X.509 proxy"), (b"\xff\0", "holds no")]:
        odd = tmp_path / "odd"
        odd.write_bytes(content)
        odd.chmod(0o600)
        with pytest.raises(CredentialsError, match=why):
            find_proxy(odd)
    odd.write_bytes(authority.ca.read_bytes())
    with pytest.raises(CredentialsError, match="certificates but no key"):
        find_proxy(odd)
    with pytest.raises(CredentialsError, match="can't be read: Is a directory"):
        find_proxy(tmp_path)


def token_file(path: Path, **content: Any) -> TokenFile:
    """A file of tokens with something wrong."""
    right = {"access_token": "a.b.c", "refresh_token": "d.e.f", "expires_on": time.time() + 3600}
    path.write_text(json.dumps(right | content))
    path.chmod(0o600)
    return TokenFile(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"access_token": 7}, "holds no DiracX tokens"),
        ({"access_token": "a.b.c\u0100"}, "holds no DiracX tokens"),
        ({"access_token": "a.b.c\nX: y"}, "holds no DiracX tokens"),
        ({"expires_on": "soon"}, "holds no DiracX tokens"),
        ({"expires_on": 1e30}, "holds no DiracX tokens"),
        ({"refresh_token": [1]}, "holds no DiracX tokens"),
        ({"expires_on": 0}, r"expire(d)? .*: log in with: cachectl dirac login"),
    ],
)
def test_what_are_no_tokens_is_refused(content: dict[str, Any], why: str, tmp_path: Path) -> None:
    """Each with the way to new ones."""
    with pytest.raises(CredentialsError, match=why):
        token_file(tmp_path / "tokens", **content).check()


def test_tokens_that_others_can_read_are_refused(tmp_path: Path) -> None:
    """As for proxies; damaged files too."""
    file = token_file(tmp_path / "tokens")
    file.path.chmod(0o640)
    with pytest.raises(CredentialsError, match="others can read the token file"):
        file.read()
    file.path.chmod(0o600)
    file.path.write_text("{")
    with pytest.raises(CredentialsError, match="holds no DiracX tokens"):
        file.read()
    with pytest.raises(CredentialsError, match="there is no token file at /nowhere"):
        TokenFile("/nowhere").read()


def test_a_token_file_is_private_from_the_start(tmp_path: Path) -> None:
    """And a link in its place is not followed."""
    file = token_file(tmp_path / "tokens")
    link = tmp_path / "link"
    link.symlink_to(file.path)
    with pytest.raises(OSError, match="symbolic link"):
        TokenFile(link).write(file.read())
    new = TokenFile(tmp_path / "new" / "tokens")
    new.write(file.read())
    assert new.path.stat().st_mode & 0o777 == 0o600
    assert new.read().access == "a.b.c"


def test_the_path_says_which_kind_of_server_it_is_for(proxy: Path, tmp_path: Path) -> None:
    """A proxy is for DIRAC 8 and 9, tokens for DiracX; no server is asked."""
    url = "https://dirac.example.org"
    assert isinstance(open_api(url, "vo", proxy), Dirac8)
    assert isinstance(open_api(url, "vo", token_file(tmp_path / "tokens").path), DiracX)


def test_the_settings_name_the_server(proxy: Path) -> None:
    """Where arguments don't."""
    settings = {"cachingclient.dirac.url": "https://dirac.example.org:8443/", "cachingclient.dirac.vo": "gridpp"}
    with dask.config.set(settings):
        api = open_api(credentials=proxy)
    assert (api.url, api.vo) == ("https://dirac.example.org:8443", "gridpp")
    with pytest.raises(ValueError, match="vo is not given"):
        open_api("https://dirac.example.org", credentials=proxy)


def test_the_kind_of_server_is_asked_for_if_nothing_tells(proxy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not say that it is DiracX is DIRAC; what can't be reached is an error, not a guess."""
    monkeypatch.setenv("X509_USER_PROXY", str(proxy))
    with stand_in() as server:
        assert isinstance(open_api(server.url, "vo"), Dirac8)
        server.instead = {"/.well-known/dirac-metadata": (200, b'{"virtual_organizations": {}}')}
        monkeypatch.setenv("DIRACX_CREDENTIALS_PATH", "/nowhere")
        with pytest.raises(CredentialsError, match="no token file at /nowhere"):
            open_api(server.url, "vo")
        url = server.url
    with pytest.raises(ServerUnavailable, match=r"can't be reached: .*refused"):
        open_api(url, "vo")


def test_a_proxy_that_ends_soon_is_warned_of(authority: Authority) -> None:
    """When the server is opened; one that lasts is not."""
    with pytest.warns(UserWarning, match=r"expires in (30|29) min"):
        open_api("https://dirac.example.org", "vo", authority.proxy("alice", lasts=timedelta(minutes=30)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_api("https://dirac.example.org", "vo", authority.proxy("alice"))


def test_a_proxy_that_has_ended_in_mid_run_is_told(authority: Authority, tmp_path: Path) -> None:
    """By the next call, before anything is sent; a new one in its place is taken up."""
    path = tmp_path / "proxy"
    shutil.copy(authority.proxy("alice"), path)
    with stand_in() as server, Dirac8(server.url, "tests", find_proxy(path)) as api:
        api.whoami()
        shutil.copy(authority.proxy("alice", lasts=timedelta(hours=-1)), path)
        with pytest.raises(CredentialsError, match="expired 1 h ago"):
            api.whoami()
        shutil.copy(authority.proxy("alice"), path)
        api.whoami()
        assert server.asked == ["whoami"] * 2


@pytest.mark.parametrize(
    "url",
    [
        "dirac.example.org",
        "http://dirac.example.org",
        "ftp://dirac.example.org",
        "https://",
        "https://a b",
        "https://u:p@dirac.example.org",
        "https://dirac.example.org?x=1",
        "https://dirac.example.org:port",
    ],
)
def test_urls_without_tls_or_sense_are_refused(url: str) -> None:
    """Credentials never go over a network in the clear."""
    with pytest.raises(ValueError, match=r"url is .*; it takes https://HOST:PORT"):
        checked_url(url)


def test_what_servers_are_trusted_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given, else the grid's folder, else the system's; a path that is not there is an error."""
    assert certificate_authorities(tmp_path) == str(tmp_path)
    monkeypatch.setenv("X509_CERT_DIR", str(tmp_path))
    assert certificate_authorities() == str(tmp_path)
    monkeypatch.setenv("X509_CERT_DIR", "/nowhere")
    assert certificate_authorities() is True
    with pytest.raises(ValueError, match="ca is '/nowhere', which does not exist"):
        certificate_authorities("/nowhere")


def test_errors_are_of_one_kind() -> None:
    """So that a caller can catch them all."""
    assert issubclass(CredentialsError, DiracError)
