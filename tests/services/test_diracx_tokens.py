"""Who a real server of DiracX takes us for: logins, tokens that end and are renewed, and what is refused."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from cachingclient.dirac import (
    CredentialsError,
    DiracApi,
    Job,
    Refused,
    TokenFile,
    open_api,
)
from cachingclient.dirac.api.http import Http
from cachingclient.dirac.api.tokens import log_in
from tests.services.diracx import VO, DiracX


def test_who_the_server_takes_us_for(alice: DiracApi) -> None:
    """Name, group and organisation are the server's, the end that of the tokens."""
    me = alice.whoami()
    assert (me.user, me.group, me.vo) == ("alice", "tests_user", VO)
    assert "NormalUser" in me.properties
    assert me.expires is not None
    assert me.expires > datetime.now(UTC)


def test_login_by_a_browser(diracx_service: DiracX, tmp_path: Path) -> None:
    """The device flow: the user opens an address, and tokens come, in a file that only the user can read."""
    http = Http(diracx_service.url, ca=diracx_service.ca)
    opened: list[int] = []

    def open_address(address: str) -> None:
        opened.append(requests.get(address, verify=str(diracx_service.ca), timeout=30).status_code)

    tokens = log_in(http, VO, "tests_user", open_address)
    assert opened == [200]
    file = TokenFile(tmp_path / "new" / "tokens.json")
    file.write(tokens)
    assert file.path.stat().st_mode & 0o777 == 0o600
    with open_api(diracx_service.url, VO, file, ca=diracx_service.ca) as api:
        assert api.whoami().user == "alice"


def with_end(service: DiracX, tmp_path: Path, seconds: float) -> TokenFile:
    """Tokens of a login, of which the access token ends in so many seconds."""
    file = TokenFile(tmp_path / "tokens.json")
    address = {"ca": service.ca}
    file.write(log_in(Http(service.url, **address), VO, None, lambda url: requests.get(url, verify=str(service.ca))))
    content = json.loads(file.path.read_text())
    file.path.write_text(json.dumps(content | {"expires_on": int(time.time() + seconds)}))
    return file


def test_tokens_are_renewed_once_and_kept(diracx_service: DiracX, tmp_path: Path) -> None:
    """A refresh token can be used once: two clients share the file, and the second takes what the first got."""
    file = with_end(diracx_service, tmp_path, 60)
    old = file.read()
    for _ in range(2):
        with open_api(diracx_service.url, VO, file, ca=diracx_service.ca) as api:
            assert api.whoami().user == "alice"
    new = file.read()
    assert new.refresh != old.refresh
    assert new.expires > datetime.now(UTC) + timedelta(minutes=5)


def test_tokens_are_renewed_by_one_of_many(diracx_service: DiracX, tmp_path: Path, requests_sent: list[str]) -> None:
    """Who comes at the same time waits for the file, and takes what is in it then."""
    file = with_end(diracx_service, tmp_path, 60)
    requests_sent.clear()

    def ask(_: int) -> str:
        with open_api(diracx_service.url, VO, TokenFile(file.path), ca=diracx_service.ca) as api:
            return api.whoami().user

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == ["alice"] * 8
    assert sum(url.endswith("/token") for url in requests_sent) == 1


def test_a_used_refresh_token_is_an_error_that_says_what_to_do(diracx_service: DiracX, tmp_path: Path) -> None:
    """Not a loop of attempts, which would end every session of the user."""
    file = with_end(diracx_service, tmp_path, 60)
    stolen = file.path.read_text()
    with open_api(diracx_service.url, VO, file, ca=diracx_service.ca) as api:
        api.whoami()
        file.path.write_text(stolen)
        with pytest.raises(CredentialsError, match=r"Revoked refresh token.*cachectl dirac login"):
            api.whoami()


def test_expired_tokens_are_told_before_anything_is_asked(
    diracx_service: DiracX, tmp_path: Path, requests_sent: list[str]
) -> None:
    """With the time and the way to new ones."""
    file = tmp_path / "tokens.json"
    content = {"access_token": "a", "refresh_token": "b", "expires_on": int(time.time() - 7200)}
    file.write_text(json.dumps(content))
    file.chmod(0o600)
    with pytest.raises(CredentialsError, match=r"expired 2 h ago: log in with: cachectl dirac login"):
        open_api(diracx_service.url, VO, file, ca=diracx_service.ca)
    assert requests_sent == []


def test_a_forged_token_is_refused(diracx_service: DiracX, tmp_path: Path) -> None:
    """The server looks at its signature."""
    content = json.loads(diracx_service.credentials().read_text())
    head, payload, signature = content["access_token"].split(".")
    content["access_token"] = f"{head}.{payload}.{signature[::-1]}"
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps(content))
    file.chmod(0o600)
    with (
        open_api(diracx_service.url, VO, file, ca=diracx_service.ca) as api,
        pytest.raises(CredentialsError, match=r"answers 401: .*cachectl dirac login"),
    ):
        api.whoami()


def test_another_organisation_or_group_is_refused(diracx_service: DiracX, alice: DiracApi) -> None:
    """Tokens are for one organisation and group; asking as another says which they are for."""
    with (
        open_api(diracx_service.url, "other", diracx_service.credentials(), ca=diracx_service.ca) as api,
        pytest.raises(Refused, match=r"for tests, not for other"),
    ):
        api.submit(Job(executable="true"))
    with pytest.raises(Refused, match="the job is for tests_admin, and the tokens for tests_user"):
        alice.submit(Job(executable="true", owner_group="tests_admin"))


def test_a_group_that_may_not_submit_is_refused(diracx_service: DiracX) -> None:
    """With the server's status in the text."""
    pilot = diracx_service.credentials("pilot", "tests_pilot")
    with (
        open_api(diracx_service.url, VO, pilot, ca=diracx_service.ca) as api,
        pytest.raises(Refused, match="answers 403"),
    ):
        api.submit(Job(executable="true"))


def test_a_server_of_unknown_authority_is_not_trusted(
    diracx_service: DiracX, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if the environment names a bundle that has it."""
    empty = tmp_path / "certificates"
    empty.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(diracx_service.ca))
    with (
        open_api(diracx_service.url, VO, diracx_service.credentials(), ca=empty) as api,
        pytest.raises(CredentialsError, match="no TLS with"),
    ):
        api.whoami()
