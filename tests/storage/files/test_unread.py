"""Files of a store that may not be read: neither damaged nor gone."""

from __future__ import annotations

import warnings
from pathlib import Path

from cachingclient.storage import open_store
from cachingclient.storage.files.layout import step_name
from tests.support.entries import entry
from tests.support.rights import as_another_user


def test_an_entry_that_may_not_be_read_is_not_called_damaged(cache_folder: Path) -> None:
    """The warning says what the system says, once; the file stays where it is, and is served once it may be read."""
    store, kept, other = open_store(cache_folder), entry(5), entry(6)
    store.write(kept)
    store.write(other)
    names = [cache_folder / step_name(each.keys[0]) for each in (kept, other)]
    for folder in cache_folder.glob("**/"):
        folder.chmod(0o755)
    for name in names:
        name.chmod(0)
    with as_another_user(cache_folder), warnings.catch_warnings(record=True, action="always") as told:
        reader = open_store(cache_folder)
        assert reader.find([*kept.keys, *other.keys]) == {}
        problems = [problem for problem in reader.check(repair=True) if problem is not None]
        damaged = list(reader.damaged())
    assert damaged == []
    messages = [str(each.message) for each in told if "nothing will be kept" not in str(each.message)]
    assert [message.partition(", so its step runs again: Permission denied: ")[0] for message in messages] == [
        f"an entry in {store.url} may not be read"
    ]
    assert {problem.what for problem in problems} == {"it may not be read: Permission denied"}
    assert not any(problem.mended for problem in problems)
    for name in names:
        name.chmod(0o600)
    assert store.read(store.find(kept.keys)[kept.keys[0]]) == 5
