"""Laws of selecting: what is shown is a part of the whole, unchanged, and says that it is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report import select
from bench.report.document import Report
from bench.report.frame import rows as rows_of
from bench.report.section import Column
from bench.report.select import Selection, apply, parse
from reaugkd.errors import UnknownNameError, UserError
from tests.bench.report import factory, small


@pytest.fixture
def made(tmp_path: Path) -> Report:
    return factory.report(tmp_path, factory.matrix())


def rows(report: Report) -> set[tuple[str, tuple[str, ...]]]:
    return {(table.title, row) for table in report.tables for row in table.rows}


def test_every_section_of_a_report_can_be_selected(made: Report) -> None:
    for heading in dict.fromkeys(part.section.heading for part in made.shown):
        assert heading in select.SECTIONS
        shown = apply(made, parse([heading]))
        assert shown.parts == tuple(p for p in made.parts if p.section.heading == heading)


def test_nothing_selected_is_everything_and_the_order_is_that_of_the_report(made: Report) -> None:
    assert parse([]) == Selection()
    assert apply(made, parse([])).tables == made.tables
    shown = apply(made, parse(["retrieval,scores"])).shown
    assert list(dict.fromkeys(part.section.heading for part in shown)) == ["scores", "retrieval"]


@pytest.mark.parametrize("name", ["mrpc", "MRPC", "stsb", "STS-B", "sts_b"])
def test_a_task_is_found_by_its_name_and_by_its_title(made: Report, name: str) -> None:
    task = "mrpc" if name.lower() == "mrpc" else "stsb"
    shown = apply(made, parse([f"task={name}"]))
    for part in shown.parts:
        if "task" in part.frame:
            assert set(part.frame["task"]) <= {task}
    headers = next(t for t in shown.tables if t.title == "Scores").columns[2:]
    assert headers
    assert all(header.startswith({"mrpc": "MRPC", "stsb": "STS-B"}[task]) for header in headers)


def test_what_is_shown_stands_in_the_whole_and_every_row_that_fits_is_shown(made: Report) -> None:
    shown = {
        view.title: part
        for part in apply(made, parse(["method=reaugkd"])).parts
        for view in part.views
    }
    for whole in made.parts:
        for view in whole.views:
            table = view.table(whole.frame)
            at = next((n for n, label in enumerate(view.labels) if label.title == "method"), None)
            fitting = tuple(row for row in table.rows if at is None or row[at] == "reaugkd")
            assert (view.title in shown) == bool(fitting)
            if fitting:
                part = view.table(shown[view.title].frame)
                assert (part.rows, part.notes) == (fitting, table.notes)


def test_filters_of_different_columns_must_both_hold_and_of_one_either(made: Report) -> None:
    both = rows(apply(made, parse(["task=mrpc", "method=kd"])))
    assert both == rows(apply(made, parse(["method=kd,task=mrpc"])))
    either = rows(apply(made, parse(["task=mrpc,stsb"])))
    assert either == rows(apply(made, parse(["task=mrpc", "task=stsb"]))) == rows(made)


def test_a_value_with_a_comma_needs_no_quoting() -> None:
    index = "faiss:IVF64,Flat"
    assert parse([f"index={index}"]).filters == (("index", index),)
    lines = [{"index": name, "x": number} for number, name in enumerate((index, "exact"))]
    columns = (Column("index", "index", label=True), Column("x", "x"))
    report = small.report(small.section(lines, columns))
    assert rows(apply(report, parse([f"index={index}"]))) == {("Scores", (index, "0"))}
    assert len(rows(apply(report, parse([f"index=exact,{index}"])))) == 2


def test_values_are_told_apart_from_a_value_that_joins_them() -> None:
    names = ("reaugkd", "kd", "reaugkd - kd", "rkd")
    lines = [{"task": "mrpc", "title": "MRPC", "method": name, "score": 1.0} for name in names]
    report = small.report(small.section(lines))
    for text, methods in {
        "reaugkd,kd": {"reaugkd", "kd"},
        "reaugkd - kd": {"reaugkd - kd"},
        "rkd, reaugkd - kd": {"rkd", "reaugkd - kd"},
    }.items():
        shown = rows(apply(report, parse([f"method={text}"])))
        assert {row[1] for _, row in shown} == methods


def test_a_label_is_found_by_what_it_shows_and_by_its_keys() -> None:
    lines = [{"base": "mrpc", "size": 3668}, {"base": "sst2", "size": 67349}]
    label = Column("base", lambda row: f"{row.base}* ({row.size:,})", label=True, keys=("base",))
    report = small.report(small.section(lines, (label, Column("size", "size"))))
    for text in ("mrpc", "mrpc* (3,668)", "MRPC (3,668)"):
        assert len(rows(apply(report, parse([f"base={text}"])))) == 1


def test_a_task_with_several_splits_is_found_by_its_name() -> None:
    assert len(rows(apply(small.report(), parse(["task=mnli"])))) == 4
    assert len(rows(apply(small.report(), parse(["task=MNLI matched"])))) == 2


def test_a_column_of_a_pivot_goes_with_its_rows() -> None:
    (table,) = apply(small.report(small.pivot()), parse(["task=mnli"])).tables
    assert table.columns == ("method", "MNLI matched", "MNLI mismatched")
    assert table.rows == (("kd", "1.00", "2.00"), ("reaugkd", "1.00", "2.00"))


def test_a_picture_shows_the_rows_that_are_chosen() -> None:
    (part,) = apply(small.report(small.pictured()), parse(["task=mnli", "method=kd"])).parts
    (picture,) = part.pictures
    assert {(row.task, row.method) for row in rows_of(picture.frame)} == {("mnli", "kd")}


def test_frames_are_chosen_and_the_data_of_the_whole_is_not_touched(made: Report) -> None:
    before = made.data
    shown = apply(made, parse(["task=mrpc"]))
    (scores,) = (part for part in shown.parts if part.section.name == "scores")
    assert set(scores.frame["task"]) == {"mrpc"}
    assert made.data == before


def test_a_part_says_that_it_is_one(made: Report) -> None:
    lead = apply(made, parse(["scores,task=mrpc"])).lead
    assert lead[:-1] == made.lead
    assert lead[-1] == "Only a part is shown: scores; task = mrpc (--select)."


def test_grouping_only_divides() -> None:
    (whole,) = small.report().tables
    tables = apply(small.report(), parse([], "task")).tables
    back = [
        (table.title.removeprefix("Scores, task "), *row) for table in tables for row in table.rows
    ]
    assert back == list(whole.rows)
    assert all(table.columns == whole.columns[1:] for table in tables)
    assert all(table.labels == whole.labels - 1 for table in tables)


def test_grouping_by_the_only_label_keeps_it() -> None:
    tables = apply(small.report(small.pivot()), parse([], "method")).tables
    assert [table.title for table in tables] == ["Scores, method kd", "Scores, method reaugkd"]
    assert all(table.columns[0] == "method" for table in tables)


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
    with pytest.raises(UnknownNameError):
        apply(factory.report(tmp_path, []), parse(["task=mrpc"]))
