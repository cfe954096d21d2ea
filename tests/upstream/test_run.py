"""What is compared when upstream's tests run with the client exchanged, the table, and the list of what differs."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.upstream.run import add, judge, part, sample
from tests.upstream.sources import Project
from tests.upstream.table import differing, listed, table

PLAIN = {"a": "passed", "b": "passed", "c": "failed", "d": "skipped"}
COLD = {"a": "passed", "b": "failed", "c": "failed", "d": "failed"}
WARM = {"a": "failed", "b": "failed", "c": "passed", "d": "skipped"}


def test_what_differs() -> None:
    """A test differs if it passes with dask's client and fails with ours; what fails with both tells nothing."""
    assert differing({"plain": PLAIN, "cold": COLD, "warm": WARM}) == {"a": {"warm"}, "b": {"cold", "warm"}}


def test_reasons_are_of_a_fixed_set(tmp_path: Path) -> None:
    """Each test in the list has one of the known reasons; another one is an error that names them."""
    assert all("tests/test_" in test and "::" in test for test in listed())
    (tmp_path / "list.csv").write_text("test,reason\ntests/test_x.py::test_y,bad luck\n")
    with pytest.raises(ValueError, match=r"bad luck.*counts-tasks"):
        listed(tmp_path / "list.csv")


def test_table() -> None:
    """The table counts what passed, failed, and failed by nature; the parts of a suite are added up."""
    results: dict[str, dict[str, dict[str, str]]] = {}
    add(results, "tests/test_x.py", {"plain": {"a": "passed"}, "cold": {"a": "passed"}, "warm": {"a": "failed"}})
    add(results, "tests/test_x.py", {"plain": PLAIN, "cold": COLD, "warm": WARM})
    lines = table(results, {"a": "places"}).splitlines()
    assert lines[2] == "| `tests/test_x` | 2, 1 | 1, 3, 0 | 1, 1, 1 |"
    assert lines[3] == "| all | 2, 1 | 1, 3, 0 | 1, 1, 1 |"


def test_what_is_not_explained(tmp_path: Path) -> None:
    """What differs without a reason, has a reason and does not differ, or did not run with our client, is told."""
    rows = tmp_path / "list.csv"
    rows.write_text("test,reason\na,places\nold,places\nelsewhere,places\n")
    results = {
        "tests/test_x.py": {
            "plain": PLAIN | {"old": "passed"},
            "cold": COLD | {"old": "passed"},
            "warm": {test: outcome for test, outcome in WARM.items() if test != "c"} | {"old": "passed"},
        }
    }
    told = ["c did not run warm: see the log", "b differs (cold, warm)", "old is listed and does not differ"]
    assert judge(results, listed(rows)) == told


def test_only_the_tests_are_unfolded(tmp_path: Path) -> None:
    """A project's tests run beside nothing else of its checkout, so with what is installed, under its own settings."""
    source, into = tmp_path / "source", tmp_path / "into"
    (source / "thing" / "tests").mkdir(parents=True)
    (source / "thing" / "module.py").touch()
    for name in ("__init__.py", "test_some.py", "test_other.py"):
        (source / "thing" / "tests" / name).touch()
    marks = 'markers = ["odd: is odd"]\nfilterwarnings = ["error"]\n'
    (source / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\n{marks}")
    project = Project(("thing/tests",), ("thing/tests/test_s*.py",))
    into.mkdir()
    settings = project.unfold(source, into)
    files = sorted(str(path.relative_to(into)) for path in into.rglob("*.py"))
    assert files == ["thing/tests/test_other.py", "thing/tests/test_some.py"]
    assert {"    odd: is odd", "    error"} <= set(settings.read_text().splitlines())
    assert project.find(into) == ["thing/tests/test_some.py"]
    assert project.find(into, ["test_other"]) == ["thing/tests/test_other.py"]


def test_a_part_is_counted_from_one() -> None:
    """A part that no suite has is an error that says how parts are named."""
    assert part("6/6") == "6/6"
    for wrong in ("0/6", "7/6", "2"):
        with pytest.raises(argparse.ArgumentTypeError, match=rf"'{wrong}' is no part .* 1/6 to 6/6"):
            part(wrong)


def test_a_sample_is_a_number_and_a_draw() -> None:
    """A sample that doesn't say how many tests of which draw is an error that says how samples are named."""
    assert sample("200:monday") == "200:monday"
    for wrong in ("200", "0:monday", "monday:200", "200:"):
        with pytest.raises(argparse.ArgumentTypeError, match=rf"'{wrong}' is no sample: 200:monday"):
            sample(wrong)
