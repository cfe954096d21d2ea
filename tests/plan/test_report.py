"""Plans and run reports as counts, text and HTML."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from cachingclient.plan.counts import name_order
from cachingclient.plan.plan import Plan
from cachingclient.plan.record import QUICK, StepRecord
from cachingclient.plan.report import RunReport
from cachingclient.plan.summary import summarise
from tests.plan.edited import RECORDS, plan, step


def test_a_plan_in_one_line(edited: Plan) -> None:
    """The headline counts steps, not data or aliases, and what the loaded ones took; more is not known."""
    assert summarise(edited.steps).headline == "3 of 7 steps to run, 2 to load, 2 not needed; saves at least 10 s"


def test_a_run_in_one_line(edited: Plan) -> None:
    """After the run the headline has what ran, what it took, and what it would have taken."""
    headline = RunReport(edited, RECORDS).summary().headline
    assert headline == ("2 of 7 steps ran, 2 loaded, 1 found by content, 2 not needed; 2.0 s instead of at least 13 s")


def test_rows_follow_the_work(edited: Plan) -> None:
    """Names are listed in the order in which their steps come, not by the alphabet."""
    assert [row.name for row in summarise(edited.steps).rows] == ["load", "select", "fill", "plot"]


def test_counts_of_a_run(edited: Plan) -> None:
    """Each step has one state; bytes and seconds are those that the workers recorded."""
    rows = {row.name: row for row in RunReport(edited, RECORDS).summary().rows}
    assert (rows["load"].not_needed, rows["select"].loaded) == (2, 2)
    assert (rows["fill"].ran, rows["fill"].cut_off, rows["fill"].kept, rows["fill"].bytes_kept) == (1, 1, 2, 50)
    assert rows["select"].bytes_loaded == 2000
    assert rows["select"].seconds_saved == pytest.approx(9.8)
    assert rows["fill"].seconds_saved == pytest.approx(1.5)
    assert (rows["plot"].ran, rows["plot"].uncacheable) == (1, 1)


def test_a_lost_entry_that_ran_again_counts_as_run(edited: Plan) -> None:
    """What was planned as loaded and then ran is told as it was."""
    records = [StepRecord("select-1", "select", "ran", 4.0, 1000, kept=True, note="entry lost: its blob is missing")]
    summary = RunReport(edited, records).summary()
    select = next(row for row in summary.rows if row.name == "select")
    assert (select.ran, select.loaded) == (1, 1)
    assert summary.reasons["select", "entry lost: its blob is missing"] == 1


def test_a_step_that_ran_and_was_then_loaded_counts_as_run(edited: Plan) -> None:
    """A result that was computed in this run and is read back, after a lost entry or worker, is no hit of it."""
    ran = StepRecord("fill-1", "fill", "ran", 4.0, 1000, kept=True)
    summary = RunReport(edited, [ran, StepRecord("fill-1", "fill", "loaded", 0.1, 1000, saved=4.0)]).summary()
    fill = next(row for row in summary.rows if row.name == "fill")
    assert (fill.ran, fill.loaded, fill.kept, fill.bytes_kept) == (2, 0, 1, 1000)
    assert (fill.seconds_spent, fill.seconds_saved) == (4.0, 0.0)


def test_steps_called_inside_a_task_are_counted(edited: Plan) -> None:
    """A record of a name or key that no plan has is a step of its own."""
    records = [*RECORDS, StepRecord("fill-1", "weights", "loaded", 0.1, 10, saved=2.0)]
    weights = RunReport(edited, records).summary().rows[-1]
    assert (weights.name, weights.loaded, weights.seconds_saved) == ("weights", 1, pytest.approx(1.9))


def test_the_time_of_steps_inside_others_is_counted_once() -> None:
    """A processor takes as long as all it calls; what is its own is the rest."""
    records = [
        StepRecord("processor-1", "processor", "ran", 10.0),
        StepRecord("processor-1/a", "select", "ran", 6.0),
        StepRecord("processor-1/a/b", "load", "cut off", 1.0),
        StepRecord("processor-1/c", "fill", "ran", 2.5),
    ]
    report = RunReport(plan(step("processor-1", "run")), records)
    spent = {row.name: row.seconds_spent for row in report.summary().rows}
    assert spent == {"processor": 1.5, "select": 5.0, "load": 1.0, "fill": 2.5}


def test_a_step_without_a_record_counts_as_planned(edited: Plan) -> None:
    """What was sent as it is leaves no record, and is not taken for kept."""
    total = RunReport(edited, []).summary().total
    assert (total.ran, total.loaded, total.not_needed, total.kept) == (3, 2, 2, 0)


def test_loading_that_took_longer_than_running_saves_nothing() -> None:
    """Savings are never negative."""
    slow = RunReport(plan(step("a-1", "load", took=0.1)), [StepRecord("a-1", "a", "loaded", 5.0, 10)])
    assert slow.summary().total.seconds_saved == 0
    assert slow.summary().headline == "0 of 1 steps ran, 1 loaded; 5.0 s"


def test_why_results_were_not_kept_stands_in_the_table(edited: Plan) -> None:
    """Why a step is uncacheable, and why workers did not keep what ran, is told in the row of each name."""
    notes = [StepRecord(f"fill-{n}", "fill", "ran", note="not kept: it holds a lock") for n in (1, 2)]
    lines = str(RunReport(edited, notes)).splitlines()
    assert lines[1].endswith("not kept because")
    assert [line for line in lines if line.startswith("fill") and line.endswith("  it holds a lock")]
    assert [line for line in lines if line.startswith("plot") and line.endswith("  argument 2 is an open file")]


def test_more_and_longer_reasons_stand_below_the_table(edited: Plan) -> None:
    """The table has the most frequent reason of a row, as far as there is room; the others are told in full below."""
    long = f"it holds {'a lock and ' * 10}a file"
    notes = [StepRecord("fill-1", "fill", "ran", note=f"not kept: {long}"), StepRecord("fill-2", "fill", "ran")]
    assert f"fill: not kept: {long}" in str(RunReport(edited, notes)).splitlines()
    two = [StepRecord(f"fill-{n}", "fill", "ran", note=f"not kept: it holds lock {n}") for n in (1, 2)]
    assert "fill: not kept: it holds lock 2" in str(RunReport(edited, two)).splitlines()


def test_quick_results_are_told_with_their_times_and_what_helps(edited: Plan) -> None:
    """A result that the policy did not keep has the times that decided, and a line says how to keep such ones."""
    quick = [StepRecord(f"fill-{n}", "fill", "ran", 6e-5 * n, note=QUICK, loading=3e-4, least=0.013) for n in (1, 2)]
    report = RunReport(edited, quick)
    assert "too quick to be worth it (ran 0.09 ms, kept from 13 ms on)" in str(report)
    assert "to keep more: what is quick to run is kept with policy='all', or as a part of a longer step" in str(report)
    assert {"name": "fill", "reason": "too quick to be worth it (ran 0.09 ms, kept from 13 ms on)", "count": 2} in [
        {name: each[name] for name in ("name", "reason", "count")} for each in report.to_dict()["not_kept"]
    ]
    assert "too quick to be worth it (ran 0.09 ms" in report._repr_html_()


def test_the_table_of_a_run(edited: Plan) -> None:
    """The text has a headline, a row a name, a total, reasons and a footnote, and no column without content."""
    report = RunReport(edited, RECORDS, planning_seconds=0.012, store="file:///cache")
    lines = str(report).splitlines()
    assert re.split("  +", lines[1]) == [
        "step", "ran", "loaded", "by content", "not needed", "kept", "uncacheable", "read", "written", "spent", "saved",
        "not kept because",
    ]  # fmt: skip
    assert lines[2].split() == ["load", "2"]
    assert lines[6].startswith("total")
    assert lines[-1] == "planned in 12 ms; store file:///cache"
    assert repr(report) == str(report)


def test_the_table_of_a_plan_has_no_columns_of_a_run(edited: Plan) -> None:
    """Before a run nothing has been spent or written."""
    heads = re.split("  +", str(edited).splitlines()[1])
    assert heads == [
        "step", "run", "load", "not needed", "may keep", "uncacheable", "read", "saved", "won't be kept because"
    ]  # fmt: skip


def test_nothing_at_all() -> None:
    """An empty graph has an empty report, not an error."""
    empty = RunReport(plan(), [])
    assert str(empty) == "0 of 0 steps ran; 0 s\nplanned in 0 s"
    assert "<table>" not in empty._repr_html_()


def test_a_table_with_very_many_names_is_folded() -> None:
    """Small names are folded into one row, and the total still has everything."""
    steps = [step(f"n{number}-1", "run") for number in range(100)]
    lines = str(plan(*steps)).splitlines()
    assert len(lines) == 63
    assert lines[-2].split() == ["41", "other", "names", "41", "41"]
    assert lines[-1].split() == ["total", "100", "100"]


def test_a_report_as_json(edited: Plan) -> None:
    """Everything shown is there as plain data."""
    told = json.loads(json.dumps(RunReport(edited, RECORDS, 0.5, "file:///cache").to_dict()))
    assert (told["steps"], told["total"]["cut_off"], told["planning_seconds"]) == (7, 1, 0.5)
    reason = {"name": "plot", "reason": "argument 2 is an open file", "count": 1, "advice": ""}
    assert told["not_kept"] == [reason]


class Balanced(HTMLParser):
    """Checks that every element that is opened is closed, in order, and that nothing is fetched from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_whole_and_needs_nothing_else(edited: Plan) -> None:
    """A notebook gets well-formed HTML without scripts or links, in the page's own text colour."""
    html = RunReport(edited, RECORDS)._repr_html_()
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert "<script" not in html
    assert "color: inherit" in html


def test_html_escapes_names_and_reasons() -> None:
    """A name is text, whatever is in it."""
    html = plan(step("<lambda>-1", "run", reason="of type <b>"))._repr_html_()
    assert "&lt;lambda&gt;" in html
    assert "of type &lt;b&gt;" in html


def test_long_chains_have_an_order() -> None:
    """A chain of many thousand steps is ordered without running out of stack."""
    steps = [step("a0-0", "run")]
    steps += [step(f"a{number // 5000}-{number}", "run", [steps[-1].key]) for number in range(1, 20_000)]
    for number in range(1, len(steps)):
        steps[number].dependencies = frozenset([steps[number - 1].key])
    assert name_order(plan(*reversed(steps)).steps) == ["a0", "a1", "a2", "a3"]


def test_each_line_below_the_table_stands_by_itself(edited: Plan) -> None:
    """In a notebook as on a terminal."""
    summary = summarise(edited.steps)
    summary.footnote = "keeping took 2 ms\nplanned in 3 ms"
    assert "<div>keeping took 2 ms</div><div>planned in 3 ms</div>" in summary._repr_html_()
