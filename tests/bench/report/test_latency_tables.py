"""Tables of latency: every cell stands in them, in order, with its verdict in words or signs."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest

from bench.records.measurement import LatencyRecord
from bench.records.measurements import Measurements, PlanFile
from bench.report import latency, markdown, measured
from bench.report.table import EMPTY, Table
from tests.bench.measure import judged
from tests.bench.measure.judged import memory


def of(base: str, size: int, **changes: object) -> LatencyRecord:
    cell = judged.cell(base=base, size=size, **changes)
    key = "-".join(map(str, (base, *changes.values())))
    return judged.record(key=key, cell=cell)


def column(table: Table, name: str) -> list[str]:
    at = table.columns.index(name)
    return [row[at] for row in table.rows]


def test_rows_are_sorted_by_size_batch_precision_and_backend_with_exact_first() -> None:
    expected = [
        of("wnli", 635, batch=batch, precision=precision, backend=backend)
        for batch in (1, 32)
        for precision in ("fp32", "bf16")
        for backend in ("exact", "annoy", "hnswlib")
    ] + [of("mnli", 392_702, backend="exact")]
    shuffled = list(expected)
    random.Random(0).shuffle(shuffled)
    assert latency.ordered(shuffled) == expected
    assert latency.table(shuffled) == latency.table(expected)


def test_a_row_shows_the_figures_of_its_record() -> None:
    made = judged.record(0.0058, 0.0066, cell=judged.cell(backend="auto", generated=True))
    row = dict(zip(latency.table([made]).columns, latency.table([made]).rows[0], strict=True))
    assert row["base"] == "mrpc* (3,668)"
    assert row["backend"] == "auto -> hnswlib"
    assert [row[f"forward {name}"] for name in ("ms", "p95", "p99")] == ["20.00", "25.00", "30.00"]
    assert [row[f"added {name}"] for name in ("ms", "p95", "p99")] == ["0.200", "0.300", "0.400"]
    assert row["overhead %"] == "0.62 [0.58, 0.66]"
    assert row["noise %"] == "0.00 [-2.00, 2.00]"
    assert (row["limit %"], row["verdict"]) == ("3", "holds")
    assert (row["recall"], row["agreement"], row["effort"]) == ("0.9920", "0.9990", "64")


def test_generated_bases_are_marked_and_explained_and_real_ones_are_not() -> None:
    generated, real = of("mrpc", 10), of("mrpc (real)", 10, generated=False)
    assert latency.GENERATED in latency.table([generated, real]).notes
    assert latency.GENERATED not in latency.table([real]).notes
    assert column(latency.table([real]), "base") == ["mrpc (real) (10)"]


def test_a_cell_without_figures_stands_in_the_table_with_its_reason_below() -> None:
    made = judged.failed("the measuring process was ended by SIGKILL")
    table = latency.table([made])
    assert column(table, "verdict") == ["failed"]
    assert column(table, "overhead %") == column(table, "build s") == [EMPTY]
    assert any("ended by SIGKILL" in note for note in table.notes)
    assert latency.matrices([made])[0].rows[0][1] == "failed"


def test_a_missed_target_is_told() -> None:
    made = judged.record(index=judged.index(target_met=False))
    assert any("full effort missed recall 0.99" in note for note in latency.table([made]).notes)


def test_the_protocol_is_named_and_every_figure_explained() -> None:
    notes = " ".join(latency.table([judged.record()]).notes)
    assert latency.PROTOCOL in notes
    for name in (
        "forward",
        "added",
        "overhead",
        "end to end",
        "noise",
        "recall",
        "effort",
        "build",
    ):
        assert name in notes
    assert latency.table([]).notes == ()


def test_there_is_one_matrix_per_batch_and_precision_with_a_sign_per_verdict() -> None:
    records = [
        of("wnli", 635, backend="exact"),
        of("wnli", 635, backend="hnswlib"),
        of("mrpc", 3668, backend="hnswlib"),
        of("mrpc", 3668, backend="hnswlib", batch=32),
    ]
    verdicts = ("fails", "undecided", "holds", "holds")
    records = [
        one.model_copy(update={"verdict": verdict})
        for one, verdict in zip(records, verdicts, strict=True)
    ]
    first, second = latency.matrices(records)
    assert (first.title, second.title) == (
        "Overhead %, batch 1, fp32",
        "Overhead %, batch 32, fp32",
    )
    assert first.columns == ("base", "exact", "hnswlib")
    assert first.rows == (("wnli* (635)", "0.60 ✗", "0.60 ?"), ("mrpc* (3,668)", EMPTY, "0.60 ✓"))
    assert second.rows == (("mrpc* (3,668)", "0.60 ✓"),)
    assert all(mark in first.notes[0] for mark in latency.MARKS.values())


@pytest.mark.parametrize(
    "axis", [{"k": 5}, {"threads": 1}, {"student": "x"}, {"lengths": "fixed 8"}]
)
def test_no_two_cells_share_a_place_in_a_matrix(axis: dict[str, object]) -> None:
    records = [of("mrpc", 3668), of("mrpc", 3668, **axis)]
    tables = latency.matrices(records)
    assert sum(cell != EMPTY for table in tables for row in table.rows for cell in row[1:]) == 2
    assert len({table.title for table in tables}) == len(tables)


def test_bases_with_lengths_of_their_own_share_a_matrix() -> None:
    records = [of("wnli", 635, lengths="recorded wnli"), of("mrpc", 3668, lengths="recorded mrpc")]
    assert len(latency.matrices(records)) == 1


def test_the_csv_holds_every_cell_in_full_precision() -> None:
    records = [judged.record(0.005, 0.007), judged.failed("killed")]
    rows = list(csv.DictReader(io.StringIO(latency.as_csv(records))))
    by_key = {row["key"]: row for row in rows}
    ok, failed = by_key["c1"], by_key["f1"]
    assert float(ok["ratio_low"]) == 0.005
    assert float(ok["forward_p99"]) == 30.0
    assert (ok["index_effort"], ok["status"]) == ("64", "ok")
    assert (failed["reason"], failed["ratio_low"]) == ("killed", "")
    assert latency.as_csv([]) == "key\n"


def test_a_report_of_a_folder_shows_both_kinds_and_what_is_missing(tmp_path: Path) -> None:
    store = Measurements(tmp_path / "out")
    store.create()
    store.write(judged.record())
    store.write(memory())
    (store.cells / "bad.json").write_text("{")
    cells = {"c1": "first", "c2": "second of two"}
    store.write_plan(PlanFile(kind="latency", command="bench latency --k 3", cells=cells))
    made = measured.build(store)
    titles = [table.title for table in made.tables]
    assert titles[:2] == ["Overhead %, batch 1, fp32", latency.TITLE]
    assert {"Memory of the knowledge base", "Unusable files", "Provenance"} <= set(titles)
    lead = " ".join(made.lead)
    assert "1 of 2 cells measured by `bench latency --k 3`" in lead
    assert "Not measured yet: second of two." in lead
    paths = measured.write(made, store, tmp_path / "files", "report")
    assert [path.name for path in paths] == ["report.md", "latency.csv", "memory.csv"]
    assert paths[0].read_text() == markdown.render(made)


def test_a_busy_machine_is_told(tmp_path: Path) -> None:
    from tests.bench.measure.fake_worker import ENVIRONMENT

    store = Measurements(tmp_path)
    store.create()
    busy = {**ENVIRONMENT, "load_before": [9.0, 1.0, 1.0]}
    result = judged.result(0.01, 0.02).model_dump() | {"environments": [ENVIRONMENT, busy]}
    store.write(LatencyRecord.model_validate(judged.record().model_dump() | {"result": result}))
    assert any(
        "1 of 2 processes began on a busy machine" in text for text in measured.build(store).lead
    )


def test_a_history_of_another_schema_does_not_take_the_report_with_it(tmp_path: Path) -> None:
    measurements = Measurements(tmp_path)
    measurements.create()
    measurements.write(of("mrpc", 3668), None)
    (tmp_path / "history.jsonl").write_text('{"schema_version": 99}\n', encoding="utf-8")
    text = markdown.render(measured.build(measurements))
    assert "mrpc" in text
    assert "history.jsonl" in text
