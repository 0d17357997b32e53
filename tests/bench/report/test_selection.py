"""Laws of selecting: what is shown is a part of the whole, unchanged, and says that it is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.report import selection
from bench.report.document import Report
from bench.report.figure import Axis, Figure, Panel, Series
from bench.report.sectioned import Section
from bench.report.selection import Filter, apply, parse
from bench.report.table import Table
from reaugkd.errors import UnknownNameError, UserError
from tests.bench.report import factory


@pytest.fixture
def made(tmp_path: Path) -> Report:
    return factory.report(tmp_path, factory.matrix())


def rows(report: Report) -> set[tuple[str, tuple[str, ...]]]:
    return {(table.title, row) for table in report.tables for row in table.rows}


def test_every_section_of_a_report_can_be_selected(made: Report) -> None:
    for section in made.sections:
        assert section.name in selection.SECTIONS
        (shown,) = apply(made, parse([section.name])).sections
        assert shown == section


def test_sections_keep_the_order_of_the_report(made: Report) -> None:
    names = [section.name for section in apply(made, parse(["retrieval,scores"])).sections]
    assert names == ["scores", "retrieval"]


def test_nothing_selected_is_everything(made: Report) -> None:
    assert not parse([])
    assert apply(made, parse([])) == made


@pytest.mark.parametrize("name", ["mrpc", "MRPC", "stsb", "STS-B", "sts_b"])
def test_a_task_is_found_by_its_name_and_by_its_title(made: Report, name: str) -> None:
    shown = apply(made, parse([f"task={name}"]))
    title = "MRPC" if name.lower() == "mrpc" else "STS-B"
    for table in shown.tables:
        if "task" in table.columns[: table.labels]:
            at = table.columns.index("task")
            assert {row[at].lower().replace("-", "") for row in table.rows} == {
                title.lower().replace("-", "")
            }
    headers = next(t for t in shown.tables if t.title.startswith("Scores")).columns[2:]
    assert headers
    assert all(header.startswith(title) for header in headers)


def test_what_is_shown_stands_in_the_whole_and_every_row_that_fits_is_shown(made: Report) -> None:
    whole = {title: table for table in made.tables for title in [table.title]}
    shown = apply(made, parse(["method=reaugkd"]))
    for table in shown.tables:
        one = whole[table.title]
        if "method" not in one.columns[: one.labels]:
            assert table == one
            continue
        at = one.columns.index("method")
        assert table.rows == tuple(row for row in one.rows if row[at] == "reaugkd")


def test_filters_of_different_columns_must_both_hold(made: Report) -> None:
    both = rows(apply(made, parse(["task=mrpc", "method=kd"])))
    one = rows(apply(made, parse(["method=kd,task=mrpc"])))
    assert both == one
    titles = {table.title: table for table in made.tables}
    for title, row in both:
        table = titles[title]
        if "task" in table.columns[: table.labels]:
            assert row[table.columns.index("task")] in ("MRPC", "mrpc")


def test_several_values_of_a_column_are_one_or_the_other(made: Report) -> None:
    both = apply(made, parse(["task=mrpc,stsb"]))
    assert rows(both) == rows(apply(made, parse(["task=mrpc", "task=stsb"]))) == rows(made)


def test_a_value_with_a_comma_needs_no_quoting() -> None:
    index = "faiss:IVF64,Flat"
    assert parse([f"index={index}"]).filters == (Filter("index", index),)
    table = Table("t", ("index", "x"), ((index, "1"), ("exact", "2")))
    report = Report("r", (), (Section("costs", "c", (table,)),), [], {})
    assert rows(apply(report, parse([f"index={index}"]))) == {("t", (index, "1"))}
    assert len(rows(apply(report, parse([f"index=exact,{index}"])))) == 2


def test_the_records_behind_the_tables_are_filtered_and_the_data_is_whole(made: Report) -> None:
    shown = apply(made, parse(["task=mrpc"]))
    (scores,) = (section for section in shown.sections if section.name == "scores")
    assert {record.task for record in scores.records} == {"mrpc"}
    assert (shown.data, shown.rows) == (made.data, made.rows)


def test_a_part_says_that_it_is_one(made: Report) -> None:
    lead = apply(made, parse(["scores,task=mrpc"])).lead
    assert lead[:-1] == made.lead
    assert lead[-1] == "Only a part is shown: scores; task = mrpc (--select)."


def test_panels_of_other_tasks_are_left_out(made: Report) -> None:
    line = Series("kd", (1.0,), (0.5,))
    panels = tuple(Panel(t, Axis("k"), Axis("y"), (line,)) for t in ("MRPC", "STS-B", "both"))
    first = replace(made.sections[0], figures=(Figure("f", "F", "alt", panels),))
    shown = apply(replace(made, sections=(first, *made.sections[1:])), parse(["task=mrpc"]))
    assert [panel.title for panel in shown.sections[0].figures[0].panels] == ["MRPC", "both"]


def test_grouping_only_divides(made: Report) -> None:
    grouped = apply(made, parse([], "task"))
    for section, whole in zip(grouped.sections, made.sections, strict=True):
        for table in whole.tables:
            if "task" not in table.columns[: table.labels] or table.labels == 1:
                continue
            at = table.columns.index("task")
            parts = [one for one in section.tables if one.title.startswith(f"{table.title}, ")]
            back = [
                (*row[:at], part.title.removeprefix(f"{table.title}, task "), *row[at:])
                for part in parts
                for row in part.rows
            ]
            assert sorted(back) == sorted(table.rows)
            assert all(part.labels == table.labels - 1 for part in parts)


def test_grouping_by_the_only_label_keeps_it() -> None:
    table = Table("t", ("base", "x"), (("a", "1"), ("b", "2")))
    report = Report("r", (), (Section("latency", "c", (table,)),), [], {})
    parts = apply(report, parse([], "base")).tables
    assert [(part.title, part.rows) for part in parts] == [
        ("t, base a", (("a", "1"),)),
        ("t, base b", (("b", "2"),)),
    ]


@pytest.mark.parametrize("cell", ["mrpc* (3,668)", "mrpc (3,668)"])
def test_a_base_is_found_by_its_task(cell: str) -> None:
    table = Table("t", ("base", "x"), ((cell, "1"), ("sst2* (67,349)", "2")))
    report = Report("r", (), (Section("latency", "c", (table,)),), [], {})
    assert rows(apply(report, parse(["base=mrpc"]))) == {("t", (cell, "1"))}


def test_a_task_with_several_splits_is_found_by_its_name() -> None:
    table = Table("t", ("task", "x"), (("MNLI matched", "1"), ("MNLI mismatched", "2")))
    report = Report("r", (), (Section("retrieval", "c", (table,)),), [], {})
    assert len(rows(apply(report, parse(["task=mnli"])))) == 2
    assert len(rows(apply(report, parse(["task=MNLI matched"])))) == 1


@pytest.mark.parametrize(
    ("texts", "group_by", "said"),
    [
        (["scors"], None, "did you mean 'scores'?"),
        (["latency"], None, "this report has no such section (it has: scores, "),
        (["tsk=mrpc"], None, "did you mean 'task'?"),
        (["task=mrcp"], None, "did you mean 'mrpc'?"),
        (["task="], None, "expected COLUMN=VALUE"),
        (["=mrpc"], None, "expected COLUMN=VALUE"),
        ([], "metod", "did you mean 'method'?"),
        (["task=mrpc,scors"], None, "unknown task 'scors'"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(
    made: Report, texts: list[str], group_by: str | None, said: str
) -> None:
    with pytest.raises(UserError) as caught:
        apply(made, parse(texts, group_by))
    assert said.casefold() in str(caught.value).casefold()
    assert "\n" not in str(caught.value)


def test_an_empty_run_has_nothing_to_filter(tmp_path: Path) -> None:
    empty = factory.report(tmp_path, [])
    with pytest.raises(UnknownNameError):
        apply(empty, parse(["task=mrpc"]))
