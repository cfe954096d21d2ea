"""Which entries are believed where: by default what only we can have written, elsewhere data, never what changes."""

from __future__ import annotations

import fractions
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cachingclient.cli import cli
from cachingclient.storage import EntryLost, Store, StoreUnavailable, UncodableError, encode, open_store
from tests.support.entries import entry
from tests.trust.crafting import BAD, Scene, payload, pickled

PICKLED = fractions.Fraction(1, 3)
BIG = np.arange(400_000)


def at(folder: Path, mode: int, **options: Any) -> Store:
    """Return the store of a folder that is as open as a mode says."""
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)
    return open_store(folder, **options)


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_a_folder_of_ones_own_is_private(tmp_path: Path, mode: int) -> None:
    """Whoever may read it, nobody else can have written what is there."""
    store = at(tmp_path / "cache", mode)
    assert (store.trust, store.private) == ("all", True)
    kept = entry(PICKLED)
    store.write(kept)
    assert store.read(store.find(kept.keys)[kept.keys[0]]) == PICKLED


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o2770])
def test_a_folder_that_others_may_write_to_takes_data(tmp_path: Path, mode: int) -> None:
    """A pickle that lies there is a miss, and is said to be there."""
    folder = tmp_path / "cache"
    kept, plain = entry(PICKLED), entry(BIG)
    at(folder, 0o700).write(kept)
    store = at(folder, mode, verify="always")
    assert (store.trust, store.private) == ("data", False)
    with pytest.warns(UserWarning, match="hold pickles"):
        assert store.find(kept.keys) == {}
    assert store.write(plain)
    assert np.array_equal(store.read(store.find(plain.keys)[plain.keys[0]]), BIG)


def test_a_folder_of_another_takes_data(tmp_path: Path) -> None:
    """It is theirs to write to."""
    if os.getuid():
        pytest.skip("only root can give a folder away")
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    os.chown(folder, 54001, 54001)
    assert open_store(folder).trust == "data"


@pytest.mark.parametrize(("url", "trust"), [("memory://levels", "all"), ("https://localhost:1/cache", "data")])
def test_other_places(url: str, trust: str) -> None:
    """Memory is this process's own; what lies behind a network is others'."""
    assert open_store(url).trust == trust


def test_what_takes_a_pickle_says_what_to_do() -> None:
    """The words that a report has for a result that is not kept."""
    with pytest.raises(UncodableError, match=r"a Fraction takes a pickle.*trust: all.*trust: signed"):
        encode(PICKLED, data_only=True)
    with pytest.raises(UncodableError, match=r"^a Fraction in a dict takes a pickle"):
        encode({"pt": [1, (PICKLED,)]}, data_only=True)


def test_reads_are_refused_when_a_private_folder_is_opened_to_others(tmp_path: Path) -> None:
    """Nobody knows what was written since; the error has the command that mends it."""
    store, kept = at(tmp_path / "cache", 0o755), entry(PICKLED)
    store.write(kept)
    info = store.find(kept.keys)[kept.keys[0]]
    (tmp_path / "cache" / "v1").chmod(0o775)
    with pytest.raises(StoreUnavailable, match="chmod -R go-w"):
        store.find(kept.keys)
    (tmp_path / "cache" / "v1").chmod(0o755)
    assert store.read(info) == PICKLED


@pytest.mark.parametrize("level", ["shared", "data", "signed"])
def test_what_was_checked_is_what_is_used(tmp_path: Path, level: str) -> None:
    """Bytes that change after they were read change nothing that was read."""
    folder = tmp_path / "cache"
    key = tmp_path / "key"
    key.write_bytes(os.urandom(40))
    key.chmod(0o600)
    options: dict[str, Any] = {"data": {"trust": "data"}, "signed": {"trust": "signed", "signing_key": str(key)}}.get(
        level, {}
    )
    store, kept = at(folder, 0o777 if level == "shared" else 0o700, **options), entry(BIG)
    store.write(kept)
    payload = store.payload(store.find(kept.keys)[kept.keys[0]])
    blob = next(path for path in (folder / "v1/blobs").rglob("*") if path.is_file())
    with blob.open("r+b") as file:
        file.write(b"\xff" * blob.stat().st_size)
    assert bytes(payload) == b"".join(kept.encoded.frames)


@pytest.mark.parametrize("level", ["shared", "signed"])
def test_bytes_are_checked_at_each_read(tmp_path: Path, level: str) -> None:
    """Others may have changed them since the first."""
    folder, key = tmp_path / "cache", tmp_path / "key"
    key.write_bytes(os.urandom(40))
    key.chmod(0o600)
    options: dict[str, Any] = {"trust": "signed", "signing_key": str(key)} if level == "signed" else {}
    store, kept = at(folder, 0o777, **options), entry(BIG)
    store.write(kept)
    info = store.find(kept.keys)[kept.keys[0]]
    store.read(info)
    blob = next(path for path in (folder / "v1/blobs").rglob("*") if path.is_file())
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    with pytest.raises(EntryLost, match="not those that were"):
        store.read(info)


def test_what_is_no_data_does_not_come_to_lie_near(tmp_path: Path) -> None:
    """Near is among our own, where all is believed."""
    near, scene = tmp_path / "near", Scene(tmp_path / "far", tmp_path / "home", tmp_path / "CANARY")
    store, kept = open_store(scene.store, trust="data", near=near.as_uri()), entry(BIG)
    open_store(scene.store, trust="data").write(kept)
    lie = payload({"codec": "pickle", "body": 0, "buffers": []}, pickled(scene) + bytes(100_000))
    scene.entry(lie, inline=False)
    for key, reads in ((kept.keys[0], True), (BAD, False)):
        info = store.find([key])[key]
        if reads:
            store.read(info)
        else:
            with pytest.raises(EntryLost, match="pickle"):
                store.read(info)
    assert open_store(near).find([*kept.keys, BAD]).keys() == set(kept.keys)
    assert not scene.canary.exists()


def test_vectors_that_are_registered_are_data() -> None:
    """They come back with their class, also in a process that has registered nothing yet."""
    script = """
import sys, awkward as ak
from cachingclient.storage.codecs import decode, encode
if sys.argv[1] == "write":
    import vector
    vector.register_awkward()
    columns = {name: [[1.0, 2.0]] for name in ("pt", "eta", "phi", "mass")}
    jets = ak.zip(columns, with_name="Momentum4D")
    sys.stdout.buffer.write(b"".join(encode(jets, data_only=True).frames))
else:
    jets = decode(sys.stdin.buffer.read(), data_only=True)
    print(type(jets).__name__, type(jets[0, 0]).__name__, float(jets[0, 1].px))
"""
    written = subprocess.run([sys.executable, "-c", script, "write"], capture_output=True, check=True).stdout
    read = subprocess.run([sys.executable, "-c", script, "read"], input=written, capture_output=True, check=True).stdout
    assert read.split()[:2] == [b"MomentumArray4D", b"MomentumRecord4D"]


@pytest.mark.parametrize(
    ("mode", "options", "words"),
    [
        (0o700, [], "nobody else can write there"),
        (0o777, [], "only data is kept and loaded"),
        (0o777, ["-o", "trust=all"], "what they wrote can run code as you"),
    ],
)
def test_doctor_says_what_is_believed(tmp_path: Path, mode: int, options: list[str], words: str) -> None:
    """A line for the store, a warning where all is believed of others."""
    at(tmp_path / "cache", mode)
    result = CliRunner().invoke(cli, ["doctor", "--store", str(tmp_path / "cache"), *options])
    assert words in result.output
