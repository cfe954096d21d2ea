"""What a user says of a step's files: what it writes, and what does not count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest

from cachingclient import DiracClient, step
from tests.support.reported import counts


def unseen_writer(folder: Path, name: str) -> str:
    """Write in a way that Python does not tell of, by a program that is not observed."""
    from cachingclient.worker.observe import unobserved

    with unobserved():
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("plot")
    return name


def logging(x: int, log: Path) -> int:
    with log.open("a") as file:
        file.write(f"ran {x}\n")
    return x + 1


def say(x: int, log: str) -> str:
    return f"{x} {log}"


def test_stated_outputs_are_there_as_they_were_left(make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """A step with outputs runs again once what it wrote is gone or changed, and not before."""
    marked = step(outputs=["folder"])(unseen_writer)
    folder = tmp_path / "plots"

    def ran() -> int:
        client = make_client()
        assert client.submit(marked, folder, "mass.pdf").result() == "mass.pdf"
        client.close()
        return counts(client)[0]

    assert [ran(), ran()] == [1, 0]
    (folder / "mass.pdf").unlink()
    assert [ran(), ran()] == [1, 0]
    assert (folder / "mass.pdf").exists()
    (folder / "mass.pdf").write_text("another plot")
    assert [ran(), ran()] == [1, 0]


def test_an_output_that_is_missing_is_not_kept(client: DiracClient, tmp_path: Path) -> None:
    """A step that does not write what it is said to write is not kept, with the reason."""
    assert client.submit(step(outputs=["log"])(say), 1, str(tmp_path / "never")).result()
    client.flush()
    (record,) = client.report.records
    assert "never, which outputs names, is not there after it" in record.note


@pytest.mark.parametrize("how", ["step", "annotation", "setting"])
def test_a_log_that_does_not_count(how: str, make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """A step that writes a log counts its runs there: the log is neither input nor output."""
    log, pattern = tmp_path / "runs.log", "*/runs.log"

    def run() -> None:
        with dask.config.set({"cachingclient.unobserved": [pattern] if how == "setting" else []}):
            one = make_client()
        function: Any = step(unobserved=[pattern])(logging) if how == "step" else logging
        with dask.annotate(cache={"unobserved": [pattern]} if how == "annotation" else True):
            assert one.submit(function, 1, log).result() == 2
        one.close()

    run()
    log.write_text("")
    run()
    assert log.read_text() == "", "emptying the log does not have the step run again"


def test_a_log_of_a_step_inside_a_task(make_client: Callable[..., DiracClient], tmp_path: Path) -> None:
    """What a step inside a task leaves out does not count for the task either."""
    log = tmp_path / "inner.log"

    def outer(x: int) -> int:
        return int(step(unobserved=["*/inner.log"])(logging)(x, log)) * 10

    for _ in range(2):
        one = make_client()
        assert one.submit(outer, 1).result() == 20
        one.close()
        log.unlink(missing_ok=True)
    assert counts(one)[0] == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"outputs": ["nowhere"]}, ValueError, "outputs names 'nowhere', which is no argument of logging"),
        ({"outputs": "log"}, TypeError, "outputs is 'log'; it takes a list of texts, such as ['log']"),
        ({"unobserved": ["logs/*.log"]}, ValueError, "it takes globs of absolute paths"),
        ({"unobserved": [3]}, TypeError, "unobserved has 3; it takes texts"),
        ({"unobserved": 3}, TypeError, "unobserved is 3; it takes a list of texts"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """An option that can't be right is an error that names it and says what it takes."""
    with pytest.raises(error, match=message.replace("[", r"\[").replace("*", r"\*")):
        step(**options)(logging)
