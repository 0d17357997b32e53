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

from bench.records.results import HELD_OUT, load
from bench.records.store import Store
from bench.report.sweeps import Sweep, sweeps
from tests.bench.report import shown, swept

REAL = Path(__file__).parents[3] / "results" / "glue-minilm-retrieval"


def holds(sweep: Sweep) -> None:
    """What must be true of any sweep of a real cell."""
    result, choice = sweep.result, sweep.result.chosen
    at = (
        result.taus.index(choice.tau),
        result.ks.index(choice.k),
        result.betas.index(choice.beta),
    )
    assert sweep.values.shape == (len(result.taus), len(result.ks), len(result.betas))
    chosen = choice.scores[sweep.split][sweep.record.select_on]
    assert sweep.values[at] == pytest.approx(chosen, abs=1e-9)
    if 0.0 in result.betas:
        alone = sweep.values[:, :, result.betas.index(0.0)]
        assert alone == pytest.approx(np.full_like(alone, sweep.off), abs=1e-9)


def test_every_split_of_every_cell_is_read(tmp_path: Path) -> None:
    cells = swept.matrix()
    found, problems = sweeps(swept.results(tmp_path, cells))
    assert problems == []
    by_key = {record.key: arrays for record, arrays in cells}
    splits = {"mrpc": [HELD_OUT, "dev"], "mnli": [HELD_OUT, "dev_matched", "dev_mismatched"]}
    assert len(found) == sum(len(splits[record.task]) for record, _ in cells)
    for sweep in found:
        arrays = by_key[sweep.record.key]
        np.testing.assert_array_equal(sweep.values, arrays[f"sweep.{sweep.split}"])
        assert sweep.split in splits[sweep.record.task]
        holds(sweep)


@pytest.mark.skipif(not REAL.is_dir(), reason="committed results are not part of the package")
def test_real_cells_scored_their_choice_and_nothing_with_beta_0() -> None:
    results = load(Store(REAL))
    found, problems = sweeps(results)
    assert problems == []
    assert len(found) == sum(
        1 + len(record.tests) for pairs in results.by_index.values() for record, _ in pairs
    )
    for sweep in found:
        holds(sweep)


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
    assert {sweep.record.seed for sweep in found} == {0}


def test_a_truncated_or_missing_file_is_in_the_report_and_costs_no_other_cell(
    tmp_path: Path,
) -> None:
    cells = swept.matrix([0, 1, 2], ["mrpc"])
    store = swept.store(tmp_path, cells)
    cut, gone = (store.cells / f"{record.key}.npz" for record, _ in cells[:2])
    cut.write_bytes(cut.read_bytes()[:100])
    gone.unlink()
    made = shown.report(load(store))
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


def test_a_student_alone_without_a_score_is_no_sweep_and_no_nan_in_a_table(tmp_path: Path) -> None:
    cells = [swept.cell(seed=0), swept.cell(seed=1)]
    store = swept.store(tmp_path, cells)
    path = store.cells / f"{cells[1][0].key}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["retrieval"]["off"]["dev"]["accuracy"] = math.nan  # no file of ours has one
    path.write_text(json.dumps(content), encoding="utf-8")
    found, (problem,) = sweeps(load(store))
    assert {sweep.record.seed for sweep in found} == {0}
    assert problem.reason == "its record says that the student alone scored nan on dev"
    made = [table for table in shown.report(load(store)).tables if "Unusable" not in table.title]
    assert not any("nan" in cell for table in made for row in table.rows for cell in row)
