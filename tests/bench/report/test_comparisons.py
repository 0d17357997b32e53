"""Laws of differences: paired, of shared seeds, corrected, and honest where there is none."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.records.results import load
from bench.report.frame import Row, typed
from bench.report.inputs import RunInputs
from bench.report.scores import OFF
from bench.report.sections.comparisons import SECTION
from bench.report.verdict import SMALLEST, Verdict, chance
from bench.stats import difference as stats
from reaugkd.errors import UnknownNameError
from tests.bench.report import factory, shown

LABELS = factory.truth()


def with_base(seed: int, share: float, method: str = "reaugkd") -> factory.Kept:
    made = factory.retrieval("mrpc", method=method, seed=seed)
    return factory.answered(made, factory.guesses(LABELS, share, seed), LABELS)


def only(run: RunInputs, method: str, retrieval: str = OFF, kind: str = "baseline") -> Row:
    (row,) = [
        row
        for row in shown.lines(SECTION, run)
        if (row.kind, row.method, row.retrieval) == (kind, method, retrieval)
    ]
    return row


def test_the_difference_is_that_of_the_scores_over_shared_seeds(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.7}, (0, 1, 2, 3)) + factory.contest({"pkd": 0.8}, (1, 2, 3, 4))
    run = shown.answered(tmp_path, found)
    row = only(run, "pkd")
    assert (row.seeds, row.left_out) == ([1, 2, 3], [0, 4])
    gains = [
        np.mean(factory.guesses(LABELS, 0.8, s) == LABELS)
        - np.mean(factory.guesses(LABELS, 0.7, s) == LABELS)
        for s in row.seeds
    ]
    assert row.difference.estimate == pytest.approx(np.mean(gains), abs=1e-9)
    assert row.difference.sd == pytest.approx(np.std(gains, ddof=1), abs=1e-9)
    assert (row.difference.seeds, row.difference.examples) == (3, len(LABELS))
    assert shown.tables(SECTION, run)[0].rows[0][-2] == "3 of 5"


def test_the_other_way_round_the_sign_changes(tmp_path: Path) -> None:
    results = load(factory.kept(tmp_path, factory.contest({"kd": 0.7, "pkd": 0.9})))
    row, other = only(RunInputs(results), "pkd"), only(RunInputs(results, "pkd"), "kd")
    assert (row.outcome, other.outcome) == (Verdict.BETTER, Verdict.WORSE)
    assert row.difference.estimate == pytest.approx(-other.difference.estimate, abs=1e-12)
    assert row.difference.low == pytest.approx(-other.difference.high, abs=1e-9)
    assert row.mcnemar == other.mcnemar


def test_one_seed_has_no_test_but_mcnemars(tmp_path: Path) -> None:
    run = shown.answered(tmp_path, factory.contest({"kd": 0.6, "pkd": 0.9}, [0]))
    row = only(run, "pkd")
    assert (row.difference.low, row.difference.p, row.adjusted) == (None, None, None)
    right = [factory.guesses(LABELS, share, 0) == LABELS for share in (0.9, 0.6)]
    assert row.mcnemar == [stats.mcnemar(*right)]
    (table,) = shown.tables(SECTION, run)
    assert table.rows[0][3] == row.outcome == Verdict.ONE_SEED
    assert not {"95 % interval", "p", "p Holm"} & set(table.columns)
    assert any("One seed" in note for note in table.notes)


def test_p_is_corrected_over_the_whole_table_and_by_kind(tmp_path: Path) -> None:
    found = [
        *factory.contest({"kd": 0.7, "pkd": 0.75, "rkd": 0.72}),
        *factory.contest({"kd": 0.7, "reaugkd": 0.8}, task="sst2"),
        *(with_base(seed, 0.9, "kd") for seed in range(3)),
        *(with_base(seed, 0.9, "pkd") for seed in range(3)),
    ]
    rows = shown.lines(SECTION, shown.answered(tmp_path, found))
    for kind, count in {"baseline": 5, "retrieval": 2}.items():
        of_kind = [row for row in rows if row.kind == kind]
        assert len(of_kind) == count
        assert [row.adjusted for row in of_kind] == stats.holm([r.difference.p for r in of_kind])
    for row in rows:
        sign = Verdict.BETTER if row.difference.estimate > 0 else Verdict.WORSE
        assert row.outcome == (Verdict.NOT_SHOWN if row.adjusted >= stats.LEVEL else sign)


def test_a_gain_of_retrieval_is_minus_the_same_method_alone(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.6, "reaugkd": 0.75}) + [with_base(s, 0.85) for s in range(3)]
    run = shown.answered(tmp_path, found)
    gain = only(run, "reaugkd", "hnswlib", "retrieval")
    assert gain.baseline == "reaugkd"
    over_kd, alone = only(run, "reaugkd", "hnswlib"), only(run, "reaugkd")
    assert gain.difference.estimate == pytest.approx(
        over_kd.difference.estimate - alone.difference.estimate
    )
    _, table = shown.tables(SECTION, run)
    assert [row[:3] for row in table.rows] == [("MRPC", "reaugkd", "hnswlib")]


def test_a_regression_is_compared_by_its_correlation(tmp_path: Path) -> None:
    random, labels = np.random.default_rng(0), np.linspace(0, 5, 120)
    found = [
        factory.answered(
            factory.training("stsb", method, seed), labels + noise * random.normal(size=120), labels
        )
        for method, noise in (("finetune", 1.5), ("reaugkd", 0.3))
        for seed in range(3)
    ]
    run = shown.answered(tmp_path, found, "finetune")
    row = only(run, "reaugkd")
    assert (row.metric, row.mcnemar, row.outcome) == ("pearson", [], Verdict.BETTER)
    means: dict[str, list[float]] = {}
    for record, _ in found:
        assert record.training is not None
        means.setdefault(record.method, []).append(record.training.scores["dev"]["pearson"])
    lead = np.mean(means["reaugkd"]) - np.mean(means["finetune"])
    assert row.difference.estimate == pytest.approx(lead)
    assert "McNemar p" not in shown.tables(SECTION, run)[0].columns


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (["finetune", "reaugkd", "kd"], "kd"),
        (["reaugkd", "finetune"], "finetune"),
        (["reaugkd", "pkd"], "reaugkd"),
        ([], None),
    ],
)
def test_the_baseline_is_kd_else_finetune_else_the_first(
    methods: list[str], expected: str | None, tmp_path: Path
) -> None:
    results = factory.results(tmp_path, [factory.training(method=m) for m in methods])
    assert RunInputs(results).baseline == expected
    assert all(RunInputs(results, name).baseline == name for name in methods)


def test_a_baseline_that_did_not_run_is_not_taken_unless_named(tmp_path: Path) -> None:
    records = [factory.failed(factory.training(method="kd"), "no"), factory.training(method="pkd")]
    results = factory.results(tmp_path, records)
    assert (RunInputs(results).baseline, RunInputs(results, "kd").baseline) == ("pkd", "kd")
    with pytest.raises(UnknownNameError, match="unknown baseline 'pdk': did you mean 'pkd'"):
        RunInputs(results, "pdk")


def test_a_row_says_why_there_is_no_difference(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.7, "pkd": 0.8, "rkd": 0.8}) + factory.contest(
        {"takd": 0.8}, [7, 8]
    )
    lost = factory.failed(factory.training(method="rco"), "no")
    store = factory.kept(tmp_path, [*found, (lost, {})])
    for seed in range(3):
        (store.cells / f"t-mrpc-rkd-{seed}.npz").unlink()
    rows = shown.lines(SECTION, RunInputs(load(store)))
    reasons = {row.method: row.reason for row in rows if row.difference is None}
    assert reasons.keys() == {"rkd", "takd", "rco"}
    assert "missing" in reasons["rkd"]
    assert "no seed in common" in reasons["takd"]
    assert "no finished student" in reasons["rco"]
    for row in rows:
        if row.method in reasons:
            assert row.outcome == Verdict.NOT_COMPARABLE
            assert row.verdict == f"{Verdict.NOT_COMPARABLE}: {row.reason}"
    without = shown.lines(SECTION, RunInputs(load(store), "rco"))
    assert {row.reason for row in without} == {"no finished student of rco"}


def test_a_score_that_is_no_number_is_a_reason_not_a_crash(tmp_path: Path) -> None:
    results = load(factory.kept(tmp_path, factory.contest({"kd": 0.7, "pkd": 0.8, "rkd": 0.8})))
    cells = []
    for cell in results.cells:
        record = cell.record
        if record and record.training and record.method == "pkd":
            scores = factory.scores("mrpc", math.nan)
            broken = record.training.model_copy(update={"scores": scores})
            cell = replace(cell, record=record.model_copy(update={"training": broken}))
        cells.append(cell)
    made = shown.report(replace(results, cells=tuple(cells)))
    verdicts = {row["method"]: row["verdict"] for row in made.data["comparisons"]}
    assert verdicts["pkd"] == f"{Verdict.NOT_COMPARABLE}: its record has no accuracy"
    assert not verdicts["rkd"].startswith(Verdict.NOT_COMPARABLE)
    assert factory.strict(json.dumps(made.data, allow_nan=False)) == made.data


def test_one_method_alone_has_nothing_to_compare(tmp_path: Path) -> None:
    tasks = ("mrpc", "rte")
    found = [one for task in tasks for one in factory.contest({"kd": 0.7}, task=task)]
    report = shown.report(load(factory.kept(tmp_path, found)))
    assert "comparisons" not in {part.section.heading for part in report.shown}
    assert report.headline == ()


@pytest.mark.parametrize("p", [0.04999, 0.05, 0.0501, 0.0009999, 1.0, 0.0])
def test_a_printed_p_never_contradicts_the_level(p: float) -> None:
    assert (float(chance(p)) < stats.LEVEL) == (p < stats.LEVEL)


def test_the_smallest_p_is_what_a_certain_difference_gets() -> None:
    certain = stats.difference([0.5] * 3, np.full((stats.RESAMPLES, 3), 0.5), 100)
    assert certain.p == pytest.approx(SMALLEST)


def test_so_many_tests_that_none_can_hold_is_said(tmp_path: Path) -> None:
    run = shown.answered(tmp_path, factory.contest({"kd": 0.6, "pkd": 0.95}))
    (row,) = run.frame(SECTION).to_dict("records")
    needed = math.ceil(stats.LEVEL / SMALLEST)
    for count, said in ((needed, True), (needed - 1, False)):
        (view,) = SECTION.views(typed([row] * count), run)
        assert any("So many tests" in note for note in view.notes) == said
