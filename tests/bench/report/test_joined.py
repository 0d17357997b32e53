"""Laws of measurements beside a run: nothing is lost, every part says of which folder it is."""

from __future__ import annotations

from pathlib import Path

from bench.records.measurements import Measurements
from bench.report import measured
from bench.report.document import Report
from bench.report.joined import join
from tests.bench.measure import judged
from tests.bench.report import factory


def latency(folder: Path) -> Report:
    store = Measurements(folder)
    store.create()
    store.write(judged.record())
    return measured.build(store)


def rows(*reports: Report) -> list[tuple[str, ...]]:
    return sorted(row for report in reports for table in report.tables for row in table.rows)


def test_a_report_beside_nothing_is_itself(tmp_path: Path) -> None:
    made = factory.report(tmp_path, factory.matrix([0]))
    assert join(made, []) == made


def test_every_row_and_sentence_of_all_is_there_once(tmp_path: Path) -> None:
    made = factory.report(tmp_path / "run", factory.matrix([0]))
    one, two = latency(tmp_path / "one"), latency(tmp_path / "two")
    both = join(made, [("one", one), ("two", two)])
    assert rows(both) == rows(made, one, two)
    assert both.lead == (
        *made.lead,
        *(f"one: {line}" for line in one.lead),
        *(f"two: {line}" for line in two.lead),
    )
    assert both.headline == (*made.headline, *one.headline, *two.headline)
    assert both.data["measured"] == {"one": one.data, "two": two.data}
    assert both.rows == made.rows


def test_what_is_about_the_runs_comes_last_and_names_are_unique(tmp_path: Path) -> None:
    made = factory.report(tmp_path / "run", factory.matrix([0]))
    found = [(name, latency(tmp_path / name / "same")) for name in ("one", "two", "three")]
    both = join(made, [("same", report) for _, report in found])
    about = [section.about for section in both.sections]
    assert about == sorted(about)
    names = [section.name for section in both.sections]
    assert len(set(names)) == len(names)
    figures = [figure.name for section in both.sections for figure in section.figures]
    assert len(set(figures)) == len(figures) > 3
    assert len(both.data["measured"]) == 3


def test_tables_that_several_folders_have_say_of_which_they_are(tmp_path: Path) -> None:
    made = factory.report(tmp_path / "run", factory.matrix([0]))
    both = join(made, [(name, latency(tmp_path / name)) for name in ("one", "two")])
    (section,) = (one for one in both.sections if one.name == "latency")
    assert {table.title.rsplit(", ", 1)[1] for table in section.tables} == {"one", "two"}
    alone = join(made, [("one", latency(tmp_path / "one"))])
    assert "Latency of retrieval" in {table.title for table in alone.tables}
    assert "Provenance, one" in {table.title for table in alone.tables}
