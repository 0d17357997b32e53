"""Latency: every cell stands in its tables, in order, with its verdict in words or signs."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bench.records.measurement import LatencyRecord, Reduction
from bench.records.measurements import Measurements, PlanFile
from bench.report.build import of_measurements
from bench.report.document import Report
from bench.report.frame import rows
from bench.report.headline import of_latency
from bench.report.inputs import MeasuredInputs
from bench.report.render import data, markdown
from bench.report.sections import latency
from bench.report.sections.latency import SECTION, of_records
from bench.report.table import EMPTY, Table
from tests.bench.measure import judged
from tests.bench.report import test_memory_table
from tests.bench.report.factory import provenance
from tests.bench.report.shown import column, of_frame

TITLE = "Latency of retrieval"


def of(base: str, size: int, ratio: float = 0.006, **changes: Any) -> LatencyRecord:
    key = "-".join(map(str, (base, *changes.values())))
    made: LatencyRecord = judged.record(
        ratio,
        ratio,
        key=key,
        cell=judged.cell(base=base, size=size, **changes),
        verdict="holds" if ratio <= 0.03 else "fails",
    )
    return made


def tables(records: Iterable[LatencyRecord]) -> dict[str, Table]:
    return of_frame(SECTION, of_records(records))


def test_rows_are_sorted_by_size_batch_precision_and_backend_with_exact_first() -> None:
    expected = [
        of("wnli", 635, batch=batch, precision=precision, backend=backend)
        for batch in (1, 32)
        for precision in ("fp32", "bf16")
        for backend in ("exact", "annoy", "hnswlib")
    ] + [of("mnli", 392_702, backend="exact")]
    shuffled = random.Random(0).sample(expected, len(expected))
    assert list(of_records(shuffled)["key"]) == [record.key for record in expected]
    assert tables(shuffled) == tables(expected)


def test_a_row_shows_the_figures_of_its_record() -> None:
    made = judged.record(0.0058, 0.0066, cell=judged.cell(backend="auto", generated=True))
    table = tables([made])[TITLE]
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["base"] == "mrpc* (3,668)"
    assert row["backend"] == "auto -> hnswlib"
    assert [row[f"forward {name}"] for name in ("ms", "p95", "p99")] == ["20.00", "25.00", "30.00"]
    assert [row[f"added {name}"] for name in ("ms", "p95", "p99")] == ["0.200", "0.300", "0.400"]
    assert row["overhead %"] == "0.62 [0.58, 0.66]"
    assert row["noise %"] == "0.00 [-2.00, 2.00]"
    assert (row["limit %"], row["verdict"]) == ("3", "holds")
    assert (row["recall"], row["agreement"], row["effort"]) == ("0.9920", "0.9990", "64")


def test_a_cell_without_figures_stands_in_the_table_with_its_reason_below() -> None:
    matrix, table = tables([judged.failed("the measuring process was ended by SIGKILL")]).values()
    assert column(table, "verdict") == [matrix.rows[0][1]] == ["failed"]
    assert column(table, "overhead %") == column(table, "limit %") == [EMPTY]
    assert any("ended by SIGKILL" in note for note in table.notes)


def test_there_is_one_matrix_per_batch_and_precision_with_a_sign_per_verdict() -> None:
    verdicts = [
        (of("wnli", 635, backend="exact"), "fails"),
        (of("wnli", 635, backend="hnswlib"), "undecided"),
        (of("mrpc", 3668, backend="hnswlib"), "holds"),
        (of("mrpc", 3668, backend="hnswlib", batch=32), "holds"),
    ]
    made = tables(one.model_copy(update={"verdict": verdict}) for one, verdict in verdicts)
    first, second = made["Overhead %, batch 1, fp32"], made["Overhead %, batch 32, fp32"]
    assert first.columns == ("base", "exact", "hnswlib")
    assert first.rows == (("wnli* (635)", "0.60 ✗", "0.60 ?"), ("mrpc* (3,668)", EMPTY, "0.60 ✓"))
    assert second.rows == (("mrpc* (3,668)", "0.60 ✓"),)
    assert all(mark in first.notes[0] for mark in latency.MARKS.values())


@pytest.mark.parametrize(
    "axis",
    [
        {"k": 5},
        {"threads": 1},
        {"student": "x"},
        {"lengths": "fixed 8"},
        {"reduction": Reduction(pca=64)},
        {"reduction": judged.CONDENSED},
    ],
)
def test_no_two_cells_share_a_place_in_a_matrix(axis: dict[str, object]) -> None:
    made = tables([of("mrpc", 3668), of("mrpc", 3668, **axis)])
    matrices = [table for title, table in made.items() if title != TITLE]
    assert sum(cell != EMPTY for one in matrices for row in one.rows for cell in row[1:]) == 2


def test_a_condensed_base_follows_its_own_with_what_was_done_to_it() -> None:
    few = of("mrpc", 256, 0.004, backend="exact", reduction=judged.CONDENSED)
    made = tables([of("wnli", 635), of("cola", 8_551), few, of("mrpc", 3_668)])
    table = made[TITLE]
    assert column(table, "base") == [
        "wnli* (635)", "mrpc* (3,668)", "mrpc* (256 of 3,668)", "cola* (8,551)"
    ]  # fmt: skip
    assert column(table, "reduced") == [EMPTY, EMPTY, "kmeans:256", EMPTY]
    matrix = made["Overhead %, batch 1, fp32, kmeans:256"]
    assert matrix.rows == (("mrpc* (256 of 3,668)", "0.40 ✓"),)
    frame = latency.tidy(of_records([few, of("mrpc", 3_668)]))
    assert list(frame["condense"].fillna("")) == ["", "kmeans:256"]
    assert "condense" not in latency.tidy(of_records([of("mrpc", 3_668)]))


def test_with_skipping_the_mean_stands_beside_what_a_search_costs() -> None:
    cell = judged.cell(generated=False, reduction=Reduction(skip_above=1 / 3))
    seen = judged.record(result=judged.result(0.004, 0.006, skipping=judged.skipping()), cell=cell)
    table = tables([judged.record(key="c2"), seen])[TITLE]
    assert column(table, "reduced") == [EMPTY, "skipped above 0.333"]
    assert column(table, "skipped %") == [EMPTY, "60%"]
    assert column(table, "mean added ms") == [EMPTY, "0.100"]
    assert column(table, "asked ms") == [EMPTY, "0.250"]
    assert column(table, "asked overhead %") == [EMPTY, "1.25 [1.20, 1.30]"]
    assert any("skipped: share of the inputs" in note for note in table.notes)
    assert "skipped %" not in tables([judged.record()])[TITLE].columns


def test_a_row_is_made_again_by_its_own_reduction() -> None:
    line = "bench latency --bases mrpc --condense full,kmeans:256 --pca none,64"
    made = (
        of("mrpc", 256, backend="exact", reduction=judged.CONDENSED),
        of("mrpc", 3_668, backend="exact"),
    )
    assert SECTION.command is not None
    told = {
        row.label: SECTION.command(row).only
        for row in rows(of_records(one.model_copy(update={"provenance": provenance(command=line)})
                                   for one in made))
    }  # fmt: skip
    few, full = (told[one.cell.label] for one in made)
    assert (few["--condense"], few["--pca"]) == (["kmeans:256"], ["none"])
    assert full["--condense"] == ["full"]
    assert "--value-bits" not in full


def test_the_csv_holds_every_cell_in_full_precision() -> None:
    frame = latency.tidy(of_records([judged.record(0.005, 0.007), judged.failed("killed")]))
    by_key = {row["key"]: row for row in csv.DictReader(io.StringIO(data.as_csv(frame)))}
    ok, failed = by_key["c1"], by_key["f1"]
    assert float(ok["ratio_low"]) == 0.005
    assert float(ok["forward_p99"]) == 30.0
    assert (ok["index_effort"], ok["status"]) == ("64", "ok")
    assert (failed["reason"], failed["ratio_low"]) == ("killed", "")


# --- the headline ---------------------------------------------------------------------------------

FAST = [of(base, 10, 0.01, backend="hnswlib") for base in ("wnli", "mrpc")]
SLOW = [of("wnli", 10, 0.02, backend="exact"), of("mrpc", 10, 0.05, backend="exact")]


def headline(records: list[LatencyRecord]) -> list[str]:
    return list(of_latency(of_records(records)))


def serves(records: list[LatencyRecord]) -> list[str]:
    return [line for line in headline(records) if "serves best" in line]


def test_verdicts_are_counted_and_nothing_is_said_of_nothing() -> None:
    assert headline([]) == []
    failed = judged.record(status="failed", reason="no", result=None, verdict=None)
    start = "Overhead of retrieval against a limit of 3 %: of"
    assert headline([failed]) == [f"{start} 1 cells, failed in 1."]
    first, *_, last = headline([*FAST, *SLOW])
    assert first == f"{start} 4 cells, holds in 3, fails in 1."
    assert last.startswith("It lies between 1.00 [1.00, 1.00] % (mrpc (10) hnswlib k 10 batch 1")
    assert "5.00 [5.00, 5.00] % (mrpc (10) exact" in last


def test_the_backend_that_holds_for_the_most_bases_serves_best() -> None:
    (line,) = serves([*SLOW, *FAST])
    expected = "of 2 backends hnswlib serves best, within the limit for 2 of 2 knowledge bases."
    assert line == f"batch 1, fp32: {expected}"
    cheap = [of("wnli", 10, 0.001, backend="exact"), of("mrpc", 10, 0.031, backend="exact")]
    near = [of(base, 10, 0.029, backend="hnswlib") for base in ("wnli", "mrpc")]
    assert "hnswlib serves best" in serves([*cheap, *near])[0]  # holding counts before the sum


def test_a_backend_that_lacks_a_base_is_not_compared() -> None:
    assert serves([*FAST, of("wnli", 10, 0.001, backend="faiss")]) == []


# --- a folder -------------------------------------------------------------------------------------


def report(measurements: Measurements) -> Report:
    return of_measurements(MeasuredInputs(measurements))


def test_a_report_of_a_folder_shows_both_kinds_and_what_is_missing(tmp_path: Path) -> None:
    store = Measurements(tmp_path / "out")
    store.create()
    store.write(judged.record())
    store.write(test_memory_table.record())
    (store.cells / "bad.json").write_text("{")
    cells = {"c1": "first", "c2": "second of two"}
    store.write_plan(PlanFile(kind="latency", command="bench latency --k 3", cells=cells))
    made = report(store)
    titles = [table.title for table in made.tables]
    assert titles[:2] == ["Overhead %, batch 1, fp32", TITLE]
    assert {"Memory of the knowledge base", "Unusable files", "Provenance"} <= set(titles)
    lead = " ".join(made.lead)
    assert "1 of 2 cells measured by `bench latency --k 3`" in lead
    assert "Not measured yet: second of two." in lead


def test_a_history_of_another_schema_does_not_take_the_report_with_it(tmp_path: Path) -> None:
    measurements = Measurements(tmp_path)
    measurements.create()
    measurements.write(of("mrpc", 3668), None)
    (tmp_path / "history.jsonl").write_text('{"schema_version": 99}\n', encoding="utf-8")
    text = markdown.render(report(measurements))
    assert "mrpc" in text
    assert "history.jsonl" in text
