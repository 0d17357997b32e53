"""Laws of the pictures of a report: each value where its record has it, each finding in words."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.records.measurement import Interval, LatencyRecord, Times
from bench.records.run import Record
from bench.report import costs, document, effects, interactive, scores, tidy
from bench.report.figure import Figure, Panel, Series
from bench.report.figures import spread
from bench.report.figures.ablation import accuracy_by_k
from bench.report.figures.added import with_added_time
from bench.report.figures.curves import curves
from bench.report.figures.gate import gate_history
from bench.report.figures.overhead import noise_floor, overhead
from bench.report.figures.recall import recall_by_added_time, recall_by_search
from bench.report.figures.seeds import seed_scatter
from bench.report.figures.tradeoff import (
    FRONT,
    MIB,
    accuracy_by_added_time,
    accuracy_by_memory,
    accuracy_by_time,
)
from bench.report.frame import Row, rows
from bench.report.results import Results
from bench.report.sectioned import Section
from bench.report.sections.latency import of_records
from bench.report.sensitivity import AtK
from bench.report.summary import Summary, summarise
from tests.bench.measure import judged
from tests.bench.measure.test_history import TIMES, call
from tests.bench.report import factory


def line(panel: Panel, label: str) -> Series:
    return next(series for series in panel.series if series.label == label)


def made(figure: Figure | None) -> Figure:
    assert figure is not None
    assert any(letter.isdigit() for letter in figure.alt)
    json.dumps(interactive.spec(figure), allow_nan=False)
    return figure


# Means over seeds.


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.71, 0.74, 0.70, 0.72]
    found = spread.spread(summarise(values))
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert found == pytest.approx((100 * np.mean(values), 100 * low, 100 * high))


# The score against k.


def at_k(k: int, values: Sequence[float], **changes: Any) -> AtK:
    given: dict[str, Any] = {
        "task": "mrpc",
        "title": "MRPC",
        "split": "dev",
        "metric": "accuracy",
        "method": "reaugkd",
        "index": "exact",
        "k": k,
        "seeds": list(range(len(values))),
        "beta": [0.4],
        "tau": [0.1],
        "chosen_k": [4],
        "off": summarise([0.70] * len(values)),
        "on": summarise(values),
        "gain": summarise([0.01]),
        "held_out": summarise([0.8]),
    }
    return AtK(**(given | changes))


def test_every_k_stands_at_its_mean_with_its_interval_and_off_apart() -> None:
    rows = [at_k(4, (0.72, 0.74)), at_k(1, (0.70, 0.72)), at_k(16, (0.71, 0.71))]
    panel = made(accuracy_by_k(rows)).panels[0]
    (series,) = panel.series
    assert series.x == ("off", "off", "1", "4", "16")
    assert series.y == pytest.approx((70.0, None, 71.0, 73.0, 71.0))
    for place, row in ((2, rows[1]), (3, rows[0])):
        expected = spread.spread(row.on)
        assert (series.low[place], series.high[place]) == expected[1:]
    assert (series.low[4], series.high[4]) == (71.0, 71.0)


def test_one_seed_has_no_interval_and_says_so() -> None:
    figure = made(accuracy_by_k([at_k(1, (0.7,)), at_k(4, (0.71,))]))
    assert set(figure.panels[0].series[0].low) == {None}
    assert any("One seed" in note for note in figure.notes)
    assert spread.NOTE not in figure.notes


def test_methods_share_a_panel_and_keep_the_order_of_k() -> None:
    rows = [
        *(at_k(k, (0.7, 0.8), method="kd") for k in (4, 64)),
        *(at_k(k, (0.7, 0.8)) for k in (1, 4)),
        at_k(1, (0.5, 0.5), task="stsb", title="STS-B"),
    ]
    mrpc, stsb = made(accuracy_by_k(rows)).panels
    assert [series.label for series in mrpc.series] == ["kd", "reaugkd"]
    assert {series.x for series in mrpc.series} == {("off", "off", "1", "4", "64")}
    assert line(mrpc, "kd").y == pytest.approx((70.0, None, None, 75.0, 75.0))
    assert stsb.title == "STS-B"


def test_the_words_tell_least_most_and_the_choice() -> None:
    alt = made(accuracy_by_k([at_k(1, (0.70,)), at_k(4, (0.73,)), at_k(9, (0.72,))])).alt
    assert "from 70.00 (k = 1) to 73.00 (k = 4), 70.00 without retrieval" in alt
    assert "held-out chose k = 4" in alt


# What accuracy costs.


def about(results: Results) -> tuple[list[Any], list[Any], list[Any]]:
    return effects.effects(results), costs.costs(results), scores.scores(results)


def priced(backend: str, on: float, time: float, size: int, seed: int = 0) -> Record:
    record = factory.retrieval(off=0.80, on=on, backend=backend, seed=seed)
    assert record.retrieval is not None
    search = record.retrieval.search.model_copy(update={"search_us_p50": time, "index_bytes": size})
    retrieval = record.retrieval.model_copy(
        update={"search": search, "kb_bytes": 4 * 3301 * 384 + MIB}
    )
    return record.model_copy(update={"retrieval": retrieval})


@pytest.fixture
def shop(tmp_path: Path) -> Results:
    """Off is worth 80; annoy is worse than faiss in both, hnswlib is the cheapest and below off."""
    return factory.results(
        tmp_path,
        [
            factory.training(method="reaugkd", value=0.80),
            priced("exact", 0.83, 900.0, 0),
            priced("faiss", 0.82, 90.0, 3 * MIB),
            priced("annoy", 0.81, 400.0, 7 * MIB),
            priced("hnswlib", 0.79, 50.0, 5 * MIB),
        ],
    )


def test_the_front_is_what_nothing_beats_above_the_best_without_retrieval(shop: Results) -> None:
    (panel,) = made(accuracy_by_time(*about(shop))).panels
    front = line(panel, FRONT)
    assert front.emphasised
    assert (front.x, front.y) == ((90.0, 900.0), pytest.approx((82.0, 83.0)))
    (rule,) = panel.rules
    assert rule.y == pytest.approx(80.0)
    assert {series.x for series in panel.series if series is not front} == {
        (900.0,), (90.0,), (400.0,), (50.0,)
    }  # fmt: skip


def test_memory_is_of_knowledge_base_and_index(shop: Results) -> None:
    figure = made(accuracy_by_memory(*about(shop)))
    front = line(figure.panels[0], FRONT)
    assert (front.x, front.y) == ((1.0,), pytest.approx((83.0,)))
    assert line(figure.panels[0], "reaugkd, annoy").x == (8.0,)
    assert "83.00 at 1 MiB" in figure.alt


def test_where_nothing_beats_off_there_is_no_front_and_the_words_say_so(tmp_path: Path) -> None:
    records = [
        factory.training(method="finetune", value=0.9),
        factory.training(method="reaugkd", value=0.8),
        priced("exact", 0.83, 900.0, 0),
    ]
    figure = made(accuracy_by_time(*about(factory.results(tmp_path, records))))
    assert FRONT not in [series.label for series in figure.panels[0].series]
    assert "no index beats the best student without retrieval, finetune with 90.00" in figure.alt


def test_the_added_time_is_that_of_the_same_task_and_backend_for_one_input(shop: Results) -> None:
    def added(ms: float, **changes: Any) -> LatencyRecord:
        times = Times(p50=ms, p95=ms, p99=ms)
        result = judged.result(0.01, 0.02, added=times)
        return judged.record(key=str(ms), cell=judged.cell(**changes), result=result)  # type: ignore[no-any-return]

    records = [
        added(0.5, backend="faiss"),
        added(0.2, backend="hnswlib"),
        added(0.1, backend="faiss", precision="bf16"),
        added(9.0, backend="faiss", batch=32),
        added(7.0, backend="exact", base="cola"),
    ]
    found, _, scored = about(shop)
    (panel,) = made(accuracy_by_added_time(found, records, scored)).panels
    assert {series.label: series.x for series in panel.series} == {
        "reaugkd, faiss": (0.5,), "reaugkd, hnswlib": (0.2,), FRONT: (0.5,)
    }  # fmt: skip
    assert accuracy_by_added_time(found, [], scored) is None


def test_a_report_with_measurements_beside_it_has_the_added_time(
    shop: Results, tmp_path: Path
) -> None:
    report = document.build(shop)
    assert with_added_time(report) == report
    timed = Section("latency", "Latency", records=(judged.record(),))
    joined = with_added_time(replace(report, sections=(*report.sections, timed)))
    (ann,) = [section for section in joined.sections if section.name == "ann"]
    assert [figure.name for figure in ann.figures][-1] == "accuracy-by-added-time"


# Latency.


def lines(*records: LatencyRecord) -> list[Row]:
    return rows(of_records(records))


def timed(base: str, size: int, low: float, high: float, **changes: Any) -> LatencyRecord:
    cell = judged.cell(base=base, size=size, **changes)
    return judged.record(low, high, key=f"{base}-{changes}", cell=cell)  # type: ignore[no-any-return]


def test_every_cell_stands_at_its_overhead_with_its_interval_in_its_panel() -> None:
    records = [
        timed("rte", 2490, 0.03, 0.04, backend="exact"),
        timed("wnli", 635, 0.005, 0.007),
        timed("mnli", 392702, 0.02, 0.05),
        timed("wnli", 635, 0.01, 0.02, batch=32),
    ]
    one, other = made(overhead(lines(*records))).panels
    assert (one.title, other.title) == ("batch 1, fp32", "batch 32, fp32")
    hnswlib = line(one, "hnswlib")
    assert hnswlib.x == (635, 392702)
    assert hnswlib.y == pytest.approx((0.6, 3.5))
    assert hnswlib.low == pytest.approx((0.5, 2.0))
    assert hnswlib.high == pytest.approx((0.7, 5.0))
    assert [rule.label for rule in one.rules] == ["limit 3 %", "noise floor 2 %"]
    assert one.rules[0].y == pytest.approx(3.0)


def test_the_noise_floor_is_the_middle_of_the_further_ends() -> None:
    records = []
    for low, high in ((-0.01, 0.004), (-0.002, 0.03), (0.0, 0.02)):
        result = judged.result(0.01, 0.02, noise=Interval(estimate=0.0, low=low, high=high))
        records.append(judged.record(result=result))
    assert noise_floor(lines(*records)) == pytest.approx(2.0)


def test_the_words_count_verdicts_and_name_the_ends() -> None:
    records = [
        timed("mnli", 392702, 0.02, 0.025),
        timed("mnli", 392702, 3.0, 3.5, backend="exact").model_copy(update={"verdict": "fails"}),
    ]
    figure = made(overhead(lines(*records, judged.failed("killed"))))
    assert "2 cells: 1 fails, 1 holds" in figure.alt
    assert "at 392,702 entries hnswlib adds 2.25 % [2.00, 2.50]" in figure.alt
    assert "exact 325.00 %" in figure.alt
    assert "Cells without figures, not drawn: 1." in figure.notes
    assert any("generated" in note for note in figure.notes)


def test_recall_stands_against_the_added_time() -> None:
    fast = timed("wnli", 635, 0.01, 0.02, backend="faiss")
    exact = judged.index(spec="exact", recall=1.0, effort=None)
    slow = timed("wnli", 635, 0.1, 0.2, backend="exact").model_copy(update={"index": exact})
    (panel,) = made(recall_by_added_time(lines(fast, slow))).panels
    assert (line(panel, "faiss").x, line(panel, "faiss").y) == ((0.2,), pytest.approx((99.2,)))
    assert line(panel, "exact").y == (100.0,)
    assert recall_by_added_time(lines(slow)) is None


def test_recall_of_a_run_stands_against_its_search_time(shop: Results, tmp_path: Path) -> None:
    found, prices, _ = about(shop)
    (panel,) = made(recall_by_search(found, prices)).panels
    assert {series.label: series.x for series in panel.series} == {
        "exact": (900.0,), "faiss": (90.0,), "annoy": (400.0,), "hnswlib": (50.0,)
    }  # fmt: skip
    one = factory.results(tmp_path / "one", [factory.retrieval()])
    assert recall_by_search(effects.effects(one), costs.costs(one)) is None


# Training.


def trained(method: str, seed: int, history: list[dict[str, float]], task: str = "mrpc") -> Record:
    record = factory.training(task, method, seed)
    assert record.training is not None
    return record.model_copy(
        update={"training": record.training.model_copy(update={"history": history})}
    )


def test_every_term_has_its_panel_with_those_that_use_it(tmp_path: Path) -> None:
    def epochs(scale: float, *terms: str) -> list[dict[str, float]]:
        return [
            {"epoch": n, "accuracy": 0.7 + n / 100, "f1": 0.8}
            | {f"loss/{term}": scale / n for term in terms}
            for n in (1, 2)
        ]

    records = [
        trained("kd", 0, epochs(1.0, "hard", "soft")),
        trained("kd", 1, epochs(3.0, "hard", "soft")),
        trained("rkd", 0, epochs(5.0, "hard", "angle")),
    ]
    (figure,) = curves(factory.results(tmp_path, records))
    made(figure)
    assert [panel.title for panel in figure.panels] == [
        "accuracy on held-out", "loss: hard", "loss: soft", "loss: angle"
    ]  # fmt: skip
    accuracy, hard, soft, angle = figure.panels
    assert line(hard, "kd").y == pytest.approx((2.0, 1.0))
    assert line(hard, "rkd").y == pytest.approx((5.0, 2.5))
    assert line(accuracy, "kd").y == pytest.approx((71.0, 72.0))
    assert [series.label for series in soft.series] == ["kd"]
    assert [series.label for series in angle.series] == ["rkd"]
    low, high = stats.t.interval(0.95, 1, 2.0, stats.sem([1.0, 3.0]))
    assert (line(hard, "kd").low[0], line(hard, "kd").high[0]) == pytest.approx((low, high))
    assert "loss: angle: rkd 5 to 2.5." in figure.alt


def test_students_that_stop_early_leave_the_mean_and_it_is_told(tmp_path: Path) -> None:
    rows = [{"epoch": float(n), "accuracy": 0.7, "loss/hard": float(n)} for n in (1, 2)]
    records = [trained("kd", 0, rows), trained("kd", 1, rows[:1])]
    (figure,) = curves(factory.results(tmp_path, records))
    assert figure.panels[1].series[0].y == (1.0, 2.0)
    assert any("different epochs" in note for note in figure.notes)


def test_each_task_has_curves_under_a_name_of_its_own(tmp_path: Path) -> None:
    rows = [{"epoch": 1.0, "accuracy": 0.7, "pearson": 0.7, "loss/hard": 1.0}]
    records = [trained("kd", 0, rows, task) for task in ("mrpc", "stsb")]
    found = curves(factory.results(tmp_path, records))
    assert [figure.name for figure in found] == ["curves-mrpc", "curves-stsb"]
    assert curves(factory.results(tmp_path / "b", [factory.training()])) == []


# Seeds.


def test_every_seed_is_a_point_and_their_mean_a_ring(tmp_path: Path) -> None:
    results = factory.results(tmp_path, factory.matrix())
    figure = made(seed_scatter(results))
    mrpc, _ = figure.panels
    points, mean = mrpc.series
    expected = {
        (row.method + (" + exact" if row.retrieval == "on" else ""), row.value)
        for row in tidy.rows(results)
        if (row.task, row.split, row.metric) == ("mrpc", "dev", "accuracy")
        and row.backend in (None, "exact")
    }
    found = set(zip(points.x, points.y, strict=True))
    assert len(found) == 9
    assert {(name, round(y, 6)) for name, y in found} == {
        (name, round(100 * value, 6)) for name, value in expected
    }
    assert mean.x == ("kd", "reaugkd", "reaugkd + exact")
    assert mean.emphasised


def test_a_first_index_that_failed_leaves_its_place_to_none(tmp_path: Path) -> None:
    records = [
        factory.failed(record, "no") if record.key.endswith("-exact-projected") else record
        for record in factory.matrix()
    ]
    for panel in made(seed_scatter(factory.results(tmp_path, records))).panels:
        assert panel.series[1].x == ("kd", "reaugkd")


def test_one_seed_has_no_scatter(tmp_path: Path) -> None:
    assert seed_scatter(factory.results(tmp_path, factory.matrix([0]))) is None


# The gate.


def test_calls_stand_in_order_with_gaps_where_nothing_was_measured() -> None:
    third = "2025-01-04T03:04:05+00:00"
    entries = [
        *call(third, judged.record(0.01, 0.02)),
        *call(TIMES[0], judged.record(0.02, 0.03)),
        *call(TIMES[1], judged.failed("died")),
    ]
    (panel,) = made(gate_history(entries)).panels
    (series,) = panel.series
    assert series.x == ("2025-01-02", "2025-01-03", "2025-01-04")
    assert series.y == pytest.approx((2.5, None, 1.5))
    assert series.high == pytest.approx((3.0, None, 2.0))
    assert [(rule.label, rule.y) for rule in panel.rules] == [("limit 3 %", 3.0)]


def test_cells_are_told_apart_by_what_differs_and_machines_by_panels() -> None:
    one, other = judged.record(), judged.changed(judged.record(key="b"), batch=32)
    (panel,) = made(gate_history(call(TIMES[0], one, other))).panels
    assert [series.label for series in panel.series] == [
        "mrpc hnswlib batch 1",
        "mrpc hnswlib batch 32",
    ]
    elsewhere = judged.record(provenance=factory.provenance(cpu="Other CPU"))
    figure = made(gate_history([*call(TIMES[0], one), *call(TIMES[1], elsewhere)]))
    assert [panel.title for panel in figure.panels] == ["Test CPU, 2 cores", "Other CPU, 2 cores"]
    assert gate_history(call(TIMES[0], judged.failed("died"))) is None
    assert gate_history([]) is None


# The whole report.


def test_a_report_has_its_pictures_and_they_can_all_be_drawn(tmp_path: Path) -> None:
    records = factory.matrix()
    history = [{"epoch": 1.0, "accuracy": 0.7, "loss/hard": 1.0}]
    records.append(trained("rkd", 0, history))
    report = document.build(factory.results(tmp_path, records))
    found = {figure.name for section in report.sections for figure in section.figures}
    assert found >= {
        "seeds", "recall-by-search-time", "accuracy-by-search-time", "accuracy-by-memory",
        "curves-mrpc",
    }  # fmt: skip
    for section in report.sections:
        for figure in section.figures:
            made(figure)


def test_nothing_to_show_is_no_picture(tmp_path: Path) -> None:
    report = document.build(factory.results(tmp_path, []))
    assert not any(section.figures for section in report.sections)
    assert accuracy_by_k([]) is None
    assert overhead(lines(judged.failed("killed"))) is None


def test_scores_that_are_no_numbers_leave_gaps() -> None:
    broken = at_k(1, (0.7,), on=Summary(None, None, 1), off=Summary(None, None, 1))
    figure = accuracy_by_k([broken, at_k(4, (math.nan, 0.7))])
    assert figure is not None
    assert "reaugkd was not measured" in figure.alt
    assert set(figure.panels[0].series[0].y) == {None}
