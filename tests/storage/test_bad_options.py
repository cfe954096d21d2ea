"""URLs and options that a store does not take are errors that name them, of every kind of store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cachingclient import File, open_store


@pytest.mark.parametrize(
    ("url", "library", "given", "meant"),
    [
        ("/nowhere/x", "numpy", "sharde", "shared"),
        ("memory://x", "numpy", "verfy", "verify"),
        ("s3://bucket/x", "s3fs", "endpont_url", "endpoint_url"),
        ("s3://bucket/x", "s3fs", "profil", "profile"),  # s3fs hands it on
        ("https://127.0.0.1:9/x", "aiohttp", "hedaers", "headers"),  # and so does fsspec
        ("davs://127.0.0.1:9/x", "urllib3", "token_fil", "token_file"),
        ("rucio://scope/name?rse=X", "rucio", "acount", "account"),
        ("rucio://scope/name?rse=X", "rucio", "local_limits", "local_limit"),
        ("root://127.0.0.1:9//x", "XRootD", "trsut", "trust"),
    ],
)
def test_an_option_that_nobody_takes_is_named(url: str, library: str, given: str, meant: str) -> None:
    """Before anything is asked of a server; else a misspelled endpoint is another server."""
    pytest.importorskip(library)
    with pytest.raises(TypeError, match=f"store '.*' takes no option '{given}'; did you mean '{meant}'"):
        open_store(url, **{given: "x"})


def test_an_option_like_none_is_told_with_those_there_are(tmp_path: Path) -> None:
    """A few are named; a library's dozens are left to its own pages."""
    with pytest.raises(TypeError, match=r"'colour'; it takes verify, .*, near, behind, memory_map, shared$"):
        open_store(tmp_path / "store", colour="blue")
    pytest.importorskip("s3fs")
    with pytest.raises(TypeError, match=r"it takes verify, trust, .*, behind, and those of its library$"):
        open_store("s3://bucket/x", colour="blue")


@pytest.mark.parametrize("scheme", ["file", "memory", "s3", "root", "davs", "https"])
def test_a_url_without_a_place_is_an_error(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be a folder in the working folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"store '{scheme}://' names no place behind {scheme}://"):
        open_store(f"{scheme}://")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shared": "no"}, "shared='no': takes True or False"),
        ({"near": "memory://near", "behind": "later"}, "behind='later': takes True or False"),
        ({"behind": True}, "behind=True: takes near=URL"),
        ({"signing_key": "group.pem"}, "signing_key: takes trust='signed'"),
    ],
)
def test_a_flag_that_makes_no_sense_is_named(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Any text would be true, and a key without trust would sign nothing."""
    with pytest.raises(ValueError, match=said):
        open_store(tmp_path / "store", **options)


@pytest.mark.parametrize("place", [None, 5, ["file:///scratch"]])
def test_what_is_no_place_is_named(place: Any) -> None:
    """Of a store and of a `File`."""
    with pytest.raises(TypeError, match="takes a path, a URL, or a Store"):
        open_store(place)
    with pytest.raises(TypeError, match="File takes a path or a URL, got "):
        File(place)


def test_a_file_without_a_name_is_an_error() -> None:
    """It would be the working folder."""
    with pytest.raises(ValueError, match="File takes a path or a URL, got ''"):
        File("")
