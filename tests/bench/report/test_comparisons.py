"""Laws of differences: paired, of shared seeds, corrected, and honest where there is none."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.report.comparison_tables import SMALLEST, baseline_table, retrieval_table
from bench.report.comparisons import (
    BETTER,
    NOT_COMPARABLE,
    NOT_SHOWN,
    ONE_SEED,
    WORSE,
    Comparison,
    baseline_of,
    chance,
    comparisons,
)
from bench.report.document import build
from bench.report.examples import Examples
from bench.report.over_tasks import OverTasks, over_table, over_tasks
from bench.report.pairs import pairs
from bench.report.results import Results, load
from bench.report.scores import OFF, scores
from bench.stats import difference as stats
from reaugkd.errors import UnknownNameError
from reaugkd.tasks import metrics
from tests.bench.report import factory

LABELS = factory.truth()


def compared(results: Results, baseline: str | None = "kd") -> list[Comparison]:
    return comparisons(Examples(results), baseline)


def run(folder: Path, found: list[factory.Kept]) -> Results:
    return load(factory.kept(folder, found))


def with_base(seed: int, share: float, method: str = "reaugkd", task: str = "mrpc") -> factory.Kept:
    made = factory.retrieval(task, method=method, seed=seed)
    return factory.answered(made, factory.guesses(LABELS, share, seed), LABELS)


def only(found: list[Comparison], method: str, retrieval: str = OFF) -> Comparison:
    (one,) = [
        c for c in found if (c.kind, c.method, c.retrieval) == ("baseline", method, retrieval)
    ]
    return one


def test_the_difference_is_that_of_the_scores_over_shared_seeds(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.7}, (0, 1, 2, 3)) + factory.contest({"pkd": 0.8}, (1, 2, 3, 4))
    one = only(compared(run(tmp_path, found)), "pkd")
    assert (one.seeds, one.left_out) == ((1, 2, 3), (0, 4))
    own = [
        np.mean(factory.guesses(LABELS, 0.8, s) == LABELS)
        - np.mean(factory.guesses(LABELS, 0.7, s) == LABELS)
        for s in one.seeds
    ]
    assert one.difference is not None
    assert one.difference.estimate == pytest.approx(np.mean(own), abs=1e-9)
    assert one.difference.sd == pytest.approx(np.std(own, ddof=1), abs=1e-9)
    assert (one.difference.seeds, one.difference.examples) == (3, len(LABELS))
    assert baseline_table([one]).rows[0][-2] == "3 of 5"  # type: ignore[union-attr]


def test_a_method_that_answers_the_same_does_not_differ(tmp_path: Path) -> None:
    results = run(tmp_path, factory.contest({"kd": 0.7, "pkd": 0.7}))
    one = only(compared(results), "pkd")
    assert one.difference is not None
    assert (one.difference.estimate, one.difference.low, one.difference.high) == (0, 0, 0)
    assert (one.difference.p, one.mcnemar, one.verdict) == (1, (1, 1, 1), NOT_SHOWN)


def test_the_other_way_round_the_sign_changes(tmp_path: Path) -> None:
    results = run(tmp_path, factory.contest({"kd": 0.7, "pkd": 0.9}))
    one, other = only(compared(results), "pkd"), only(compared(results, "pkd"), "kd")
    assert (one.verdict, other.verdict) == (BETTER, WORSE)
    first, second = one.difference, other.difference
    assert first is not None
    assert second is not None
    assert first.low is not None
    assert second.high is not None
    assert first.estimate == pytest.approx(-second.estimate, abs=1e-12)
    assert first.low == pytest.approx(-second.high, abs=1e-9)
    assert one.mcnemar == other.mcnemar


def test_one_seed_has_no_test_but_mcnemars(tmp_path: Path) -> None:
    results = run(tmp_path, factory.contest({"kd": 0.6, "pkd": 0.9}, [0]))
    one = only(compared(results), "pkd")
    assert one.verdict == ONE_SEED
    assert one.difference is not None
    assert (one.difference.low, one.difference.p, one.adjusted) == (None, None, None)
    right = [factory.guesses(LABELS, share, 0) == LABELS for share in (0.9, 0.6)]
    assert one.mcnemar == (stats.mcnemar(*right),)
    table = baseline_table([one])
    assert table is not None
    assert table.rows[0][3] == ONE_SEED
    assert not {"95 % interval", "p", "p Holm"} & set(table.columns)
    assert any("One seed" in note for note in table.notes)


def test_one_seed_of_accuracy_has_the_binomial_standard_error(tmp_path: Path) -> None:
    # minus a student that is always right, the difference is the accuracy minus 1
    found = factory.contest({"kd": 1.0, "pkd": 0.7}, [0], "rte", examples=400)
    one = only(compared(run(tmp_path, found)), "pkd")
    assert one.difference is not None
    se = metrics.accuracy_standard_error(1 + one.difference.estimate, 400)
    assert one.difference.se == pytest.approx(se, rel=0.03)


def test_p_is_corrected_over_the_whole_table_and_by_kind(tmp_path: Path) -> None:
    found = [
        *factory.contest({"kd": 0.7, "pkd": 0.75, "rkd": 0.72}),
        *factory.contest({"kd": 0.7, "reaugkd": 0.8}, task="sst2"),
        *(with_base(seed, 0.9, "kd") for seed in range(3)),
        *(with_base(seed, 0.9, "pkd") for seed in range(3)),
    ]
    all_of_them = compared(run(tmp_path, found))
    for kind in ("baseline", "retrieval"):
        own = [one for one in all_of_them if one.kind == kind]
        raw = [one.difference.p for one in own if one.difference]
        assert [one.adjusted for one in own] == stats.holm(raw)
        assert len(own) == {"baseline": 5, "retrieval": 2}[kind]
    for one in all_of_them:
        assert one.difference is not None
        assert one.adjusted is not None
        assert one.verdict == (
            NOT_SHOWN if one.adjusted >= 0.05 else BETTER if one.difference.estimate > 0 else WORSE
        )


def test_a_gain_of_retrieval_is_minus_the_same_method_alone(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.6, "reaugkd": 0.75}) + [with_base(s, 0.85) for s in range(3)]
    made = compared(run(tmp_path, found))
    (gain,) = [one for one in made if one.kind == "retrieval"]
    assert (gain.method, gain.retrieval, gain.baseline) == ("reaugkd", "hnswlib", "reaugkd")
    over_kd, alone = only(made, "reaugkd", "hnswlib"), only(made, "reaugkd")
    assert gain.difference
    assert over_kd.difference
    assert alone.difference
    assert gain.difference.estimate == pytest.approx(
        over_kd.difference.estimate - alone.difference.estimate
    )
    table = retrieval_table(made)
    assert table is not None
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
    one = only(compared(run(tmp_path, found), "finetune"), "reaugkd")
    assert (one.metric, one.mcnemar, one.verdict) == ("pearson", (), BETTER)
    means: dict[str, list[float]] = {}
    for record, _ in found:
        assert record.training is not None
        means.setdefault(record.method, []).append(record.training.scores["dev"]["pearson"])
    lead = np.mean(means["reaugkd"]) - np.mean(means["finetune"])
    assert one.difference is not None
    assert one.difference.estimate == pytest.approx(lead)
    table = baseline_table([one])
    assert table is not None
    assert "McNemar p" not in table.columns


def test_every_test_split_is_a_row(tmp_path: Path) -> None:
    made = compared(run(tmp_path, factory.contest({"kd": 0.7, "pkd": 0.7}, task="mnli")))
    assert [one.title for one in made] == ["MNLI matched", "MNLI mismatched"]


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
    assert baseline_of(results) == expected
    assert all(baseline_of(results, name) == name for name in methods)


def test_a_baseline_that_did_not_run_is_not_taken_unless_named(tmp_path: Path) -> None:
    records = [factory.failed(factory.training(method="kd"), "no"), factory.training(method="pkd")]
    results = factory.results(tmp_path, records)
    assert (baseline_of(results), baseline_of(results, "kd")) == ("pkd", "kd")


def test_an_unknown_baseline_gets_the_nearest_name(tmp_path: Path) -> None:
    results = factory.results(tmp_path, factory.matrix([0]))
    with pytest.raises(UnknownNameError, match="unknown baseline 'reugkd': did you mean 'reaugkd'"):
        build(results, baseline="reugkd")


def test_a_row_says_why_there_is_no_difference(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.7, "pkd": 0.8, "rkd": 0.8}) + factory.contest(
        {"takd": 0.8}, [7, 8]
    )
    lost = factory.failed(factory.training(method="rco"), "no")
    store = factory.kept(tmp_path, [*found, (lost, {})])
    for seed in range(3):
        (store.cells / f"t-mrpc-rkd-{seed}.npz").unlink()
    made = compared(load(store))
    reasons = {one.method: one.verdict for one in made if one.difference is None}
    assert reasons.keys() == {"rkd", "takd", "rco"}
    assert all(reason.startswith(NOT_COMPARABLE) for reason in reasons.values())
    assert "missing" in reasons["rkd"]
    assert "no seed in common" in reasons["takd"]
    assert "no finished student" in reasons["rco"]
    without = compared(load(store), "rco")
    assert {one.verdict for one in without} == {f"{NOT_COMPARABLE}: no finished student of rco"}


def test_a_score_that_is_no_number_is_a_reason_not_a_crash(tmp_path: Path) -> None:
    results = run(tmp_path, factory.contest({"kd": 0.7, "pkd": 0.8, "rkd": 0.8}))
    cells = []
    for cell in results.cells:
        record = cell.record
        if record and record.training and record.method == "pkd":
            scores = factory.scores("mrpc", math.nan)
            broken = record.training.model_copy(update={"scores": scores})
            cell = replace(cell, record=record.model_copy(update={"training": broken}))
        cells.append(cell)
    made = build(replace(results, cells=tuple(cells)))
    verdicts = {row["method"]: row["verdict"] for row in made.data["comparisons"]}
    assert verdicts["pkd"] == f"{NOT_COMPARABLE}: its record has no accuracy"
    assert not verdicts["rkd"].startswith(NOT_COMPARABLE)
    assert factory.strict(json.dumps(made.data, allow_nan=False)) == made.data


def test_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.7, "pkd": 0.8})
    plan = [record for record, _ in found]
    one = factory.kept(tmp_path / "a" / "run", found)
    other = factory.kept(tmp_path / "b" / "run", found[::-1], plan=plan)
    assert build(load(other)) == build(load(one))


def test_one_method_alone_has_nothing_to_compare(tmp_path: Path) -> None:
    report = build(run(tmp_path, factory.contest({"kd": 0.7})))
    assert "comparisons" not in {section.name for section in report.sections}
    assert report.headline == ()


@pytest.mark.parametrize("p", [0.04999, 0.05, 0.0501, 0.0009999, 1.0, 0.0])
def test_a_printed_p_never_contradicts_the_level(p: float) -> None:
    assert (float(chance(p)) < stats.LEVEL) == (p < stats.LEVEL)


def over(results: Results) -> list[OverTasks]:
    examples = Examples(results)
    return over_tasks(results, pairs(results, scores(results)), comparisons(examples, "kd"))


def test_averages_and_ranks_are_over_tasks_that_every_row_has(tmp_path: Path) -> None:
    found = [
        *factory.contest({"kd": 0.70, "pkd": 0.9, "reaugkd": 0.8}, task="mrpc"),
        *factory.contest({"kd": 0.85, "pkd": 0.8, "reaugkd": 0.95}, task="rte"),
        *factory.contest({"kd": 0.70, "reaugkd": 0.9}, task="sst2"),
    ]
    results = run(tmp_path, found)
    rows = {one.method: one for one in over(results)}
    means: dict[str, list[float]] = {}
    for task in ("mrpc", "rte"):
        for method in rows:
            own = [
                r.training.scores["dev"]["accuracy"]
                for r, _ in found
                if r.training and (r.task, r.method) == (task, method)
            ]
            means.setdefault(method, []).append(float(np.mean(own)))
    for method, one in rows.items():
        assert (one.tasks, one.left_out) == (("mrpc", "rte"), ("sst2",))
        assert one.average == pytest.approx(np.mean(means[method]))
    assert {m: one.rank for m, one in rows.items()} == {"kd": 2.5, "pkd": 2.0, "reaugkd": 1.5}
    table = over_table(list(rows.values()), {"sst2": "SST-2"}, "kd")
    assert table is not None
    assert any("Left out, as not every row has a score: SST-2." in note for note in table.notes)


def test_wins_are_differences_that_hold(tmp_path: Path) -> None:
    found = [
        *factory.contest({"kd": 0.7, "pkd": 0.95, "rkd": 0.7}, task="mrpc"),
        *factory.contest({"kd": 0.9, "pkd": 0.9, "rkd": 0.5}, task="rte"),
        *factory.contest({"kd": 0.9, "pkd": 0.9}, [0], task="sst2"),
    ]
    rows = {one.method: one for one in over(run(tmp_path, found))}
    pkd, rkd = rows["pkd"], rows["rkd"]
    assert (pkd.better, pkd.not_shown, pkd.worse, pkd.untested) == (1, 1, 0, 1)
    assert (rkd.better, rkd.not_shown, rkd.worse, rkd.untested) == (0, 1, 1, 0)
    assert (rows["kd"].better, rows["kd"].untested) == (0, 0)


def test_one_task_has_no_average(tmp_path: Path) -> None:
    assert over(run(tmp_path, factory.contest({"kd": 0.7, "pkd": 0.8}))) == []


def test_no_task_in_common_has_no_average(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.7}) + factory.contest({"pkd": 0.7}, task="rte")
    rows = over(run(tmp_path, found))
    assert {(one.average, one.rank) for one in rows} == {(None, None)}
    table = over_table(rows, {}, "kd")
    assert table is not None
    assert table.notes[0].startswith("No average")


def test_the_smallest_p_is_what_a_certain_difference_gets() -> None:
    certain = stats.difference([0.5] * 3, np.full((stats.RESAMPLES, 3), 0.5), 100)
    assert certain.p == pytest.approx(SMALLEST)


def test_so_many_tests_that_none_can_hold_is_said(tmp_path: Path) -> None:
    (one,) = compared(run(tmp_path, factory.contest({"kd": 0.6, "pkd": 0.95})))
    needed = math.ceil(stats.LEVEL / SMALLEST)
    for count, said in ((needed, True), (needed - 1, False)):
        table = baseline_table([one] * count)
        assert table is not None
        assert any("So many tests" in note for note in table.notes) == said


def test_a_task_with_two_splits_has_two_chances_to_win_and_an_index_beside_the_first_has_none(
    tmp_path: Path,
) -> None:
    labels = factory.truth(classes=3)
    wrong = (labels + 1) % 3
    half = np.where(np.arange(len(labels)) % 2, labels, wrong)
    found = factory.contest({"kd": 0.6, "reaugkd": 0.6}, task="mrpc")
    for seed in (0, 1, 2):
        found += [
            factory.answered(factory.training("mnli", "kd", seed), half, labels),
            factory.answered(factory.training("mnli", "reaugkd", seed), labels, labels),
            *(
                factory.answered(
                    factory.retrieval("mnli", "reaugkd", seed, backend=backend), labels, labels
                )
                for backend in ("exact", "hnswlib")
            ),
        ]
    rows = {(one.method, one.retrieval): one for one in over(run(tmp_path, found))}
    assert rows.keys() == {("kd", OFF), ("reaugkd", OFF), ("reaugkd", "exact")}
    assert (rows["reaugkd", "exact"].better, rows["reaugkd", "exact"].untested) == (2, 0)
    assert rows["reaugkd", OFF].better == 2
