"""Only entries that a known key signed are believed."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cachingclient.storage import EntryLost, Store, open_store
from cachingclient.storage.files.layout import blob_name
from tests.storage.contract import BIG, StoreContract
from tests.storage.keys import key_pair
from tests.support.entries import entry, new_key


def secret_file(path: Path) -> str:
    """A new shared secret in a private file."""
    path.write_text(secrets.token_hex(32))
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def signing_key(tmp_path: Path) -> str:
    return secret_file(tmp_path / "key")


class TestSignedStore(StoreContract):
    """A signed store keeps the whole contract."""

    @pytest.fixture
    def url(self, store_url: str) -> str:
        return store_url

    @pytest.fixture
    def options(self, signing_key: str) -> dict[str, Any]:
        return {"trust": "signed", "signing_key": signing_key}


class TestDataOnlyStore(StoreContract):
    """So does one that takes only data, as far as its values are data."""

    @pytest.fixture
    def url(self, store_url: str) -> str:
        return store_url

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"trust": "data"}


@pytest.fixture
def signed(store_url: str, signing_key: str) -> Store:
    return open_store(store_url, trust="signed", signing_key=signing_key)


@pytest.mark.parametrize("value", [1, np.arange(BIG)], ids=["small", "big"])
def test_unsigned_entries_are_misses(signed: Store, store_url: str, value: Any) -> None:
    """What somebody else put there is not even offered, and does not stand in the way of our own."""
    kept = entry(value)
    open_store(store_url).write(kept)
    assert signed.find(kept.keys) == {}
    assert signed.write(kept)
    assert signed.find(kept.keys).keys() == set(kept.keys)


def test_entries_of_another_key_are_misses(signed: Store, store_url: str, tmp_path: Path) -> None:
    """Each secret is a circle of its own."""
    other = open_store(store_url, trust="signed", signing_key=secret_file(tmp_path / "other"))
    kept = entry(1)
    other.write(kept)
    assert signed.find(kept.keys) == {}


def test_a_signed_entry_under_another_key_is_a_miss(signed: Store, store_url: str) -> None:
    """The signature covers the keys, so one step's result can't be passed off as another's."""
    kept, other = entry(1), new_key()
    signed.write(kept)
    info = signed.find(kept.keys)[kept.keys[0]]
    open_store(store_url).alias(info, [other])
    assert open_store(store_url).find([other])
    assert signed.find([other]) == {}


def test_a_blob_that_was_exchanged_is_not_loaded(signed: Store, cache_folder: Path) -> None:
    """The SHA-256 is checked even where the digest that names the blob is not."""
    kept = entry(np.zeros(BIG))
    signed.write(kept)
    blob = cache_folder / blob_name(kept.encoded.digest)
    blob.write_bytes(blob.read_bytes()[:-8] + bytes([1] * 8))
    unverified = open_store(cache_folder, trust="signed", signing_key=signed.options["signing_key"], verify="never")
    with pytest.raises(EntryLost, match="signed"):
        unverified.read(unverified.find(kept.keys)[kept.keys[0]])


def test_changed_details_break_the_signature(signed: Store, store_url: str) -> None:
    """Everything that the description says is signed."""
    kept = entry(1, user="ada")
    signed.write(kept)
    info = signed.find(kept.keys)[kept.keys[0]]
    forged = replace(info, details={**info.details, "user": "eve"})
    with pytest.raises(EntryLost, match="not signed"):
        signed.read(forged)


def test_pickles_are_misses_where_only_data_is_believed(store_url: str) -> None:
    """Their code never runs."""
    store = open_store(store_url)
    data, code = entry({"a": np.arange(3)}), entry(slice(1, 2))
    for each in (data, code):
        store.write(each)
    assert open_store(store_url, trust="data").find([*data.keys, *code.keys]).keys() == set(data.keys)


def test_a_pickle_in_data_s_clothes_is_lost(store_url: str) -> None:
    """A description that lies about its codecs gains nothing."""
    store = open_store(store_url)
    code = entry(slice(1, 2))
    store.write(replace(code, encoded=replace(code.encoded, codec="numpy", codecs={"numpy": 1})))
    careful = open_store(store_url, trust="data")
    with pytest.raises(EntryLost, match="only data"):
        careful.read(careful.find(code.keys)[code.keys[0]])


def test_an_ed25519_reader_can_t_write(store_url: str, tmp_path: Path) -> None:
    """With the public half entries are read, with the private one also written."""
    private, public = key_pair(tmp_path)
    writer = open_store(store_url, trust="signed", signing_key=private)
    reader = open_store(store_url, trust="signed", signing_key=public)
    kept = entry([1, 2])
    assert writer.write(kept)
    assert reader.read(reader.find(kept.keys)[kept.keys[0]]) == [1, 2]
    assert reader.read_only
    assert not reader.write(entry(3))


def test_bad_keys_are_refused(store_url: str, tmp_path: Path) -> None:
    """Missing, short and readable by others: each error says what to do."""
    short, public = tmp_path / "short", Path(secret_file(tmp_path / "public"))
    short.write_text("abc")
    short.chmod(0o600)
    public.chmod(0o644)
    for path, why in ((tmp_path / "none", "can't be read"), (short, "too short"), (public, "chmod 600")):
        with pytest.raises(ValueError, match=why):
            open_store(store_url, trust="signed", signing_key=str(path))
    with pytest.raises(ValueError, match="signing_key=FILE"):
        open_store(store_url, trust="signed")
    with pytest.raises(ValueError, match="trust='blind': takes one of"):
        open_store(store_url, trust="blind")


def test_the_secret_is_not_in_a_pickled_store(signed: Store) -> None:
    """Only the name of its file travels."""
    import pickle

    secret = Path(signed.options["signing_key"]).read_bytes()
    assert secret not in pickle.dumps(signed)


def test_another_key_with_details_of_the_caller(signed: Store) -> None:
    """A step key is filed with what the whole chain read, which the entry of the last step does not state."""
    kept, other, forged = entry(np.arange(10)), new_key(), new_key()
    signed.write(kept)
    found = signed.find(kept.keys)[kept.keys[0]]
    assert signed.alias(replace(found, details={**found.details, "observed": {"folder": "/x"}}), [other]) == 1
    info = signed.find([other])[other]
    assert info.details["observed"] == {"folder": "/x"}
    assert signed.read(info)[3] == 3
    assert signed.alias(replace(found, digest="0f" * 16, details={}), [forged]) == 0
