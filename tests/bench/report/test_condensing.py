"""Cheaper knowledge bases beside the whole one: differences, verdicts, fronts, what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.records.results import CellState
from bench.records.run import SkipFacts
from bench.report import pareto
from bench.report.frame import Row
from bench.report.inputs import RunInputs
from bench.report.sections.condensing import SECTION
from bench.report.verdict import non_inferiority
from bench.stats.difference import Difference
from tests.bench.report import factory
from tests.bench.report.factory import Kept
from tests.bench.report.shown import cells, lines, titled
from tests.bench.report.test_attribution import SEEDS, _cell, base, inputs

LABELS = factory.truth(400)
WIDTH, CLASSES = 384, 2
LOSES, COSTS = "Smaller knowledge bases", "Cost of smaller knowledge bases"
SKIPS = SkipFacts(
    rule="lossless",
    threshold=0.5,
    chosen_on="held_out",
    skipped={"held_out": 0.7, "dev": 0.75},
    differs={"held_out": 0.0, "dev": 0.0},
    asked_us_p50=50.0,
    skipped_us_p50=10.0,
)


def kept(
    right: float, entries: int = 3301, us: float = 90.0, seeds: tuple[int, ...] = SEEDS, **own: Any
) -> list[Kept]:
    """A base of so many entries, answered rightly so often, that adds ``us`` to a forward."""
    made = []
    for seed in seeds:
        sizes = {"entries": entries, "kb_bytes": entries * (4 * WIDTH + 4 * CLASSES + 8)}
        record = base(0.8, seed, **{"condense": "full"} | own | sizes)
        assert record.retrieval is not None
        bytes_of_index = own.get("index_bytes", entries * 4 * WIDTH)
        search = {"index_bytes": bytes_of_index, "added_us_p50": us, "added_us_p95": us}
        facts = record.retrieval.search.model_copy(update=search)
        result = record.retrieval.model_copy(update={"search": facts})
        record = record.model_copy(update={"retrieval": result})
        made.append(factory.answered(record, factory.guesses(LABELS, right, seed), LABELS))
    return made


def run(folder: Path, *bases: list[Kept]) -> RunInputs:
    students = factory.contest({"reaugkd": 0.7}, SEEDS, examples=len(LABELS))
    return inputs(folder, *students, *(cell for cell_of in bases for cell in cell_of))


def by_base(made: RunInputs) -> dict[str, Row]:
    return {row.base: row for row in lines(SECTION, made)}


def test_every_base_is_compared_with_the_whole_one_of_the_same_seeds(tmp_path: Path) -> None:
    made = run(tmp_path, kept(0.9), kept(0.8, 33, condense="kmeans:33"), kept(0.9, pca=64))
    found = by_base(made)
    whole, few, reduced = (found[name] for name in ("exact", "exact, kmeans:33", "exact, pca 64"))
    assert (whole.kind, few.kind, reduced.kind) == ("whole", "kmeans", "reduced or rounded")
    assert whole.difference is whole.verdict is whole.flips is whole.loss_change is None
    assert few.difference.estimate == pytest.approx(few.on.mean - whole.on.mean, abs=1e-9)
    assert few.difference.low < few.difference.estimate < few.difference.high < 0
    assert few.verdict == "inferior"
    answers = [[factory.guesses(LABELS, share, seed) for seed in SEEDS] for share in (0.9, 0.8)]
    assert few.flips == pytest.approx(np.mean(np.not_equal(*answers)))
    assert (reduced.difference.estimate, reduced.verdict, reduced.flips) == (0, "non-inferior", 0)


def test_draws_are_one_row_of_their_mean_and_range(tmp_path: Path) -> None:
    draws = {"random:33": 0.8, "random:33@1": 0.7, "random:33@2": 0.6}
    bases = [kept(share, 33, condense=spec) for spec, share in draws.items()]
    made = run(tmp_path, kept(0.9), *bases, kept(0.8, 33, condense="kmeans:33"))
    row = by_base(made)["exact, random:33"]
    alone = {spec: by_base(run(tmp_path / spec, kept(0.9), kept(share, 33, condense=spec)))
             for spec, share in draws.items()}  # fmt: skip
    means = [rows["exact, random:33"].on.mean for rows in alone.values()]
    assert (row.draws, row.seeds) == (3, [*SEEDS])
    assert row.on.mean == pytest.approx(np.mean(means))
    assert row.on.n == len(SEEDS)
    assert (row.lowest, row.highest) == pytest.approx((min(means), max(means)))
    differences = [rows["exact, random:33"].difference.estimate for rows in alone.values()]
    assert row.difference.estimate == pytest.approx(np.mean(differences))
    costs = {line["base"]: line["range"] for line in cells(titled(SECTION, made)[COSTS])}
    assert costs["exact, random:33"] == f"{100 * min(means):.2f} to {100 * max(means):.2f}"


def test_bytes_count_keys_once_and_the_front_is_of_those_that_nothing_beats(tmp_path: Path) -> None:
    made = run(
        tmp_path,
        kept(0.9, us=90),
        kept(0.9, us=40, backend="faiss:SQ8", index_bytes=1_000_000),
        kept(0.7, 33, us=10, condense="random:33"),
        kept(0.8, 33, us=10, condense="kmeans:33"),
        kept(0.9, us=10, skip=SKIPS),  # most queries are skipped, so that is the median of all
    )
    found = by_base(made)
    assert found["exact"].bytes == 3301 * (4 * WIDTH + 4 * CLASSES + 8)
    assert found["faiss:SQ8"].bytes == 1_000_000 + 3301 * (4 * CLASSES + 8)
    assert found["exact, kmeans:33"].of_whole == pytest.approx(33 / 3301)
    fronts = {name: (row.front_bytes, row.front_time) for name, row in found.items()}
    assert fronts == {
        "exact": (False, False),
        "faiss:SQ8": (True, False),
        "exact, random:33": (False, False),
        "exact, kmeans:33": (True, True),
        "exact, skip lossless": (False, True),
    }
    skipping = found["exact, skip lossless"]
    assert (skipping.skipped, skipping.added_us, skipping.asked_us) == (0.75, 20, 50)
    assert found["exact"].skipped is None
    assert (found["faiss:SQ8"].kind, found["exact, skip lossless"].kind) == (
        "another index",
        "skipping",
    )


@given(st.lists(st.tuples(st.integers(0, 4) | st.none(), st.integers(0, 4) | st.none())))
def test_a_front_is_what_nothing_dominates(places: list[tuple[int | None, int | None]]) -> None:
    for (cost, worth), stays in zip(places, pareto.front(places), strict=True):
        if cost is None or worth is None:
            assert not stays
            continue
        known = [(c, w) for c, w in places if c is not None and w is not None]
        better = [(c < cost and w >= worth) or (c <= cost and w > worth) for c, w in known]
        assert stays == (not any(better))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.002, 0.01, "non-inferior"),
        (-0.0021, 0.01, "undecided"),
        (-0.01, -0.002, "undecided"),
        (-0.01, -0.0021, "inferior"),
        (0.001, 0.002, "non-inferior"),
        (None, None, "undecided"),
    ],
)
def test_the_verdict_is_where_the_interval_lies(
    low: float | None, high: float | None, verdict: str
) -> None:
    found = Difference(-0.001, low, high, 0.001, 0.1, 0.01, 0.001, 3, 400)
    assert non_inferiority(found, margin=0.002) == verdict


def test_the_margin_is_the_plans(tmp_path: Path) -> None:
    made = run(tmp_path, kept(0.9), kept(0.8, 33, condense="kmeans:33"))
    for tasks, margin, verdict in (({}, 15.0, "non-inferior"), ({"margin": 1.0}, 1.0, "inferior")):
        made.results.run["config"] = {"retrieval": {"margin": 15.0}}
        made.results.run["tasks"] = {"mrpc": {"retrieval": tasks}} if tasks else {}
        row = by_base(RunInputs(made.results))["exact, kmeans:33"]
        assert (row.margin, row.verdict) == (margin, verdict)
        notes = " ".join(titled(SECTION, RunInputs(made.results))[LOSES].notes)
        assert f"by a margin of {margin:g} points that the plan states" in notes


def test_a_whole_base_that_failed_is_not_replaced_by_another(tmp_path: Path) -> None:
    (record, _), *_ = kept(0.9, seeds=(0,))
    broken = CellState(_cell(record).plan, "failed", "no", factory.failed(record, "no"))
    other = kept(0.9, backend="hnswlib", seeds=(0,))
    made = inputs(tmp_path, broken, *other, *kept(0.8, 33, seeds=(0,), condense="kmeans:33"))
    rows = by_base(made)
    assert {row.verdict for row in rows.values()} == {"not comparable"}
    assert rows["exact, kmeans:33"].of_whole is None


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    made = run(tmp_path, kept(0.9, seeds=(0,)), kept(0.2, 33, seeds=(0,), condense="kmeans:33"))
    row = by_base(made)["exact, kmeans:33"]
    assert row.difference.estimate < -0.5
    assert row.verdict == "undecided"


def test_nothing_is_shown_where_nothing_is_cheaper(tmp_path: Path) -> None:
    made = run(tmp_path, kept(0.9), kept(0.8, share=0.1), kept(0.9, backend="hnswlib"))
    assert lines(SECTION, made) == []
    assert titled(SECTION, made) == {}
    assert [*SECTION.pictures(made.frame(SECTION), made)] == []


def test_pictures_have_a_mark_per_base_and_name_the_front(tmp_path: Path) -> None:
    made = run(tmp_path, kept(0.9), kept(0.8, 33, us=10, condense="kmeans:33"))
    by_bytes, by_time = SECTION.pictures(made.frame(SECTION), made)
    for picture in (by_bytes, by_time):
        assert [*picture.frame["base"]] == ["exact", "exact, kmeans:33"]
        assert [*picture.frame["front"]] == [True, True]
        assert "Pareto front: exact, kmeans:33" in picture.alt
        levels = [*picture.frame["rule_text"].dropna()]
        assert levels[0].startswith("student alone: ")
        assert levels[1].startswith("whole - 0.2: ")
        assert picture.draw(picture.frame)
