"""``bench power`` and ``bench run --dry-run --pilot``: what a plan can see, by pilot cells."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from bench.progress import past
from bench.records.results import load
from bench.records.store import Store
from bench.stats import power
from bench.stats.power import Spread
from tests.bench import runs
from tests.bench.test_bad_input import told


def asked(*words: object) -> Any:
    done = runs.bench("power", *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_pilot_put_in_again_sees_what_the_report_calls_detectable(
    carved: Path, tmp_path: Path
) -> None:
    plans = asked(carved / "out", "--rows", 600, "--seeds", 2)["plans"]
    done = runs.bench("report", carved / "out", "--format", "json", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "results.json").read_text())
    told_there = {
        (row["method"], row["retrieval"] != "off", row["baseline"]): row["difference"]["detectable"]
        for row in report["comparisons"]
        if row["split"] == "test"
    }
    assert len(plans) == 3
    for plan in plans:
        at = plan["ours"].split(", ")[0], ", " in plan["ours"], plan["theirs"]
        assert plan["sees"] == pytest.approx(told_there[at], rel=0.1)  # by fewer resamples
        assert plan["cautious"] >= plan["sees"]
        assert plan["chance"] is None


def test_more_rows_and_seeds_see_more_and_needs_are_enough(carved: Path) -> None:
    flags = ("--rows", "1000,4000", "--seeds", "3,6", "--difference", 2, "--power", 0.9)
    found = asked(carved / "out", *flags, "--alpha", 0.01)
    assert (found["power"], found["alpha"], found["difference"]) == (0.9, 0.01, 0.02)
    sees = [plan["sees"] for plan in found["plans"][:4]]
    assert sees[0] > sees[1] > sees[3]
    assert sees[0] > sees[2] > sees[3]
    spreads = {(p["ours"], p["theirs"]): Spread(**p["spread"]) for p in found["pilots"]}
    for need in found["needs"]:
        if need["needed"] is not None:
            n, s = need["needed"], need["number"]
            plan = {"rows": n, "seeds": s} if need["given"] == "seeds" else {"rows": s, "seeds": n}
            spread = spreads[need["ours"], need["theirs"]]
            assert power.detectable(spread, **plan, power=0.9, level=0.01) <= 0.02
    shown = runs.bench("power", carved / "out", *flags).output
    assert "What a plan can see" in shown
    assert "reaugkd, exact - reaugkd" in shown
    assert "What 2.00 points need" in shown
    assert "with a chance of 90 %" in shown


def test_cells_that_cannot_be_used_say_why(finished: Path, carved: Path, tmp_path: Path) -> None:
    shown = runs.bench("power", finished / "out").output
    assert "What a plan can see" not in shown
    assert "one seed: how another would have done is not known" in shown
    assert "bench power --disagreement" in shown
    copytree(carved / "out", tmp_path / "copy")
    for file in (tmp_path / "copy" / "cells").glob("*.npz"):
        file.unlink()
    assert "no outputs beside the cells" in runs.bench("power", tmp_path / "copy").output


def test_without_a_pilot_it_is_the_closed_form(tmp_path: Path) -> None:
    flags = ("--disagreement", 4, "--difference", 0.4, "--rows", 20_000, "--seeds", 5)
    (plan,) = asked(*flags)["plans"]
    spread = power.of_disagreement(0.04, 0.004)
    assert plan["sees"] == power.detectable(spread, 20_000, 5)
    assert plan["cautious"] is None
    (varied,) = asked(*flags, "--seed-sd", 0.5)["plans"]
    assert varied["sees"] > plan["sees"]
    assert varied["chance"] < plan["chance"]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ((), ("RUN", "--disagreement")),
        (("RUN", "--disagreement", 4), ("RUN", "--disagreement")),
        (("RUN", "--seed-sd", 1), ("--seed-sd goes with --disagreement",)),
        (("RUN", "--seeds", "1,3"), ("--seeds 1", "no interval and no test")),
        (("RUN", "--rows", 0), ("--rows 0", "at least 1")),
        (("RUN", "--rows", "many"), ("--rows", "many")),
        (("RUN", "--difference", 0), ("--difference 0", "above 0")),
        (("RUN", "--power", 1), ("--power", "0<x<1")),
        (("RUN", "--task", "folows"), ("unknown task 'folows'", "'follows'")),
        (("RUN", "--baseline", "dk"), ("unknown baseline 'dk'", "'kd'")),
        (("--disagreement", 0.1, "--difference", 1), ("--disagreement 0.1", "--difference")),
        (("no-such-run",), ("no-such-run",)),
    ],
)
def test_bad_input_is_one_line(carved: Path, words: tuple[Any, ...], wrong: Any) -> None:
    told(runs.bench("power", *(carved / "out" if w == "RUN" else w for w in words)), *wrong)


def test_a_dry_run_tells_what_it_can_see_and_how_long_it_takes(
    carved: Path, tmp_path: Path, nothing_trains: None
) -> None:
    plan = ("--test", "train:2000", "--seeds", "3,4,5")
    flags = (*plan, "--ann", "exact", "--methods", "kd,reaugkd")
    done = runs.run(tmp_path, *flags, "--pilot", carved / "out", "--dry-run")
    assert done.exit_code == 0, done.output
    rows = [line for line in done.output.splitlines() if line.startswith("mini-follows test")]
    assert len(rows) == 3
    assert all(" 600 x 2 " in row and " 2,000 " in row for row in rows)
    assert " left, as such cells took on this machine" in done.output
    plain = runs.run(tmp_path, *flags, "--dry-run").output
    assert "What a plan can see" not in plain
    assert "on this machine" not in plain


def test_a_pilot_of_other_tasks_or_machines_tells_nothing(carved: Path, tmp_path: Path) -> None:
    flags = ("--tasks", "tone", "--ann", "exact", "--set", "student.model.config.hidden_size=16")
    done = runs.run(tmp_path, *flags, "--pilot", carved / "out", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "tone: no pilot cells, so what it can see is not known" in done.output
    assert "no estimate of the time: no pilot cell of these models" in done.output
    told(runs.run(tmp_path, "--pilot", carved / "out"), "--pilot goes with --dry-run")
    told(runs.run(tmp_path, "--pilot", "nowhere", "--dry-run"), "nowhere")


def test_only_cells_of_this_machine_and_of_these_models_count(carved: Path) -> None:
    results, config = load(Store(carved / "out")), runs.resolved().tasks["follows"]
    here = results.records[0].provenance
    took = [*past.works(results, here, [config])]
    assert {work.kind for work, _ in took} == {"training", "retrieval", "teacher"}
    assert sum(work.kind == "teacher" for work, _ in took) == 1
    assert all(seconds > 0 and work.size >= 200 for work, seconds in took)
    elsewhere = here.model_copy(update={"cpu": "another"})
    assert [*past.works(results, elsewhere, [config])] == []
    other = runs.resolved(student__model__config__hidden_size=16).tasks["follows"]
    assert [*past.works(results, here, [other])] == []
