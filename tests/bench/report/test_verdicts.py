"""What latency cells say of the claim: counted from the records, and only what they hold."""

from __future__ import annotations

from typing import Any

from bench.records.measurement import LatencyRecord
from bench.report import verdicts
from tests.bench.measure import judged


def of(base: str, backend: str, ratio: float, **changes: Any) -> LatencyRecord:
    cell = judged.cell(base=base, backend=backend, **changes)
    verdict = "holds" if ratio <= 0.03 else "fails"
    key = f"{base}-{backend}-{changes}"
    made: LatencyRecord = judged.record(ratio, ratio, key=key, cell=cell, verdict=verdict)
    return made


FAST = [of(base, "hnswlib", 0.01) for base in ("wnli", "mrpc")]
SLOW = [of("wnli", "exact", 0.02), of("mrpc", "exact", 0.05)]


def serves(records: list[LatencyRecord]) -> list[str]:
    return [line for line in verdicts.headline(records) if "serves best" in line]


def test_nothing_is_said_of_nothing() -> None:
    assert list(verdicts.headline([])) == []


def test_verdicts_are_counted() -> None:
    first, *_ = verdicts.headline([*FAST, *SLOW])
    assert (
        first == "Overhead of retrieval against a limit of 3 %: of 4 cells, holds in 3, fails in 1."
    )


def test_the_backend_that_holds_for_the_most_bases_serves_best() -> None:
    (line,) = serves([*SLOW, *FAST])
    expected = "of 2 backends hnswlib serves best, within the limit for 2 of 2 knowledge bases."
    assert line == f"batch 1, fp32: {expected}"


def test_holding_counts_before_the_sum_of_overheads() -> None:
    cheap = [of("wnli", "exact", 0.001), of("mrpc", "exact", 0.031)]
    near = [of(base, "hnswlib", 0.029) for base in ("wnli", "mrpc")]
    (line,) = serves([*cheap, *near])
    assert "hnswlib serves best" in line


def test_among_equals_the_cheaper_one_serves_best() -> None:
    cheaper = [of(base, "faiss", 0.009) for base in ("wnli", "mrpc")]
    (line,) = serves([*FAST, *cheaper])
    assert "faiss serves best" in line


def test_a_backend_that_lacks_a_base_is_not_compared() -> None:
    assert serves([*FAST, of("wnli", "faiss", 0.001)]) == []


def test_every_setting_has_its_own_sentence() -> None:
    bf16 = [of(base, name, 0.04, precision="bf16") for base in ("wnli", "mrpc") for name in "ab"]
    found = serves([*SLOW, *FAST, *bf16])
    assert [line.partition(":")[0] for line in found] == ["batch 1, fp32", "batch 1, bf16"]
    assert "0 of 2" in found[1]


def test_cells_without_figures_count_by_their_status() -> None:
    failed = judged.record(status="failed", reason="no", result=None, verdict=None)
    assert list(verdicts.headline([failed])) == [
        "Overhead of retrieval against a limit of 3 %: of 1 cells, failed in 1."
    ]
