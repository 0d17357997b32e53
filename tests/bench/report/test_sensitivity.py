"""Laws of the ablations: settings are chosen on held-out, whatever the test split says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as arrays_of

from bench.report.document import build
from bench.report.effects import effects
from bench.report.sensitivity import (
    behind_first,
    beta_tau_table,
    by_beta_tau,
    by_k,
    chosen_for_each_k,
    k_table,
)
from bench.report.summary import Summary
from bench.report.sweeps import sweeps
from reaugkd.retrieval.sweep import Grid, choose
from tests.bench.report import factory, swept

shapes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))


@given(shapes.flatmap(lambda shape: arrays_of(np.float64, shape, elements=st.sampled_from([0.8, 0.8 + 1e-13, 0.9]))))  # fmt: skip  # noqa: E501
def test_the_choice_at_one_k_is_that_of_a_run_with_that_k_alone(values: np.ndarray) -> None:
    taus, ks, betas = values.shape
    grid = Grid(tuple(range(1, ks + 1)), tuple(np.arange(betas) / 10), tuple(np.arange(taus) + 0.1))
    at_tau, at_beta = chosen_for_each_k(values)
    for place, k in enumerate(grid.ks):
        alone = choose(values[:, [place]], Grid((k,), grid.betas, grid.taus))
        assert (grid.taus[at_tau[place]], grid.betas[at_beta[place]]) == (alone.tau, alone.beta)


def test_at_the_chosen_k_stands_what_the_record_chose(tmp_path: Path) -> None:
    results = swept.results(tmp_path, swept.matrix([0]))
    rows = {(row.task, row.split, row.method, row.index, row.k): row for row in by_k(sweeps(results)[0])}  # fmt: skip  # noqa: E501
    for effect in effects(results):
        (k,) = effect.k
        row = rows[effect.task, effect.split, effect.method, effect.index, k]
        assert (row.beta, row.tau, row.chosen_k) == (effect.beta, effect.tau, effect.k)
        assert row.on.mean == pytest.approx(effect.on.mean)
        assert row.gain.mean == pytest.approx(effect.gain.mean)
        assert row.off.mean == pytest.approx(effect.off.mean)


def test_over_seeds_are_mean_and_sample_sd_of_paired_scores(tmp_path: Path) -> None:
    cells = [swept.cell(seed=seed) for seed in range(4)]
    for row in by_k(sweeps(swept.results(tmp_path, cells))[0]):
        at_k = swept.KS.index(row.k)
        on, off = [], []
        for (_, arrays), tau, beta in zip(cells, row.tau, row.beta, strict=True):
            dev = arrays["sweep.dev"]
            on.append(dev[swept.TAUS.index(tau), at_k, swept.BETAS.index(beta)])
            off.append(dev[0, 0, 0])
        assert (row.on.mean, row.on.sd) == (pytest.approx(np.mean(on)), pytest.approx(np.std(on, ddof=1)))  # fmt: skip  # noqa: E501
        assert row.gain.sd == pytest.approx(np.std(np.subtract(on, off), ddof=1), abs=1e-12)
        assert (row.on.n, row.seeds) == (4, [0, 1, 2, 3])


def test_no_choice_depends_on_the_test_split(tmp_path: Path) -> None:
    record, arrays = swept.cell()
    other = arrays | {"sweep.dev": np.random.default_rng(1).random(arrays["sweep.dev"].shape)}
    one, two = (
        by_k(sweeps(swept.results(tmp_path / name, [(record, tables)]))[0])
        for name, tables in (("one", arrays), ("two", other))
    )
    assert [(row.beta, row.tau, row.held_out) for row in one] == [
        (row.beta, row.tau, row.held_out) for row in two
    ]
    assert [row.on for row in one] != [row.on for row in two]


def test_one_seed_has_no_sd(tmp_path: Path) -> None:
    found = by_k(sweeps(swept.results(tmp_path, swept.matrix([0])))[0])
    assert {row.on.sd for row in found} == {None}
    assert "±" not in "".join(map("".join, k_table(found).rows))
    assert "One seed" in k_table(found).notes[-1]


def test_the_k_table_has_a_row_per_method_and_index_and_a_column_per_k(tmp_path: Path) -> None:
    small = swept.cell("rte", grid=Grid((1, 2), swept.BETAS, swept.TAUS))
    table = k_table(by_k(sweeps(swept.results(tmp_path, [*swept.matrix(), small]))[0]))
    assert table.columns[3:-2] == ("off", "k = 1", "k = 2", "k = 4", "k = 8")
    assert len(table.rows) == 2 * 2 * (1 + 2) + 1  # MRPC, MNLI matched and mismatched; RTE
    by_task = {row[0]: row for row in table.rows}
    assert [cell == "–" for cell in by_task["RTE"][4:8]] == [False, False, True, True]
    assert [cell == "–" for cell in by_task["MRPC"][4:8]] == [False, True, False, False]


def test_seeds_that_swept_other_settings_are_not_averaged_together(tmp_path: Path) -> None:
    other = Grid(swept.KS, (0.0, 0.5, 1.0), swept.TAUS)
    cells = [swept.cell(seed=0), swept.cell(seed=1), swept.cell(seed=2, grid=other)]
    found = sweeps(swept.results(tmp_path, cells))[0]
    assert {tuple(row.seeds) for row in by_k(found)} == {(0, 1), (2,)}
    assert [row[-1] for row in k_table(by_k(found)).rows] == ["2", "1"]


def test_with_beta_0_every_tau_scores_what_the_student_does(tmp_path: Path) -> None:
    found = sweeps(swept.results(tmp_path, swept.matrix()))[0]
    off = {(row.task, row.split, row.method, row.index): row.off for row in by_k(found)}
    rows = [row for row in by_beta_tau(found) if row.beta == 0]
    assert rows
    for row in rows:
        alone = off[row.task, row.split, row.method, row.index]
        assert row.on.mean == pytest.approx(alone.mean)
        assert row.on.sd == pytest.approx(alone.sd, abs=1e-12)


def test_each_seed_stands_at_its_own_k_and_every_choice_is_marked_once(tmp_path: Path) -> None:
    cells = [swept.cell(seed=seed) for seed in range(5)]
    found = by_beta_tau(sweeps(swept.results(tmp_path, cells))[0])
    assert sum(row.chosen_by for row in found) == 5
    chosen = [record.retrieval.chosen for record, _ in cells if record.retrieval]
    for row in found:
        own = [(one.tau, one.beta) for one in chosen]
        assert row.chosen_by == own.count((row.tau, row.beta))
        scores = [
            arrays["sweep.dev"][
                swept.TAUS.index(row.tau), swept.KS.index(one.k), swept.BETAS.index(row.beta)
            ]
            for (_, arrays), one in zip(cells, chosen, strict=True)
        ]
        assert row.on.mean == pytest.approx(np.mean(scores))
    table = beta_tau_table(found)
    marked = {(row[4], name) for row in table.rows for name, cell in zip(table.columns, row, strict=True) if "*" in cell}  # fmt: skip  # noqa: E501
    assert marked == {(f"{one.tau:g}", f"beta = {one.beta:g}") for one in chosen}


def test_the_table_shows_the_first_index_and_the_records_have_all(tmp_path: Path) -> None:
    made = build(swept.results(tmp_path, swept.matrix()))
    section = next(section for section in made.sections if section.name == "beta-tau")
    assert {row[2] for table in section.tables for row in table.rows} == {"exact"}
    assert {record.index for record in section.records} == {"exact", "hnswlib"}
    splits, settings = 3, len(swept.BETAS) * len(swept.TAUS)
    assert len(made.data["beta_tau"]) == len(section.records) == splits * 2 * 2 * settings


def test_taus_that_score_the_same_are_one_row_that_keeps_the_choices(tmp_path: Path) -> None:
    cells = []
    for seed in range(2):
        _, arrays = swept.cell(seed=seed)
        flat = {name: np.repeat(values[:1], len(values), axis=0) for name, values in arrays.items()}
        cells.append(swept.cell(seed=seed, tables=flat))
    found = by_beta_tau(sweeps(swept.results(tmp_path / "flat", cells))[0])
    (row,) = beta_tau_table(found).rows
    assert row[4] == "any"
    chosen = {record.retrieval.chosen.beta for record, _ in cells if record.retrieval}
    betas = [beta for beta, cell in zip(swept.BETAS, row[5:], strict=False) if "*" in cell]
    assert betas == sorted(chosen)
    told = by_beta_tau(sweeps(swept.results(tmp_path / "told", [swept.cell()]))[0])
    assert [row[4] for row in beta_tau_table(told).rows] == [f"{tau:g}" for tau in swept.TAUS]


def test_a_first_index_that_failed_is_not_replaced_by_the_next(tmp_path: Path) -> None:
    cells = [swept.cell(seed=seed, backend=b) for b in ("exact", "hnswlib") for seed in (0, 1)]
    broken = [
        (factory.failed(record, "no"), {}) if "exact" in record.key else (record, arrays)
        for record, arrays in cells
    ]
    results = swept.results(tmp_path, broken)
    rows = by_beta_tau(sweeps(results)[0])
    assert {row.index for row in rows} == {"hnswlib"}
    shown = behind_first(rows, results)
    assert shown == []
    table = beta_tau_table(shown)
    assert table.rows == ()
    assert "has not finished" in table.notes[0]


def test_what_is_not_a_number_has_no_mean_as_anywhere_else(tmp_path: Path) -> None:
    found, _ = sweeps(swept.results(tmp_path, [swept.cell(seed=seed) for seed in range(2)]))
    broken = [replace(one, off=math.nan) if one.seed == 1 else one for one in found]
    for row in by_k(broken):
        assert row.off == row.gain == Summary(None, None, 2)
        assert row.on.mean is not None
