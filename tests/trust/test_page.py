"""What the page on trust says of the attacks is what is tried, and its words are those that are seen."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from cachingclient import CacheWarning, DiracClient
from cachingclient.storage import open_store
from tests.support.entries import entry
from tests.trust.crafting import CRAFTS
from tests.trust.payloads import PAYLOADS
from tests.trust.table import kind_of, table

PAGE = (Path(__file__).parents[2] / "docs" / "trust.md").read_text()


def test_the_table_is_that_of_the_attacks() -> None:
    """As the command prints it; each attack is of a kind."""
    start, end = "<!-- attacks -->\n", "\n<!-- end of attacks -->"
    assert PAGE.partition(start)[2].partition(end)[0].splitlines() == table()
    assert all(map(kind_of, [*CRAFTS, *PAYLOADS]))


def quoted() -> list[str]:
    """Return the words that the page quotes, each in one line."""
    return [
        " ".join(line.strip("> ") for line in block.splitlines()) for block in re.findall("(?:^> .*\n)+", PAGE, re.M)
    ]


def test_the_words_for_a_folder_of_others(tmp_path: Path) -> None:
    """Who points at a colleague's folder for the first time, which others can write to, sees the page's words."""
    folder = tmp_path / "cache"
    kept = entry(Fraction(1, 3), name="select")
    open_store(folder).write(kept)
    folder.chmod(0o777)
    with pytest.warns(UserWarning, match="pickles") as seen:
        open_store(f"{folder}/").find(kept.keys)
    assert str(seen[0].message).replace(folder.as_uri(), "file:///data/bob/cache") == quoted()[0]


class Selection:
    """What takes a pickle: it says itself how it is kept."""

    def __reduce__(self) -> tuple[type[Selection], tuple[()]]:
        return Selection, ()


def test_the_words_for_what_only_a_pickle_keeps(make_client: Callable[..., DiracClient], cache_folder: Path) -> None:
    """The report says of the step why it is not kept, and what would keep it."""
    cache_folder.mkdir()
    cache_folder.chmod(0o777)
    client = make_client()
    with warnings.catch_warnings(action="ignore", category=CacheWarning):
        client.submit(Selection, pure=True).result()
        client.flush()
    assert client.report is not None
    assert quoted()[1].removeprefix("a Selection ") in str(client.report)
