"""The command of a row, taken apart by the command line itself, asks for that row and no more."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from bench import layers, settings
from bench.cli.latency import latency as latency_command
from bench.cli.main import main
from bench.cli.memory import memory as memory_command
from bench.cli.run import flags
from bench.cli.run import run as run_command
from bench.records.measurement import LatencyRecord, MemoryRecord
from bench.records.measurements import Measurements
from bench.records.results import load
from bench.report import build
from bench.report.command_line import restricted
from bench.report.commands import Commands, decided
from bench.report.document import Report
from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import METHOD, TASK, Column
from bench.settings import Resolved
from tests.bench.measure import judged
from tests.bench.report import factory, small

RUN = (
    "bench run --preset glue-minilm --methods all --tasks mrpc,sst2 --tasks=stsb "
    "--seeds 0,1,2 --ann exact,hnswlib --set kd.temperature=4 --out DIR --overwrite always"
)


def parsed(command: click.Command, line: str) -> dict[str, Any]:
    """The flags as the command line reads them."""
    words = shlex.split(line)
    assert words[:2] == ["bench", command.name]
    whole = main.make_context("bench", [])
    return command.make_context(str(command.name), words[2:], parent=whole).params


def resolved(line: str) -> Resolved:
    """The settings that a ``bench run`` would have."""
    options = parsed(run_command, line)
    given = [layers.read("preset", options["preset"] or "mini")]
    if options["ablation"]:
        given.append(layers.read("ablation", options["ablation"]))
    given.append(flags(options))
    return settings.resolve([*given, *map(settings.assignment, options["assignments"])])


def report(folder: Path, command: str = RUN, **config: Any) -> Report:
    store = factory.store(folder, factory.matrix())
    found = resolved(command).whole.model_dump(mode="json")
    found["retrieval"] |= config
    store.write_run(store.read_run() | {"command": command, "config": found})
    return build.of_run(RunInputs(load(store)))


def pairs(report: Report, title: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Labels of each row of a table, and its command."""
    commands = Commands(report)
    for part in report.parts:
        for view in (view for view in part.views if view.title == title):
            for row in view.lines(part.frame):
                if named := commands.line(part, view, row):
                    yield tuple(label.cell(row) for label in view.labels), named[0]


def lines(report: Report, title: str) -> dict[tuple[str, ...], str]:
    return dict(pairs(report, title))


def test_a_restricted_command_changes_what_it_restricts_and_nothing_else() -> None:
    whole = resolved(RUN)
    for task in ("mrpc", "stsb"):
        only = {"--methods": ["kd", "rkd"], "--tasks": [task], "--seeds": ["1"], "--ann": ["exact"]}
        line = restricted(RUN, only)
        assert shlex.split(restricted(line, only)) == shlex.split(line)
        settings = resolved(line).tasks
        same = whole.tasks[task].model_dump() | {"methods": ("kd", "rkd"), "seeds": (1,)}
        same["retrieval"] |= {"ann": ("exact",)}
        assert {name: one.model_dump() for name, one in settings.items()} == {task: same}
        options = parsed(run_command, line)  # a folder of its own
        assert (options["out"], options["overwrite"]) == (None, "missing")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("bench run", "bench run --methods kd"),
        ("bench run --methods a --methods b,c", "bench run --methods kd"),
        ("bench run --methods=a -x", "bench run -x --methods kd"),
        ("bench run --dry-run --tasks t", "bench run --tasks t --methods kd"),
        ("bench run --dry_run --out=a/b", "bench run --methods kd"),
        ("bench run --data-dir 'a b'", "bench run --data-dir 'a b' --methods kd"),
        ("bench run --data-dir it's", """bench run --data-dir 'it'"'"'s' --methods kd"""),
        ("bench run --out", "bench run --methods kd"),
    ],
)
def test_what_a_command_says_of_a_flag_is_replaced(command: str, expected: str) -> None:
    assert restricted(command, {"--methods": ["kd"], "--tasks": []}) == expected


def test_rows_of_a_run_ask_for_their_method_task_and_index(tmp_path: Path) -> None:
    made = report(tmp_path)
    scores = lines(made, "Scores")
    assert scores.keys() == {
        ("kd", "off"),
        ("reaugkd", "off"),
        ("reaugkd", "exact"),
        ("reaugkd", "hnswlib"),
    }
    for (method, index), line in scores.items():
        found = resolved(line)
        assert found.whole.methods == (method,)
        assert found.whole.tasks == ("mrpc", "sst2", "stsb")
        assert found.whole.retrieval.ann == (("exact", "hnswlib") if index == "off" else (index,))


TITLES = {"MRPC": "mrpc", "STS-B": "stsb"}


@pytest.mark.parametrize("title", ["Differences from kd", "Retrieval", "Cost of training"])
def test_rows_of_a_task_ask_for_that_task(title: str, tmp_path: Path) -> None:
    for (task, method, *_), line in lines(report(tmp_path), title).items():
        found = resolved(line).whole
        assert (found.methods, found.tasks) == ((method,), (TITLES[task],))
        assert found.seeds == (0, 1, 2)


def test_one_axis_at_a_time_keeps_all_backends(tmp_path: Path) -> None:
    # The first backend is the reference of the others: without it they would be other cells.
    found = lines(report(tmp_path, design="one-at-a-time"), "Scores")
    for line in found.values():
        assert resolved(line).whole.retrieval.ann == ("exact", "hnswlib")


COLUMNS = (TASK, METHOD, Column("index", "index", label=True), Column("seed", "seed", label=True))


