"""Laws of the ablations: settings are chosen on held-out, whatever the test split says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as arrays_of

from bench.report.frame import Row
from bench.report.inputs import RunInputs
from bench.report.sections import retrieval, sweeps
from reaugkd.retrieval.sweep import Grid, choose
from tests.bench.report import factory, shown, swept

shapes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
scores = st.sampled_from([0.8, 0.8 + 1e-13, 0.9])


@given(shapes.flatmap(lambda shape: arrays_of(np.float64, shape, elements=scores)))
def test_the_choice_at_one_k_is_that_of_a_run_with_that_k_alone(values: np.ndarray) -> None:
    taus, ks, betas = values.shape
    grid = Grid(tuple(range(1, ks + 1)), tuple(np.arange(betas) / 10), tuple(np.arange(taus) + 0.1))
    at_tau, at_beta = sweeps.chosen_for_each_k(values)
    for place, one in enumerate(grid.ks):
        alone = choose(values[:, [place]], Grid((one,), grid.betas, grid.taus))
        assert (grid.taus[at_tau[place]], grid.betas[at_beta[place]]) == (alone.tau, alone.beta)


def run(folder: Path, cells: swept.Cells) -> RunInputs:
    return RunInputs(swept.results(folder, cells))


def place(row: Row) -> tuple[str, ...]:
    return row.task, row.split, row.method, row.index


def test_at_the_chosen_k_stands_what_the_record_chose(tmp_path: Path) -> None:
    made = run(tmp_path, swept.matrix([0]))
    rows = {(*place(row), row.k): row for row in shown.lines(sweeps.K, made)}
    for chosen in shown.lines(retrieval.SECTION, made):
        row = rows[*place(chosen), *chosen.k]
        assert (row.beta, row.tau, row.chosen_k) == (chosen.beta, chosen.tau, chosen.k)
        for name in ("on", "off", "gain"):
            assert getattr(row, name).mean == pytest.approx(getattr(chosen, name).mean)


def test_no_choice_depends_on_the_test_split(tmp_path: Path) -> None:
    record, arrays = swept.cell()
    other = arrays | {"sweep.dev": np.random.default_rng(1).random(arrays["sweep.dev"].shape)}
    one, two = (
        shown.lines(sweeps.K, run(tmp_path / name, [(record, tables)]))
        for name, tables in (("one", arrays), ("two", other))
    )
    assert [(row.beta, row.tau, row.held_out) for row in one] == [
        (row.beta, row.tau, row.held_out) for row in two
    ]
    assert [row.on for row in one] != [row.on for row in two]


def test_the_k_table_has_a_row_per_method_and_index_and_a_column_per_k(tmp_path: Path) -> None:
    small = swept.cell("rte", grid=Grid((1, 2), swept.BETAS, swept.TAUS))
    (table,) = shown.tables(sweeps.K, run(tmp_path, [*swept.matrix(), small]))
    assert table.columns[3:-2] == ("off", "k = 1", "k = 2", "k = 4", "k = 8")
    assert len(table.rows) == 2 * 2 * (1 + 2) + 1  # MRPC, MNLI matched and mismatched; RTE
    by_task = {row[0]: row for row in table.rows}
    assert [cell == "–" for cell in by_task["RTE"][4:8]] == [False, False, True, True]
    assert [cell == "–" for cell in by_task["MRPC"][4:8]] == [False, True, False, False]


def test_seeds_that_swept_other_settings_are_not_averaged_together(tmp_path: Path) -> None:
    other = Grid(swept.KS, (0.0, 0.5, 1.0), swept.TAUS)
    cells = [swept.cell(seed=0), swept.cell(seed=1), swept.cell(seed=2, grid=other)]
    made = run(tmp_path, cells)
    assert {tuple(row.seeds) for row in shown.lines(sweeps.K, made)} == {(0, 1), (2,)}
    assert [row[-1] for row in shown.tables(sweeps.K, made)[0].rows] == ["2", "1"]


def test_each_seed_stands_at_its_own_k_and_every_choice_is_marked_once(tmp_path: Path) -> None:
    cells = [swept.cell(seed=seed) for seed in range(5)]
    made = run(tmp_path, cells)
    rows = shown.lines(sweeps.BETA_TAU, made)
    assert sum(row.chosen_by for row in rows) == 5
    chosen = [record.retrieval.chosen for record, _ in cells if record.retrieval]
    for row in rows:
        assert row.chosen_by == [(c.tau, c.beta) for c in chosen].count((row.tau, row.beta))
        at = swept.TAUS.index(row.tau), swept.BETAS.index(row.beta)
        values = [
            arrays["sweep.dev"][at[0], swept.KS.index(choice.k), at[1]]
            for (_, arrays), choice in zip(cells, chosen, strict=True)
        ]
        assert row.on.mean == pytest.approx(np.mean(values))
    marked = {
        (line["tau"], name)
        for line in shown.cells(shown.tables(sweeps.BETA_TAU, made)[0])
        for name, cell in line.items()
        if "*" in cell
    }
    assert marked == {(f"{choice.tau:g}", f"beta = {choice.beta:g}") for choice in chosen}


def test_taus_that_score_the_same_are_one_row_that_keeps_the_choices(tmp_path: Path) -> None:
    cells = []
    for seed in range(2):
        _, arrays = swept.cell(seed=seed)
        flat = {name: np.repeat(values[:1], len(values), axis=0) for name, values in arrays.items()}
        cells.append(swept.cell(seed=seed, tables=flat))
    (table,) = shown.tables(sweeps.BETA_TAU, run(tmp_path / "flat", cells))
    (row,) = table.rows
    assert row[4] == "any"
    assert "it changes no score" in table.notes[-1]
    chosen = {record.retrieval.chosen.beta for record, _ in cells if record.retrieval}
    betas = [beta for beta, cell in zip(swept.BETAS, row[5:], strict=False) if "*" in cell]
    assert betas == sorted(chosen)
    (apart,) = shown.tables(sweeps.BETA_TAU, run(tmp_path / "apart", [swept.cell()]))
    assert [row[4] for row in apart.rows] == [f"{tau:g}" for tau in swept.TAUS]


def test_a_first_index_that_failed_is_not_replaced_by_the_next(tmp_path: Path) -> None:
    cells = [swept.cell(seed=seed, backend=b) for b in ("exact", "hnswlib") for seed in (0, 1)]
    broken = [
        (factory.failed(record, "no"), {}) if "exact" in record.key else (record, arrays)
        for record, arrays in cells
    ]
    made = run(tmp_path, broken)
    assert {row.index for row in shown.lines(sweeps.BETA_TAU, made)} == {"hnswlib"}
    (table,) = shown.tables(sweeps.BETA_TAU, made)
    assert table.rows == ()
    assert "has not finished" in table.notes[0]


@pytest.mark.parametrize("section", [sweeps.K, sweeps.BETA_TAU])
def test_a_run_copied_without_arrays_has_no_table_and_no_complaint(
    section: shown.RunSection, tmp_path: Path
) -> None:
    made = shown.inputs(tmp_path, factory.matrix())
    assert shown.tables(section, made) == []
    assert made.problems == ()
