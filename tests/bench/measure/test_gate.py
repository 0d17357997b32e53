"""The gate passes for one reason only; everything else has its exit code."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure.gate import ERROR, FAILS, HOLDS, UNDECIDED, decide
from bench.records.measurement import Environment, Interval, Times
from bench.records.store import Problem
from bench.report.gate import line, markdown, verdict
from tests.bench.measure.fake_worker import ENVIRONMENT
from tests.bench.measure.judged import (
    cell,
    condensed,
    failed,
    index,
    record,
    result,
    skipping,
)
from tests.bench.report.factory import provenance

LIMIT = 0.03
BROKEN = Problem(Path("measurements/x.json"), "not readable\nas JSON")


def code(*records: Any, problems: tuple[Problem, ...] = (), **more: Any) -> int:
    return decide(records, problems, more.pop("limit", LIMIT), **more).code


def test_the_limit_is_the_gates_own_not_the_records() -> None:
    measured = record(0.02, 0.025, limit=0.03, verdict="holds")
    assert code(measured, limit=0.03) == HOLDS
    assert code(measured, limit=0.01) == FAILS
    between = decide([measured], [], 0.022).cells[0]
    assert between.verdict == "undecided"
    assert "measured against 3%" in (between.reason or "")


def test_without_a_limit_every_cell_is_held_to_its_own() -> None:
    full, few = record(0.01, 0.02), record(0.008, 0.009, key="few", cell=condensed())
    outcome = decide([full, few], [], None)
    assert [(one.limit, one.verdict) for one in outcome.cells] == [
        (0.03, "holds"),
        (0.005, "fails"),
    ]
    assert (outcome.code, outcome.limit) == (FAILS, None)
    assert "2 cells, limits 0.5%, 3%: 1 holds, 1 fails" in verdict(outcome)
    given = decide([full, few], [], 0.03)
    assert (given.code, given.limit) == (HOLDS, 0.03)
    assert decide([full], [], None).limit == decide([], [], None).limit == 0.03


def test_a_mean_is_told_with_what_a_search_costs() -> None:
    seen = record(result=result(0.004, 0.006, skipping=skipping()))
    (one,) = decide([seen], [], 0.01).cells
    assert one.verdict == "holds"  # by the mean, although a search takes 1.25 %
    assert "overhead 0.50% [0.40, 0.60] (mean, 60% skipped; asked 1.25% [1.20, 1.30])" in line(one)
    assert one.content()["skipping"]["share"] == 0.6
    assert "60% skipped" in markdown(decide([seen, record(key="c2")], [], 0.01))


CASES: dict[str, Any] = {
    "held": record(0.01, 0.02),
    "failing": record(0.04, 0.05),
    "undecided": record(0.02, 0.04),
    "dead": failed("killed by signal 9"),
    "skipped": failed("no bf16", status="skipped"),
    "removed": record(cell=cell(beta=0.0)),
    "missed": record(index=index(target_met=False)),
}
ALONE = {
    "held": HOLDS,
    "failing": FAILS,
    "undecided": UNDECIDED,
    "dead": ERROR,
    "skipped": ERROR,
    "removed": ERROR,
    "missed": ERROR,
}
GRAVEST = (FAILS, ERROR, UNDECIDED, HOLDS)


@pytest.mark.parametrize("names", [*itertools.combinations_with_replacement(CASES, 2)])
def test_the_gravest_cell_decides_in_the_order_1_2_3_0(names: tuple[str, str]) -> None:
    expected = min((ALONE[name] for name in names), key=GRAVEST.index)
    assert code(*(CASES[name] for name in names)) == expected
    assert code(*(CASES[name] for name in reversed(names))) == expected


def test_a_damaged_file_is_an_error_unless_a_cell_fails() -> None:
    assert code(CASES["held"], problems=(BROKEN,)) == ERROR
    assert code(problems=(BROKEN,), on_undecided="pass") == ERROR
    assert code(CASES["failing"], problems=(BROKEN,)) == FAILS
    outcome = decide([CASES["held"]], [BROKEN], LIMIT)
    assert outcome.unusable[0].reason == "not readable as JSON"


@pytest.mark.parametrize("name", CASES)
def test_only_undecided_cells_can_be_let_pass(name: str) -> None:
    expected = HOLDS if name == "undecided" else ALONE[name]
    assert code(CASES[name], on_undecided="pass") == expected


def removals() -> dict[str, Any]:
    nothing = Times(p50=0.0, p95=0.0, p99=0.0)
    nan = math.nan
    return {
        "beta 0": record(cell=cell(beta=0.0)),
        "k 0": record(cell=cell(k=0)),
        "empty base": record(cell=cell(size=0)),
        "no added time": record(result=result(0.0, 0.001, added=nothing)),
        "no forward time": record(result=result(0.0, 0.001, forward=nothing)),
        "ratio 0": record(result=result(0.0, 0.0)),
        "negative ratio": record(result=result(-0.02, -0.01)),
        "nan": record(result=result(nan, nan)),
        "nan low": record(result=result(0, 1, ratio=Interval(estimate=0.01, low=nan, high=0.02))),
        "infinite": record(result=result(-math.inf, 0.01)),
        "crossed": record(result=result(0, 1, ratio=Interval(estimate=0.01, low=0.5, high=0.02))),
        "one process": record(result=result(0.01, 0.02, processes=1)),
        "no rounds": record(result=result(0.01, 0.02, rounds=0)),
        "no inputs": record(result=result(0.01, 0.02, inputs=0)),
        "a student that is never asked about": record(
            result=result(0.001, 0.002, skipping=skipping(1.0, asked=None, asked_ratio=None))
        ),
        "no result": record(result=None),
        "no index": record(index=None),
    }


@pytest.mark.parametrize("name", removals())
@pytest.mark.parametrize("on_undecided", ["fail", "pass"])
def test_with_retrieval_removed_nothing_was_measured(name: str, on_undecided: Any) -> None:
    outcome = decide([removals()[name], CASES["held"]], [], LIMIT, on_undecided)
    assert outcome.code == ERROR
    assert outcome.cells[0].verdict == "nothing measured"
    assert outcome.cells[0].reason


def test_an_index_that_missed_its_target_proves_nothing_by_being_fast() -> None:
    missed = index(target_met=False, recall=0.4)
    outcome = decide([record(0.001, 0.002, index=missed)], [], LIMIT)
    assert (outcome.code, outcome.cells[0].verdict) == (ERROR, "off target")
    assert "0.400" in (outcome.cells[0].reason or "")
    assert code(record(0.04, 0.05, index=missed)) == FAILS  # more effort would be slower still


ends = st.one_of(
    st.floats(-0.01, 0.1),
    st.sampled_from([0.0, LIMIT, math.nextafter(LIMIT, 1), math.inf, -math.inf, math.nan]),
)
records = st.builds(
    lambda low, high, beta, k, met, status, added: record(
        low,
        high,
        cell=cell(beta=beta, k=k),
        index=index(target_met=met),
        status=status,
        result=result(low, high, added=Times(p50=added, p95=added, p99=added)),
    ),
    ends,
    ends,
    st.sampled_from([0.5, 0.5, 0.0]),
    st.sampled_from([10, 10, 0]),
    st.sampled_from([True, True, False]),
    st.sampled_from(["ok", "ok", "ok", "failed", "skipped"]),
    st.sampled_from([0.2, 0.2, 0.0]),
)


@given(st.lists(records, max_size=4), st.booleans(), st.sampled_from(["fail", "pass"]))
def test_it_passes_only_if_every_interval_ends_below_the_limit(
    found: list[Any], damaged: bool, on_undecided: Any
) -> None:
    outcome = decide(found, [BROKEN] * damaged, LIMIT, on_undecided)
    assert outcome.code in (HOLDS, FAILS, ERROR, UNDECIDED)
    proof = [one.result.ratio.high <= LIMIT and one.result.ratio.high > 0 for one in found]
    if outcome.code == HOLDS:
        assert found
        assert not damaged
        assert all(one.status == "ok" for one in found)
        assert all(one.cell.beta > 0 and one.cell.k > 0 for one in found)
        assert all(one.result.added.p50 > 0 and one.index.target_met for one in found)
        if on_undecided == "fail":
            assert all(proof)
    if outcome.code == FAILS:
        assert any(one.result.ratio.low > LIMIT for one in found)
    json.dumps(outcome.content(), allow_nan=False)


@given(st.lists(records, max_size=3), records)
def test_one_more_cell_never_turns_a_refusal_into_a_pass(found: list[Any], more: Any) -> None:
    if found and code(*found) != HOLDS:
        assert code(*found, more) != HOLDS


def test_mixed_machines_commits_and_indexes_are_noted() -> None:
    first = record(key="c1", provenance=provenance(commit="aaa", dirty=False))
    second = record(
        key="c2",
        index=index(key="ffff"),
        provenance=provenance(commit="bbb", dirty=True, cpu="Other CPU", cores=8),
    )
    told = decide([first, second], [], LIMIT, tree="aaa").notes
    assert any("2 machines" in note and "Other CPU (8 cores)" in note for note in told)
    assert any("2 commits: aaa, bbb" in note for note in told)
    assert any("1 of 2 cells were not measured at this tree's commit, aaa" in n for n in told)
    assert any("1 of 2 cells were measured with uncommitted" in note for note in told)
    assert decide([first, first], [], LIMIT, tree="aaa").notes == ()


def test_noise_and_load_stand_beside_the_verdict() -> None:
    (one,) = decide([record()], [], 0.03).cells
    assert one.noise is not None
    assert "noise" in line(one)
    busy = Environment(**(ENVIRONMENT | {"load_before": [9.0, 1.0, 1.0]}))
    quiet = Environment(**ENVIRONMENT)
    for environments, told in (([quiet, busy], 1), ([quiet], 0), ([], 0)):
        made = record(result=result(0.005, 0.007, environments=environments))
        found = [note for note in decide([made], [], 0.03).notes if "busy" in note]
        assert len(found) == told
        assert all("9.0" in note for note in found)
