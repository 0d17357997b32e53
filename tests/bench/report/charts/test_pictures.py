"""Laws of single pictures: each value where its record has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from bench.records.measurement import Interval, Reduction, Times
from bench.report.charts import differences, gate, measured, scores, settings, spread, tradeoff
from bench.report.frame import Row, rows, typed
from bench.report.section import Picture
from bench.report.sections import latency
from bench.report.summary import Summary, summarise
from tests.bench.measure import judged
from tests.bench.measure.test_history import TIMES, call
from tests.bench.report import factory

MRPC = {"task": "mrpc", "title": "MRPC", "split": "dev", "metric": "accuracy"}
REAUGKD: dict[str, Any] = {**MRPC, "method": "reaugkd", "index": "exact", "first": True}


def only(pictures: Iterator[Picture]) -> tuple[Picture, list[Row]]:
    (picture,) = pictures
    return picture, rows(picture.frame)


def places(lines: Sequence[Row], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(line, name) for name in names) for line in lines]


def test_the_interval_of_a_mean_is_students() -> None:
    values = [0.71, 0.74, 0.70, 0.72]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    expected = (100 * np.mean(values), 100 * low, 100 * high)
    assert spread.spread(summarise(values)) == pytest.approx(expected)


# Scores along a setting.


def at_k(k: int, values: Sequence[float], **changes: Any) -> dict[str, Any]:
    chosen = {"beta": [0.4], "tau": [0.1], "chosen_k": [4], "seeds": list(range(len(values)))}
    off_on = {"off": summarise([0.70] * len(values)), "on": summarise(values)}
    return {**REAUGKD, "k": k, **chosen, **off_on, **changes}


def test_every_k_stands_at_its_mean_behind_off_and_a_gap() -> None:
    lines = [at_k(k, (0.72, 0.74)) for k in (4, 64)]
    lines += [at_k(k, (0.7, 0.7), method="kd") for k in (1, 4)]
    lines.append(at_k(1, (0.9, 0.9), index="faiss", first=False))
    picture, marks = only(settings.by_k(typed(lines)))
    assert places(marks, "series", "x", "y") == [
        *(("reaugkd", "off", 70.0), ("reaugkd", "off", None), ("reaugkd", "1", None)),
        *(("reaugkd", "4", 73.0), ("reaugkd", "64", 73.0)),
        *(("kd", "off", 70.0), ("kd", "off", None), ("kd", "1", 70.0), ("kd", "4", 70.0)),
        ("kd", "64", None),
    ]
    assert marks[3].low == pytest.approx(spread.spread(summarise((0.72, 0.74))).low)
    assert f"{spread.NOTE} {spread.TEST}" in picture.notes
    broken = at_k(1, (0.7,), on=Summary(None, None, 1))
    alone, marks = only(settings.by_k(typed([broken, at_k(4, (0.7,))])))
    assert {mark.low for mark in marks} == {None}
    assert [mark.x for mark in marks if mark.y is not None] == ["off", "4"]
    assert any("One seed" in note for note in alone.notes)


def test_the_grid_has_every_beta_and_tau_and_frames_the_choice() -> None:
    lines = [
        {**REAUGKD, "beta": beta, "tau": tau, "seeds": [0], "k": [4], "on": summarise([score])}
        | {"chosen_by": int(score == 0.75)}
        for beta, tau, score in ((0.0, 0.1, 0.70), (0.0, 1.0, 0.71), (0.5, 0.1, 0.75))
    ]
    _, marks = only(settings.beta_tau(typed(lines)))
    assert places(marks, "y", "x", "label", "chosen") == [
        ("0.5", "0.1", "75.0", True), ("0", "0.1", "70.0", False), ("0", "1", "71.0", False)
    ]  # fmt: skip


def test_every_term_has_its_panel_with_those_that_use_it() -> None:
    lines = [
        {**MRPC, "method": method, "term": term, "selects": term == "accuracy", "epoch": epoch}
        | {"value": summarise([value, value + 0.2]), "last": last}
        for method, term, last in (
            ("kd", "accuracy", [2, 2]), ("kd", "loss/hard", [2, 2]), ("rkd", "loss/angle", [2, 1])
        )
        for epoch, value in ((1, 0.5), (2, 0.6))
    ]  # fmt: skip
    picture, marks = only(settings.curves(typed(lines)))
    assert picture.name == "curves-mrpc"
    assert places(marks[::2], "panel", "series", "y") == [
        ("accuracy on held-out", "kd", pytest.approx(60)),
        ("loss: hard", "kd", pytest.approx(0.6)),
        ("loss: angle", "rkd", pytest.approx(0.6)),
    ]
    assert any("different epochs" in note for note in picture.notes)


# What accuracy costs.


def shop(off: float = 0.80) -> tradeoff.Frames:
    """annoy is worse than faiss in both, hnswlib is the cheapest and below off."""
    prices = {"exact": (0.83, 900.0, 0), "faiss": (0.82, 90.0, 3), "annoy": (0.81, 400.0, 7)}
    prices["hnswlib"] = (0.79, 50.0, 5)
    effects, costs = [], []
    for index, (on, time, size) in prices.items():
        at = {**REAUGKD, "index": index}
        effects.append({**at, "on": summarise([on]), "recall": summarise([1.0]), "k_max": 8})
        cost = {"search_us_p50": time, "index_bytes": size * tradeoff.MIB, "entries": 3301.0}
        kb = {"width": 384.0, "kb_bytes": 4 * 3301 * 384 + tradeoff.MIB}
        costs.append({**at, **cost, **kb})
    student = {**REAUGKD, "retrieval": "off", "selects": True, "value": summarise([off])}
    teacher = {**student, "method": "teacher", "retrieval": "", "value": summarise([0.99])}
    return tradeoff.Frames(typed(effects), typed(costs), typed([teacher, student]))


def drawn(name: str, frames: tradeoff.Frames, records: Sequence[Any] = ()) -> Any:
    return only(one for one in tradeoff.pictures(frames, records) if one.name == name)


def test_the_front_is_what_nothing_beats_above_the_best_without_retrieval() -> None:
    picture, marks = drawn("accuracy-by-search-time", shop())
    assert places([one for one in marks if one.front], "index", "x", "y") == [
        ("exact", 900.0, 83.0), ("faiss", 90.0, 82.0)
    ]  # fmt: skip
    assert len(marks) == 4
    assert {mark.rule for mark in marks} == {80.0}
    assert "faiss: 82.00 at 90 µs; reaugkd, exact: 83.00 at 900 µs" in picture.alt
    picture, marks = drawn("accuracy-by-search-time", shop(off=0.9))
    assert not any(mark.front for mark in marks)
    assert "no index beats" in picture.alt


def test_the_added_time_is_that_of_the_same_task_and_backend_for_one_input() -> None:
    def added(ms: float, **changes: Any) -> Any:
        result = judged.result(0.01, 0.02, added=Times(p50=ms, p95=ms, p99=ms))
        return judged.record(key=str(ms), cell=judged.cell(**changes), result=result)

    records = [
        added(0.5, backend="faiss"),
        added(0.2, backend="hnswlib"),
        added(0.1, backend="faiss", precision="bf16"),
        added(9.0, backend="faiss", batch=32),
        added(7.0, backend="exact", base="cola"),
    ]
    _, marks = drawn("accuracy-by-added-time", shop(), records)
    assert {mark.index: mark.x for mark in marks} == {"faiss": 0.5, "hnswlib": 0.2}


def test_memory_is_of_knowledge_base_and_index_and_recall_stands_against_search_time() -> None:
    frames = shop()
    _, marks = drawn("accuracy-by-memory", frames)
    sizes = {"exact": 1.0, "faiss": 4.0, "annoy": 8.0, "hnswlib": 6.0}
    assert {mark.index: mark.x for mark in marks} == sizes
    _, marks = drawn("recall-by-search-time", frames)
    assert {mark.series: (mark.x, mark.y) for mark in marks}["annoy"] == (400.0, 100.0)
    assert not [*tradeoff.recall(frames._replace(effects=frames.effects[:1]))]


# Measurements.


def timed(base: str, size: int, low: float, high: float, **changes: Any) -> Any:
    cell = judged.cell(base=base, size=size, **changes)
    return judged.record(low, high, key=f"{base}-{changes}", cell=cell)


def test_every_cell_stands_at_its_overhead_with_its_interval_in_its_panel() -> None:
    records = [
        timed("rte", 2490, 0.03, 0.04, backend="exact"),
        timed("mnli", 392702, 0.02, 0.05),
        timed("wnli", 635, 0.005, 0.007),
        timed("wnli", 635, 0.01, 0.02, batch=32),
        judged.failed("killed"),
    ]
    picture, marks = only(measured.overhead(latency.of_records(records)))
    lines = [mark for mark in marks if (mark.panel, mark.series) == ("batch 1, fp32", "hnswlib")]
    assert places(lines, "x", "y", "low", "high") == [
        pytest.approx((635, 0.6, 0.5, 0.7)), pytest.approx((392702, 3.5, 2.0, 5.0))
    ]  # fmt: skip
    levels = {mark.rule_text: mark.rule for mark in marks if mark.rule}
    assert levels == {"limit 3 %": pytest.approx(3.0), "noise floor 2 %": pytest.approx(2.0)}
    assert picture.alt.startswith("4 holds.")
    assert "Cells without figures, not drawn: 1." in picture.notes
    assert not [*measured.overhead(latency.of_records([judged.failed("killed")]))]
    noises = [Interval(estimate=0, low=a, high=b) for a, b in ((-1, 0.4), (-0.2, 3), (0, 2))]
    records = [judged.record(result=judged.result(0.01, 0.02, noise=noise)) for noise in noises]
    assert measured.noise_floor(rows(typed(records))) == pytest.approx(200)  # the middle one


def test_a_condensed_base_stands_at_the_size_of_its_own_in_a_panel_of_its_own() -> None:
    few = Reduction(condense="kmeans:256", rows=8_551)
    records = [
        timed("cola", 256, 0.004, 0.006, reduction=few, backend="exact"),
        timed("cola", 8_551, 0.01, 0.02, backend="exact"),
    ]
    _, marks = only(measured.overhead(latency.of_records(records)))
    shown = [mark for mark in marks if mark.series == "exact"]
    panels = {mark.panel: (mark.x, mark.y) for mark in shown}
    assert panels == {
        "batch 1, fp32": (8_551, pytest.approx(1.5)),
        "batch 1, fp32, kmeans:256": (8_551, pytest.approx(0.5)),
    }
    assert any(mark.text.startswith("cola (256 of 8,551), exact") for mark in shown)


def test_recall_stands_against_the_added_time_and_memory_against_the_size() -> None:
    fast = timed("wnli", 635, 0.01, 0.02, backend="faiss")
    exact = judged.index(spec="exact", recall=1.0, effort=None)
    slow = timed("wnli", 635, 0.1, 0.2, backend="exact").model_copy(update={"index": exact})
    _, marks = only(measured.recall(latency.of_records([fast, slow])))
    assert {mark.series: (mark.x, mark.y) for mark in marks} == {
        "exact": (0.2, 100.0), "faiss": (0.2, pytest.approx(99.2))
    }  # fmt: skip
    assert not [*measured.recall(latency.of_records([slow]))]
    line = {"base": "wnli", "size": 635, "dim": 768, "backend": "faiss", "k": 10}
    frame = typed([{**line, "resident": 2_500_000}, {**line, "resident": None}])
    _, marks = only(measured.memory(frame))
    assert places(marks, "panel", "series", "x", "y") == [("k 10", "faiss", 635, 2.5)]


def test_calls_stand_in_order_with_gaps_where_nothing_was_measured() -> None:
    third = "2025-01-04T03:04:05+00:00"
    entries = [
        *call(third, judged.record(0.01, 0.02)),
        *call(TIMES[0], judged.record(0.02, 0.03)),
        *call(TIMES[1], judged.failed("died")),
    ]
    _, marks = only(gate.pictures(entries))
    gap = [("2025-01-02", 2.5), ("2025-01-03", None), ("2025-01-04", 1.5)]
    assert places(marks, "x", "y") == gap
    assert [mark.rule_text for mark in marks if mark.rule_text] == ["limit 3 %"]
    one, other = judged.record(), judged.changed(judged.record(key="b"), batch=32)
    _, marks = only(gate.pictures(call(TIMES[0], one, other)))
    assert [mark.series for mark in marks] == ["mrpc hnswlib batch 1", "mrpc hnswlib batch 32"]
    assert not [*gate.pictures(call(TIMES[0], judged.failed("died")))]


# Scores and differences.


def test_every_seed_is_a_small_mark_and_their_mean_a_large_one(tmp_path: Path) -> None:
    _, marks = only(scores.seeds(factory.results(tmp_path, factory.matrix())))
    mrpc = [mark for mark in marks if mark.panel == "MRPC"]
    assert [mark.y for mark in mrpc if not mark.faint] == ["kd", "reaugkd", "reaugkd + exact"]
    assert [mark.x for mark in mrpc if mark.faint and mark.y == "kd"] == pytest.approx([78, 79, 82])
    one_seed = factory.results(tmp_path / "one", factory.matrix([0]))
    assert not [*scores.seeds(one_seed)]
    records = [  # a first index that failed leaves its place to none
        factory.failed(record, "no") if record.key.endswith("-exact-projected") else record
        for record in factory.matrix()
    ]
    _, marks = only(scores.seeds(factory.results(tmp_path / "failed", records)))
    assert {mark.y for mark in marks} == {"kd", "reaugkd"}


def test_off_and_on_of_a_method_are_joined_and_controls_stay_out() -> None:
    line = {"task": "mrpc", "header": "MRPC accuracy", "metric": "accuracy", "index": "exact"}
    lines = [
        {**line, "method": "teacher", "off": summarise([0.9]), "on": None},
        {**line, "method": "kd", "off": summarise([0.8]), "on": None},
        {**line, "method": "reaugkd", "off": summarise([0.8]), "on": summarise([0.82])},
    ]
    _, marks = only(scores.off_on(typed(lines)))
    assert places(marks, "y", "start", "x") == [
        ("kd", None, 80.0), ("reaugkd", None, 80.0), ("reaugkd", 80.0, 82.0)
    ]  # fmt: skip
    assert not [*scores.off_on(typed(lines[:2]))]


def difference(outcome: str, low: float | None, **changes: Any) -> dict[str, Any]:
    ends = {"estimate": 0.01, "low": low, "high": None if low is None else 0.02}
    line = {**MRPC, "kind": "baseline", "method": "reaugkd", "retrieval": "off", "baseline": "kd"}
    return {**line, "difference": ends, "outcome": outcome, "verdict": outcome, **changes}


def test_differences_lie_around_no_difference_and_say_what_holds() -> None:
    lines = [
        difference("better", 0.005),
        difference("one seed: no test", None, retrieval="exact, soft"),
        difference("not comparable", None, difference=None),
    ]
    picture, marks = only(differences.of_methods(typed(lines)))
    assert places(marks, "y", "x", "low", "high", "rule") == [
        ("reaugkd", 1.0, 0.5, 2.0, 0.0), ("reaugkd + exact", 1.0, None, None, 0.0)
    ]  # fmt: skip
    assert picture.alt.startswith("1 of 2 differences hold after Holm's correction.")
    runs = [difference("worse", 0.005, run=run, first="first") for run in ("a", "b")]
    picture, marks = only(differences.of_runs(typed(runs)))
    assert [mark.y for mark in marks] == ["reaugkd, a", "reaugkd, b"]
    assert not [*differences.of_runs(typed([]))]


def test_a_change_of_the_knowledge_base_stands_at_its_gain() -> None:
    lines = [
        {**MRPC, "method": "kd", "factor": factor, "level": level, "gain": summarise([gain])}
        | {"n": 1}
        for factor, level, gain in (("reference", "soft", 0.01), ("values", "hard labels", -0.02))
    ]
    _, marks = only(differences.attribution(typed(lines)))
    assert places(marks, "y", "x") == [("reference", 1.0), ("values: hard labels", -2.0)]
    assert not [*differences.attribution(typed(lines[:1]))]
