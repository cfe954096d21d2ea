"""What the page on trust quotes, as a client says it to who points at a colleague's folder, and what it calls data."""

from __future__ import annotations

import collections
import decimal
import fractions
import re
from datetime import date
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster

from cachingclient import DiracClient, open_store
from cachingclient.storage import UncodableError, encode

PAGE = (Path(__file__).parents[2] / "docs" / "trust.md").read_text()
QUOTES = [" ".join(each.replace("\n> ", " ")[2:].split()) for each in re.findall(r"(?m)(?:^> .*\n?)+", PAGE)]


class Selection(fractions.Fraction):
    """A class that only a pickle can keep: it has slots, and makes its objects itself."""


class Cuts:
    """A class of the user's, of plain attributes."""

    def __init__(self, pt: float, regions: tuple[str, ...]) -> None:
        self.pt = pt
        self.regions = regions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cuts) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


def select(number: int) -> Selection:
    return Selection(number, 7)


def test_a_colleagues_folder_says_what_the_page_quotes(cluster: LocalCluster, tmp_path: Path) -> None:
    """The warning once, and the reason in the report for each step whose result only a pickle could keep."""
    (folder := tmp_path / "cache").mkdir(mode=0o700)
    with DiracClient(cluster, cache=str(folder), policy="all") as client:
        assert client.submit(select, 3).result() == select(3)
    for each in (folder, *folder.rglob("*")):
        each.chmod(0o777 if each.is_dir() else 0o666)
    store = open_store(folder, trust="data")
    with DiracClient(cluster, cache=store, policy="all") as client:
        with pytest.warns(UserWarning, match="hold pickles") as warned:
            assert client.submit(select, 3).result() == select(3)
        client.flush()
        assert client.report is not None
        notes = [record.note for record in client.report.records]
    told = {str(each.message) for each in warned if "hold pickles" in str(each.message)}
    assert told == {QUOTES[0].replace("file:///data/bob/cache", store.url)}
    assert [note.partition(": ")[2].removeprefix("it can't be serialised: ") for note in notes] == [QUOTES[1]]


DATA: dict[str, Any] = {
    "number": 3.5 - 2j,
    "text": "ttbar",
    "container": {"regions": ["4j2b"], "bins": {"pt": (30, 500)}, "seen": {1, 2}, "none": None},
    "array": np.arange(12.0).reshape(3, 4),
    "table": pd.DataFrame({"pt": [28.1, 35.2], "sample": ["ttbar", "wjets"]}),
    "histogram": hist.Hist.new.Reg(10, 0, 500, name="pt").Weight().fill([28.1, 35.2]),
    "awkward array": ak.Array([[28.1], [], [35.2, 41.7]]),
    "object of a class of one's own": Cuts(30.0, ("4j2b", "4j1b")),
}


@pytest.mark.parametrize("kind", DATA)
def test_what_the_page_calls_data_is_kept_where_others_can_write(
    kind: str, cluster: LocalCluster, tmp_path: Path
) -> None:
    """And comes back as it was, in a session that runs nothing."""
    (folder := tmp_path / "cache").mkdir()
    folder.chmod(0o777)
    value = DATA[kind]
    for ran in (1, 0):
        store = open_store(folder)
        assert store.trust == "data"
        with DiracClient(cluster, cache=store, policy="all") as client:
            found = client.submit(same, value).result()
            client.flush()
            assert client.report is not None
            assert client.report.to_dict()["total"]["ran"] == ran
        equal = found == value
        assert equal.all(axis=None) if hasattr(equal, "all") else ak.all(equal) if kind[0] == "a" else equal


def same(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    "value",
    [collections.OrderedDict(a=1), collections.Counter("aab"), date(2026, 12, 1), Path("x"), decimal.Decimal("1.1")],
    ids=lambda value: type(value).__name__,
)
def test_what_the_page_does_not_call_data_is_not_kept_there(value: Any) -> None:
    """It is named, where it lies in a dict too."""
    with pytest.raises(UncodableError, match=f"^a {type(value).__name__} in a dict takes a pickle"):
        encode({"kept": [value]}, data_only=True)
