"""The command of a row, taken apart by the command line itself, asks for that row and no more."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from bench import layers, settings
from bench.cli.main import main
from bench.cli.memory import memory as memory_command
from bench.cli.run import flags
from bench.cli.run import run as run_command
from bench.config import RunConfig
from bench.report import memory
from bench.report.commands import Commands, restricted
from bench.report.document import Report, build
from bench.report.results import load
from bench.report.sectioned import Section
from bench.report.table import Table
from bench.settings import Resolved
from tests.bench.report import factory, test_memory_table

RUN = (
    "bench run --preset glue-minilm --methods all --tasks mrpc,sst2 --tasks=stsb --data_dir GLUE "
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
    given = [layers.read("preset", options["preset"])]
    if options["ablation"]:
        given.append(layers.read("ablation", options["ablation"]))
    given.append(flags(options))
    return settings.resolve([*given, *map(settings.assignment, options["assignments"])])


def report(folder: Path, command: str = RUN, **config: Any) -> Report:
    store = factory.store(folder, factory.matrix())
    found = resolved(command).whole.model_dump(mode="json")
    found["retrieval"] |= config
    store.write_run(store.read_run() | {"command": command, "config": found})
    return build(load(store))


def lines(made: Report, title: str) -> dict[tuple[str, ...], str]:
    """First labels of each row of a table -> its command."""
    commands = Commands(made)
    found = {}
    for section in made.sections:
        for table in section.tables:
            if table.title == title:
                for row in table.rows:
                    if named := commands.row(section, table, row):
                        found[row[: table.labels]] = named[0]
    return found


def but(config: RunConfig, **changes: Any) -> dict[str, Any]:
    return config.model_dump() | changes


def test_a_restricted_command_changes_what_it_restricts_and_nothing_else() -> None:
    whole = resolved(RUN)
    for task in ("mrpc", "stsb"):
        only = {"--methods": ["kd", "rkd"], "--tasks": [task], "--seeds": ["1"], "--ann": ["exact"]}
        found = resolved(restricted(RUN, only))
        assert found.tasks.keys() == {task}
        same = but(whole.tasks[task], methods=("kd", "rkd"), seeds=(1,))
        same["retrieval"] |= {"ann": ("exact",)}
        assert found.tasks[task].model_dump() == same


def test_a_restricted_command_writes_into_a_folder_of_its_own() -> None:
    options = parsed(run_command, restricted(RUN, {"--methods": ["kd"]}))
    assert options["out"] is None
    assert options["overwrite"] == "missing"


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


def test_restricting_twice_is_restricting_once() -> None:
    only = {"--methods": ["kd"], "--ann": ["hnswlib:M=8,ef=20"]}
    once = restricted(RUN, only)
    assert shlex.split(restricted(once, only)) == shlex.split(once)


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
    for (title, method, index), line in lines(made, "Retrieval").items():
        found = resolved(line)
        assert found.whole.tasks == ({"MRPC": "mrpc", "STS-B": "stsb"}[title],)
        assert (found.whole.methods, found.whole.retrieval.ann) == ((method,), (index,))
        assert found.whole.seeds == (0, 1, 2)


def test_one_axis_at_a_time_keeps_all_backends(tmp_path: Path) -> None:
    # The first backend is the reference of the others: without it they would be other cells.
    found = lines(report(tmp_path, design="one-at-a-time"), "Scores")
    for line in found.values():
        assert resolved(line).whole.retrieval.ann == ("exact", "hnswlib")


def test_a_cell_that_failed_has_the_command_of_that_cell(tmp_path: Path) -> None:
    bad = factory.failed(factory.retrieval(seed=1, backend="hnswlib"), "no")
    store = factory.store(tmp_path, [factory.training(seed=1, method="reaugkd"), bad])
    config = resolved(RUN).whole.model_dump(mode="json")
    store.write_run(store.read_run() | {"command": RUN, "config": config})
    (line,) = lines(build(load(store)), "Cells that are not ok").values()
    found = resolved(line).whole
    assert (found.methods, found.tasks, found.seeds) == (("reaugkd",), ("mrpc",), (1,))
    assert found.retrieval.ann == ("hnswlib",)


def test_a_difference_of_two_methods_needs_both(tmp_path: Path) -> None:
    made = report(tmp_path)
    table = Table("t", ("task", "method", "gain"), (("MRPC", "reaugkd - kd", "+1"),), 2)
    named = Commands(made).row(Section("t", "t", (table,)), table, table.rows[0])
    assert named is not None
    assert resolved(named[0]).whole.methods == ("reaugkd", "kd")


@pytest.mark.parametrize("row", [("majority class", "x"), ("nobody", "x"), ("", "x")])
def test_a_row_that_is_of_no_method_and_no_task_has_no_command(
    row: tuple[str, str], tmp_path: Path
) -> None:
    table = Table("t", ("method", "x"), (row,))
    assert Commands(report(tmp_path)).row(Section("t", "t", (table,)), table, row) is None


@pytest.mark.parametrize("command", [None, "", 7, ["bench run"], "python run.py", "bench"])
def test_without_a_known_command_there_is_none_for_a_row(command: Any, tmp_path: Path) -> None:
    made = report(tmp_path)
    made = replace(made, data=made.data | {"run": {"command": command}})
    assert lines(made, "Scores") == {}


def test_a_row_with_cells_of_several_runs_has_a_command_for_each(tmp_path: Path) -> None:
    made = report(tmp_path)
    runs = [
        {"command": f"bench run --methods {methods}", "config": {"methods": methods.split(",")}}
        for methods in ("kd", "reaugkd", "kd,rkd")
    ]
    merged = {"run": {"command": "bench merge c a b", "merged": runs}}
    found = lines(replace(made, data=made.data | merged), "Scores")
    assert found[("kd", "off")] == "bench run --methods kd"  # the same for both runs that have it
    assert found[("reaugkd", "off")] == "bench run --methods reaugkd"
    runs[2]["command"] += " --tasks mrpc"
    found = lines(replace(made, data=made.data | merged), "Scores")
    one, other = found[("kd", "off")].split(" && ")
    assert resolved(one).whole.tasks != resolved(other).whole.tasks == ("mrpc",)


def test_rows_of_weighed_cells_ask_for_that_cell() -> None:
    source = factory.provenance(command="bench memory --bases 10000,mrpc --ann exact,hnswlib")
    records = [test_memory_table.record(b, provenance=source) for b in ("exact", "hnswlib")]
    table = memory.table(records)
    section = Section("memory", "Memory", (table,), records=tuple(records))
    commands = Commands(Report("t", (), (section,), [], {}))
    found = {}
    for row in table.rows:
        named = commands.row(section, table, row)
        assert named is not None
        options = parsed(memory_command, named[0])
        found[row[2]] = (options["bases"], options["ann"], options["k"])
    assert found == {name: (["10000"], [name], [10]) for name in ("exact", "hnswlib")}
