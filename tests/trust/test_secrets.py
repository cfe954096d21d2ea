"""What a store tells of the arguments of its steps, to whoever can read it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cachingclient import DiracClient, open_store
from cachingclient.hashing.errors import Unidentifiable
from cachingclient.hashing.inputs.inputs import Inputs
from cachingclient.plan.changes import Made, argument_changes, values
from cachingclient.plan.hidden import SECRET, for_description

API_TOKEN = "of-the-module"


def select(region: str, password: str = "", bins: int = 0) -> int:
    return len(region) + len(password) + bins + len(API_TOKEN)


def told(folder: Path) -> str:
    """Return all that the files of a folder hold, with what stands there in hex in plain."""
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    words = [word for word in content.decode("latin-1").split('"') if word and set(word) <= set("=0123456789abcdef")]
    plain = (bytes.fromhex(word.lstrip("=")) for word in words if len(word.lstrip("=")) % 2 == 0)
    return content.decode("latin-1") + b" ".join(plain).decode("latin-1")


@pytest.mark.parametrize("mode", [0o700, 0o777], ids=["private", "shared"])
def test_secrets_stand_nowhere_in_a_store(
    make_client: Callable[..., DiracClient], cache_folder: Path, mode: int
) -> None:
    """Arguments and variables whose names say so are hidden everywhere, texts where others can write."""
    cache_folder.mkdir()
    cache_folder.chmod(mode)
    client = make_client(cache=str(cache_folder))
    assert client.submit(select, "signal-region", password="hunter2-of-alice", bins=5).result() == 47
    client.flush()
    assert client.report is not None
    assert client.report.summary().total.kept == 1
    found = told(cache_folder)
    assert "password" in found  # the name, so the check looks at the right place
    assert "hunter2" not in found
    assert "of-the-module" not in found
    assert ("signal-region" in found) == (mode == 0o700)


@pytest.mark.parametrize(
    "text", ["https://alice:hunter2@host/a.root", "-----BEGIN RSA PRIVATE KEY-----\nhunter2", "root://a:hunter2@h//b"]
)
def test_texts_that_hold_a_secret_are_hidden(text: str) -> None:
    """By what they are, since arguments that are given by place have no name; in a private store too."""
    assert list(for_description([b"s" + text.encode()], private=True)) == [SECRET]


def test_reasons_show_no_password() -> None:
    """Why a step has no identity is told in reports and warnings, with the URL that can't be looked at."""
    with pytest.raises(Unidentifiable, match=r"http://localhost:1/a\.root") as told:
        Inputs(timeout=5).of("http://alice:hunter2@localhost:1/a.root")
    assert "hunter2" not in str(told.value) + told.value.reason


def test_a_change_of_what_is_hidden_is_still_told() -> None:
    """Not from what to what, but which argument; of a secret nobody can say."""
    kept = Made("select", "", tuple(for_description([b"ssignal", b"=password", b"sold"], private=False)))
    same, other = (
        Made("select", "", tuple(part.hex() for part in (region, b"=password", b"snew")))
        for region in (b"ssignal", b"scontrol")
    )
    assert list(argument_changes(kept, same)) == []
    ((name, before, now),) = argument_changes(kept, other)
    assert (name, values(before, now)) == ("argument 1", "")


@pytest.mark.parametrize(
    "url", ["https://alice:hunter2@host/cache", "root://a:hunter2@host//cache", "s3://k:hunter2@b"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    """It would stand wherever the store is named."""
    with pytest.raises(ValueError, match="has a password in its URL") as refused:
        open_store(url)
    assert "hunter2" not in str(refused.value)
