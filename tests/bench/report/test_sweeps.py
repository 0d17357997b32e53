"""Laws of reading sweeps: they are what the cell chose from, or their file is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.records.store import Store
from bench.report.document import build
from bench.report.results import HELD_OUT, load
from bench.report.sweeps import Sweep, sweeps
from tests.bench.report import factory, swept

REAL = Path(__file__).parents[3] / "results" / "glue-minilm-retrieval"


def holds(sweep: Sweep, chosen: float) -> None:
    """What must be true of any sweep of a real cell."""
    tau, k, beta = sweep.chosen
    at = sweep.taus.index(tau), sweep.ks.index(k), sweep.betas.index(beta)
    assert sweep.values.shape == (len(sweep.taus), len(sweep.ks), len(sweep.betas))
    assert sweep.values[at] == pytest.approx(chosen, abs=1e-9)
    if 0.0 in sweep.betas:
        alone = sweep.values[:, :, sweep.betas.index(0.0)]
        assert alone == pytest.approx(np.full_like(alone, sweep.off), abs=1e-9)


def test_every_split_of_every_cell_is_read(tmp_path: Path) -> None:
    cells = swept.matrix()
    found, problems = sweeps(swept.results(tmp_path, cells))
    assert problems == []
    by_cell = {(r.task, r.method, r.seed, r.retrieval.backend): a for r, a in cells if r.retrieval}
    splits = {"mrpc": [HELD_OUT, "dev"], "mnli": [HELD_OUT, "dev_matched", "dev_mismatched"]}
    assert len(found) == sum(len(splits[record.task]) for record, _ in cells)
    for sweep in found:
        arrays = by_cell[sweep.task, sweep.method, sweep.seed, sweep.index]
        np.testing.assert_array_equal(sweep.values, arrays[f"sweep.{sweep.split}"])
        assert sweep.split in splits[sweep.task]


def test_the_chosen_setting_scores_what_the_record_says(tmp_path: Path) -> None:
    cells = swept.matrix([0])
    records = {(r.task, r.method, r.retrieval.backend): r for r, _ in cells if r.retrieval}
    for sweep in sweeps(swept.results(tmp_path, cells))[0]:
        result = records[sweep.task, sweep.method, sweep.index].retrieval
        assert result is not None
        holds(sweep, result.chosen.scores[sweep.split][sweep.metric])


@pytest.mark.skipif(not REAL.is_dir(), reason="committed results are not part of the package")
def test_real_cells_scored_their_choice_and_nothing_with_beta_0() -> None:
    results = load(Store(REAL))
    found, problems = sweeps(results)
    assert problems == []
    chosen = {
        (at[0], at[1], at[2], record.seed, split): result.chosen.scores[split][record.select_on]
        for at, pairs in results.by_index.items()
        for record, result in pairs
        for split in (HELD_OUT, *record.tests)
    }
    assert len(found) == len(chosen)
    for one in found:
        holds(one, chosen[one.task, one.method, one.index, one.seed, one.split])


def test_seeds_are_in_order_and_titles_name_the_split_of_mnli(tmp_path: Path) -> None:
    cells = [swept.cell("mnli", seed=seed) for seed in (2, 0, 1)]
    found, _ = sweeps(swept.results(tmp_path, cells))
    assert [sweep.seed for sweep in found] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [sweep.title for sweep in found[:3]] == ["MNLI", "MNLI matched", "MNLI mismatched"]


Damage = Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "holds no sweep.dev": (lambda a: {"sweep.held_out": a["sweep.held_out"]}, "absent"),
    "sweep.dev is float64 (2, 3, 3)": (lambda a: a | {"sweep.dev": a["sweep.dev"][1:]}, "shape"),
    "sweep.dev is int64": (lambda a: a | {"sweep.dev": a["sweep.dev"].astype("int64")}, "type"),
    "sweep.held_out has values that are not": (
        lambda a: a | {"sweep.held_out": np.full_like(a["sweep.held_out"], np.nan)},
        "NaN",
    ),
}


@pytest.mark.parametrize(("said", "damage"), [(said, made) for said, (made, _) in DAMAGES.items()])
def test_arrays_that_are_no_sweep_are_named_and_the_others_used(
    said: str, damage: Damage, tmp_path: Path
) -> None:
    (good, arrays), (bad, others) = swept.cell(seed=0), swept.cell(seed=1)
    found, (problem,) = sweeps(
        swept.results(tmp_path, [(good, arrays), (bad, damage(dict(others)))])
    )
    assert (problem.path.stem, problem.reason[: len(said)]) == (bad.key, said)
    assert {sweep.seed for sweep in found} == {0}


def test_a_truncated_or_missing_file_is_in_the_report_and_costs_no_other_cell(
    tmp_path: Path,
) -> None:
    cells = swept.matrix([0, 1, 2], ["mrpc"])
    store = swept.store(tmp_path, cells)
    cut, gone = (store.cells / f"{record.key}.npz" for record, _ in cells[:2])
    cut.write_bytes(cut.read_bytes()[:100])
    gone.unlink()
    made = build(load(store))
    reasons = {row["file"]: row["reason"] for row in made.data["unusable_files"]}
    assert "damaged" in reasons[cut.name]
    assert gone.name in reasons
    seeds = {(row["method"], row["index"]): row["seeds"] for row in made.data["k"]}
    first, second = ((r.method, r.retrieval.backend) for r, _ in cells[:2] if r.retrieval)
    assert seeds.pop(first) == seeds.pop(second) == [1, 2]
    assert set(map(tuple, seeds.values())) == {(0, 1, 2)}


def test_a_choice_that_was_never_tried_is_named(tmp_path: Path) -> None:
    record, arrays = swept.cell()
    assert record.retrieval is not None
    odd = record.retrieval.chosen.model_copy(update={"k": 3})
    made = record.retrieval.model_copy(update={"chosen": odd})
    cells = [(record.model_copy(update={"retrieval": made}), arrays)]
    found, (problem,) = sweeps(swept.results(tmp_path, cells))
    assert found == []
    assert "which was not tried" in problem.reason


def test_a_run_copied_without_arrays_has_no_section_and_no_complaint(tmp_path: Path) -> None:
    made = build(factory.results(tmp_path, factory.matrix()))
    assert {section.name for section in made.sections}.isdisjoint({"k", "beta-tau"})
    assert made.data["unusable_files"] == []


def test_a_student_alone_without_a_score_is_no_sweep_and_no_nan_in_a_table(tmp_path: Path) -> None:
    cells = [swept.cell(seed=0), swept.cell(seed=1)]
    store = swept.store(tmp_path, cells)
    path = store.cells / f"{cells[1][0].key}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["retrieval"]["off"]["dev"]["accuracy"] = math.nan  # no file of ours has one
    path.write_text(json.dumps(content), encoding="utf-8")
    found, (problem,) = sweeps(load(store))
    assert {sweep.seed for sweep in found} == {0}
    assert problem.reason == "its record says that the student alone scored nan on dev"
    shown = [table for table in build(load(store)).tables if "Unusable" not in table.title]
    assert not any("nan" in cell for table in shown for row in table.rows for cell in row)
