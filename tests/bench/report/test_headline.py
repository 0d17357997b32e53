"""Laws of what is said first: true, tested, and with its price."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.records.results import load
from bench.report import build
from bench.report.document import Report
from bench.report.inputs import RunInputs
from bench.report.lead import NOT_GLUE
from bench.report.render import markdown
from tests.bench.report import factory

LABELS = factory.truth()


def report(folder: Path, found: list[factory.Kept], baseline: str | None = None) -> Report:
    return build.of_run(RunInputs(load(factory.kept(folder, found)), baseline))


def bases(
    share: float, seeds: tuple[int, ...] = (0, 1, 2), backend: str = "hnswlib"
) -> list[factory.Kept]:
    return [
        factory.answered(
            factory.retrieval(method="reaugkd", seed=seed, backend=backend),
            factory.guesses(LABELS, share, seed),
            LABELS,
        )
        for seed in seeds
    ]


def test_it_names_the_best_its_lead_and_that_it_holds(tmp_path: Path) -> None:
    made = report(tmp_path, factory.contest({"kd": 0.6, "pkd": 0.95, "rkd": 0.7}))
    first = made.headline[0]
    assert first.startswith("MRPC accuracy: pkd scores highest, ")
    (row,) = [row for row in made.data["comparisons"] if row["method"] == "pkd"]
    assert f"{100 * row['difference']['estimate']:+.2f} points over kd" in first
    assert first.endswith("after Holm's correction): better.")
    assert (
        "Differences from kd that hold after Holm's correction: 2 of 2 (2 better"
        in made.headline[1]
    )


def test_a_lead_that_does_not_hold_is_said_not_to(tmp_path: Path) -> None:
    made = report(tmp_path, factory.contest({"kd": 0.70, "pkd": 0.71}))
    first = made.headline[0]
    assert "pkd scores highest" in first
    assert "no difference shown" in first
    seen = r"[\d.]+ points would have been seen with a chance of 80 % before the correction\.$"
    assert re.search(seen, first)
    assert "better" not in first
    assert "0 of 1 (0 better, 0 worse); the others may be chance" in made.headline[1]


def test_one_seed_claims_nothing(tmp_path: Path) -> None:
    made = report(
        tmp_path, [*factory.contest({"kd": 0.5, "reaugkd": 0.8}, [0]), *bases(0.95, (0,))]
    )
    text = " ".join(made.headline)
    assert "reaugkd with hnswlib scores highest" in text
    assert "one seed, so nothing tells how far this is chance" in text
    assert "that takes two seeds" in text
    assert "one seed, no test" in text
    assert "better" not in text


def test_a_baseline_that_nothing_beats_is_named(tmp_path: Path) -> None:
    made = report(tmp_path, factory.contest({"kd": 0.95, "pkd": 0.6, "rkd": 0.7}))
    assert "kd scores highest" in made.headline[0]
    assert "it is the baseline, and 2 of 2 others are shown worse." in made.headline[0]
    other = report(tmp_path, factory.contest({"kd": 0.95, "pkd": 0.6}), "pkd")
    assert "points over pkd" in other.headline[0]


def test_a_tie_is_said_to_be_one_and_the_plainest_is_compared(tmp_path: Path) -> None:
    made = report(tmp_path, [*factory.contest({"kd": 0.5, "reaugkd": 0.9}), *bases(0.9)])
    tie = "MRPC accuracy: reaugkd and reaugkd with hnswlib tie for the highest score, "
    assert made.headline[0].startswith(tie)
    assert re.search(r"\(3 seeds\); reaugkd \+[\d.]+ points over kd \(", made.headline[0])
    assert any("changes the score of the same student by +0.00 points" in s for s in made.headline)
    assert any("no difference shown in any" in sentence for sentence in made.headline)


def test_a_tie_with_the_baseline_names_it_and_not_all_of_many(tmp_path: Path) -> None:
    shares = dict.fromkeys(("pkd", "rkd", "dml", "takd", "kd"), 0.9) | {"rco": 0.5}
    first = report(tmp_path, factory.contest(shares)).headline[0]
    assert "pkd, rkd, dml and 2 more tie for the highest score, " in first
    assert first.endswith("; kd is the baseline, and 1 of 5 rows are shown worse.")


def test_what_differs_by_no_hundredth_of_a_point_ties(tmp_path: Path) -> None:
    scores = {"kd": 0.5, "pkd": 0.70004, "rkd": 0.7, "dml": 0.6999}
    found = [factory.training("mrpc", method, value=score) for method, score in scores.items()]
    first = factory.report(tmp_path, found).headline[0]
    assert "pkd and rkd tie for the highest score, 70.00 (1 seed)" in first


def test_the_best_mean_rank_may_be_shared(tmp_path: Path) -> None:
    tasks = ("mrpc", "rte", "sst2", "qnli")
    contests = [factory.contest({"kd": 0.6, "pkd": 0.9, "rkd": 0.9}, task=t) for t in tasks]
    first = report(tmp_path, [kept for contest in contests for kept in contest]).headline[0]
    assert first.startswith("Over 4 tasks pkd and rkd share the best mean rank (1.50 of 3;")


def test_the_gain_and_the_price_of_retrieval_are_said(tmp_path: Path) -> None:
    contest = factory.contest({"finetune": 0.5, "kd": 0.6, "reaugkd": 0.7})
    text = " ".join(report(tmp_path, [*contest, *bases(0.95)]).headline)
    assert "1 row (method, index, test split): 1 better, 0 worse" in text
    assert "Training takes, beside finetune: 1 times with reaugkd, 1 times with kd." in text
    assert "Retrieval takes 90 µs a search" in text
    assert "10.5 MiB of knowledge base and index" in text


def test_many_tasks_are_summed_up(tmp_path: Path) -> None:
    tasks = ("mrpc", "rte", "sst2", "qnli")
    found = [one for t in tasks for one in factory.contest({"kd": 0.6, "pkd": 0.9}, task=t)]
    made = report(tmp_path, found)
    assert made.headline[0].startswith("Over 4 tasks pkd has the best mean rank (1.00 of 2;")
    assert "against kd: 4 better, 0 worse, 0 not shown" in made.headline[0]
    assert not any("scores highest" in sentence for sentence in made.headline)


def test_mini_tasks_are_never_taken_for_glue(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.8, "pkd": 1.0}, (0, 1), task="tone")
    assert NOT_GLUE in report(tmp_path, found).headline


def test_it_stands_first_in_markdown(tmp_path: Path) -> None:
    made = report(tmp_path, factory.contest({"kd": 0.6, "pkd": 0.9}))
    _, first, *_ = markdown.render(made).split("\n\n")
    assert first == "\n".join(f"- {markdown.escape(line)}" for line in made.headline)


@pytest.mark.parametrize("found", [[], factory.contest({"kd": 0.7})])
def test_without_a_comparison_nothing_is_said(found: list[factory.Kept], tmp_path: Path) -> None:
    assert report(tmp_path, found).headline == ()


def test_without_outputs_it_names_the_best_and_says_that_nothing_was_tested(tmp_path: Path) -> None:
    first, second, *_ = factory.report(tmp_path, factory.matrix()).headline
    assert "MRPC accuracy: reaugkd with exact scores highest" in first
    assert first.endswith("not comparable: no outputs beside the cells.")
    text = " ".join(factory.report(tmp_path / "more", factory.matrix()).headline)
    assert "None of the differences from kd could be tested." in text
    assert "scores highest" in second


def test_a_run_that_is_not_finished_says_so(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.6, "pkd": 0.9})
    plan = [record for record, _ in found] + [factory.training("rte", "kd")]
    made = build.of_run(RunInputs(load(factory.kept(tmp_path / "a", found, plan=plan))))
    assert made.headline[-1] == "The run is not finished; cells that are missing: 1."
    whole = report(tmp_path / "b", found)
    assert not any("not finished" in sentence for sentence in whole.headline)


def test_what_only_the_correction_takes_away_is_told_apart(tmp_path: Path) -> None:
    # 5 wrong of 200 more or less in each seed: enough alone, not as the best of 31
    shares = {"kd": 0.70, "pkd": 0.74} | {f"other{number}": 0.70 for number in range(30)}
    made = report(tmp_path, factory.contest(shares))
    (row,) = [row for row in made.data["comparisons"] if row["method"] == "pkd"]
    assert row["difference"]["p"] < 0.05 <= row["adjusted"]
    assert "not shown beside so many tests; alone p 0.0" in made.headline[0]


def test_an_index_beside_the_first_does_not_lead_however_well_it_scores(tmp_path: Path) -> None:
    found = factory.contest({"kd": 0.6, "reaugkd": 0.7})
    found += [*bases(0.8, backend="exact"), *bases(0.95)]
    first = report(tmp_path, found).headline[0]
    assert "reaugkd with exact scores highest" in first


def test_a_lead_over_fewer_seeds_than_the_score_says_so(tmp_path: Path) -> None:
    for name, seeds, said in (("same", (0, 1, 2), False), ("fewer", (0, 1), True)):
        found = factory.contest({"kd": 0.6}, seeds) + factory.contest({"pkd": 0.9}, (0, 1, 2))
        first = report(tmp_path / name, found).headline[0]
        assert "(3 seeds)" in first
        assert ("points over kd on 2 shared seeds" in first) == said
