"""In what an input differs from what it was: of one that may not be read, that."""

from __future__ import annotations

from pathlib import Path

from cachingclient.hashing.inputs.differs import in_what
from cachingclient.hashing.inputs.fingerprint import Fingerprint
from tests.support.rights import as_another_user


def test_a_file_that_may_not_be_read_is_neither_gone_nor_other(tmp_path: Path) -> None:
    """Its content can't be compared, or, in a folder that may not be entered, not even its size."""
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / "in.txt"
    path.write_text("hello\n")
    seen = Fingerprint(str(path), "file", 6, checksum="xxh3:0f")
    assert in_what(str(path), seen) == "other content of the same size"
    path.chmod(0)
    with as_another_user(folder):
        assert in_what(str(path), seen) == "it may not be read"
    folder.chmod(0)
    with as_another_user(tmp_path):
        assert in_what(str(path), seen) == "it may not be read"
    folder.chmod(0o755)
    path.unlink()
    assert in_what(str(path), seen) == "it is gone"
