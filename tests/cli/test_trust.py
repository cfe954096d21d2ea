"""The keys that sign entries: made, shown, added, revoked, and counted in a store."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cachingclient.cli import cli
from cachingclient.storage import Store, open_store
from tests.support.entries import entry


def trust(*arguments: object) -> Result:
    """Run the command with these arguments."""
    return CliRunner().invoke(cli, ["trust", *map(str, arguments)])


def keys(ring: Path) -> dict[str, dict[str, object]]:
    """Return the keys of a ring by their files."""
    return {row["file"]: row for row in json.loads(trust("show", ring, "--json").stdout)}


def signed(folder: Path, ring: Path) -> Store:
    return open_store(folder, trust="signed", signing_key=str(ring), verify="always")


@pytest.mark.parametrize("pair", [[], ["--pair"]])
def test_a_ring_signs_what_is_kept(tmp_path: Path, pair: list[str]) -> None:
    """Keys are there for their owner alone, and entries are believed by whoever has the ring."""
    ring = tmp_path / "ring"
    result = trust("init", ring, *pair)
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(ring.stat().st_mode) == 0o700
    assert stat.S_IMODE((ring / "own.key").stat().st_mode) == 0o600
    store, kept = signed(tmp_path / "cache", ring), entry(1)
    assert store.write(kept)
    assert store.read(store.find(kept.keys)[kept.keys[0]]) == 1
    assert trust("init", ring).exit_code == 2


def test_who_has_the_public_half_reads(tmp_path: Path) -> None:
    """They add it to a ring of their own, and nothing that they write is kept."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    trust("init", mine, "--pair")
    theirs.mkdir(mode=0o700)
    assert trust("add", theirs, mine / "own.pub", "--name", "mine.pub").exit_code == 0
    kept = entry(1)
    signed(tmp_path / "cache", mine).write(kept)
    reader = signed(tmp_path / "cache", theirs)
    assert reader.read_only
    assert reader.find(kept.keys)
    assert keys(theirs)["mine.pub"]["signs"] is False


def test_a_revoked_key_is_believed_no_more(tmp_path: Path) -> None:
    """A new key takes its place, and what it signed stays."""
    ring, folder = tmp_path / "ring", tmp_path / "cache"
    trust("init", ring, "--name", "old")
    old = entry(1)
    signed(folder, ring).write(old)
    assert trust("revoke", ring, keys(ring)["old.key"]["key"]).exit_code == 0
    trust("init", ring, "--name", "new")
    assert keys(ring)["old.key"]["revoked"] is True
    changed = tmp_path / "link"  # opened anew, as in another process
    changed.symlink_to(folder)
    store, new = signed(changed, ring), entry(2)
    assert store.find(old.keys) == {}
    assert store.write(new)
    assert store.find(new.keys)
    said = CliRunner().invoke(
        cli, ["trust", "audit", "--store", str(changed), "-o", "trust=signed", "-o", f"signing_key={ring}", "--json"]
    )
    assert json.loads(said.stdout) == {"believed": {keys(ring)["new.key"]["key"]: 1}, "others": 1}
    assert trust("revoke", ring, "nobody").exit_code == 2


def test_a_ring_that_others_can_change_is_refused(tmp_path: Path) -> None:
    """They could add a key of their own."""
    ring = tmp_path / "ring"
    trust("init", ring)
    ring.chmod(0o777)
    with pytest.raises(ValueError, match="chmod -R go-w"):
        signed(tmp_path / "cache", ring)


def test_audit_takes_a_signed_store(tmp_path: Path) -> None:
    """Others have no signatures to count."""
    open_store(str(tmp_path / "cache"))
    result = trust("audit", "--store", tmp_path / "cache")
    assert result.exit_code == 2
    assert "trust=signed" in result.output


def test_programs_read_what_was_made_added_and_revoked(tmp_path: Path) -> None:
    """With --json each command that changes a ring tells the key and its file."""
    ring, theirs = tmp_path / "ring", tmp_path / "theirs"
    made = json.loads(trust("init", ring, "--pair", "--json").stdout)
    assert made == {"key": made["key"], "file": str(ring / "own.key"), "public": str(ring / "own.pub")}
    trust("init", theirs, "--pair")
    added = json.loads(trust("add", ring, theirs / "own.pub", "--name", "bob.pub", "--json").stdout)
    assert added["file"] == str(ring / "bob.pub")
    assert json.loads(trust("revoke", ring, added["key"], "--json").stdout) == {"key": added["key"], "revoked": True}
    assert keys(ring)["bob.pub"]["revoked"] is True