def named(made: Report, *labels: Column, **row: Any) -> str | None:
    """The command of one row of a section that there might be."""
    section = small.section([row], labels, methods=lambda row: (row.method or "").split("+"))
    (part,) = small.report(section).parts
    (view,) = part.views
    (line,) = view.lines(part.frame)
    found = Commands(made).line(part, view, line)
    return found[0] if found else None


def test_a_row_asks_for_its_cell_and_a_difference_for_both_methods(tmp_path: Path) -> None:
    row = {"task": "mrpc", "title": "MRPC", "method": "reaugkd", "index": "hnswlib", "seed": 1}
    line = named(report(tmp_path), *COLUMNS, **row)
    assert line is not None
    cell = resolved(line).whole
    assert (cell.methods, cell.tasks, cell.seeds) == (("reaugkd",), ("mrpc",), (1,))
    assert cell.retrieval.ann == ("hnswlib",)
    line = named(report(tmp_path), METHOD, method="reaugkd+kd")
    assert line is not None
    assert resolved(line).whole.methods == ("reaugkd", "kd")


@pytest.mark.parametrize("method", ["majority class", "nobody", ""])
def test_a_row_that_is_of_no_method_and_no_task_has_no_command(method: str, tmp_path: Path) -> None:
    assert named(report(tmp_path), METHOD, method=method) is None


@pytest.mark.parametrize("command", [None, "", 7, ["bench run"], "python run.py", "bench"])
def test_without_a_known_command_there_is_none_for_a_row(command: Any, tmp_path: Path) -> None:
    made = report(tmp_path)
    made = replace(made, about={**made.about, "run": {"command": command}})
    assert lines(made, "Scores") == {}


def test_a_row_with_cells_of_several_runs_has_a_command_for_each(tmp_path: Path) -> None:
    made = report(tmp_path)
    runs = [
        {"command": f"bench run --methods {methods}", "config": {"methods": methods.split(",")}}
        for methods in ("kd", "reaugkd", "kd,rkd")
    ]
    merged = {"run": {"command": "bench merge c a b", "merged": runs}}
    found = lines(replace(made, about={**made.about, **merged}), "Scores")
    assert found[("kd", "off")] == "bench run --methods kd"  # the same for both runs that have it
    assert found[("reaugkd", "off")] == "bench run --methods reaugkd"
    runs[2]["command"] += " --tasks mrpc"
    found = lines(replace(made, about={**made.about, **merged}), "Scores")
    one, other = found[("kd", "off")].split(" && ")
    assert resolved(one).whole.tasks != resolved(other).whole.tasks == ("mrpc",)


def weighed(folder: Path, records: list[LatencyRecord] | list[MemoryRecord]) -> Report:
    store = Measurements(folder)
    store.create()
    for record in records:
        store.write(record)
    return build.of_measurements(MeasuredInputs(store))


def test_rows_of_timed_cells_ask_for_that_cell(tmp_path: Path) -> None:
    line = "bench latency --bases glue --ann exact,hnswlib --batch 1,32 --threads 1,2 --out DIR"
    source = factory.provenance(command=f"{line} --lengths recorded --lengths 32 --max-overhead 1%")
    records = [
        judged.changed(judged.record(key=f"{batch}{lengths[:5]}", provenance=source), **cell)
        for batch in (1, 32)
        for lengths in ("recorded mrpc", "fixed 32")
        for cell in [{"batch": batch, "lengths": lengths}]
    ]
    made = weighed(tmp_path, records)
    cells = {(record.cell.batch, record.cell.lengths): record.cell for record in records}
    for _, command in pairs(made, "Latency of retrieval"):
        options = parsed(latency_command, command)
        (batch,), (lengths,) = options["batch"], options["lengths"]
        kind, _, what = lengths.partition(":")
        cell = cells.pop((batch, f"{kind} {what}" if what else f"fixed {kind}"))
        for flag in ("threads", "k", "precision"):
            assert options[flag] == [getattr(cell, flag)]
        assert options["ann"] == [cell.backend]
        assert options["bases"] == ["mrpc"]
        assert options["max_overhead"] == "1%"
        assert options["out"] is None
    assert not cells


def test_rows_of_weighed_cells_ask_for_that_cell(tmp_path: Path) -> None:
    source = factory.provenance(command="bench memory --bases 10000,mrpc --ann exact,hnswlib")
    weighing = judged.memory()
    records = [
        weighing.model_copy(update={"key": name, "backend": name, "provenance": source})
        for name in ("exact", "hnswlib")
    ]
    commands = lines(weighed(tmp_path, records), "Memory of the knowledge base").values()
    options = [parsed(memory_command, command) for command in commands]
    assert sorted(one["ann"] for one in options) == [["exact"], ["hnswlib"]]
    assert {(*one["bases"], *one["k"]) for one in options} == {(weighing.base, weighing.k)}


def test_a_precision_that_was_left_open_is_said_as_it_was_decided() -> None:
    def run(asked: str, **tasks: tuple[str, str]) -> dict[str, Any]:
        def config(teacher: str, student: str) -> dict[str, Any]:
            models = {"teacher": teacher, "student": student}
            return {role: {"recipe": {"precision": one}} for role, one in models.items()}

        resolved = {task: config(*precisions) for task, precisions in tasks.items()}
        return {"command": RUN, "config": config(asked, asked), "tasks": resolved}

    unlike = decided(run("auto", mrpc=("bf16", "fp32"), sst2=("bf16", "bf16")))
    for task, precisions in {"mrpc": ("bf16", "fp32"), "sst2": ("bf16", "bf16")}.items():
        config = resolved(unlike).tasks[task]
        assert (config.teacher.recipe.precision, config.student.recipe.precision) == precisions
    assert decided(run("bf16", mrpc=("bf16", "bf16"))) == RUN
    assert decided({"command": RUN}) == RUN
