"""No setting of a run is left out of its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench import layers, settings
from bench.records.results import Results
from bench.report.inputs import RunInputs
from bench.report.sections.settings import METHODS, SECTION, leaves
from bench.report.table import EMPTY
from tests.bench.report import factory
from tests.bench.report.shown import titled

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: st.dictionaries(st.text("abc", min_size=1, max_size=3), below, max_size=3),
    max_leaves=12,
)


def count(tree: Any) -> int:
    return sum(map(count, tree.values())) if isinstance(tree, dict) and tree else 1


def rows(run: dict[str, Any]) -> list[tuple[str, ...]]:
    made = RunInputs(Results(Path(), run, (), 0, ()))
    return [row for table in titled(SECTION, made).values() for row in table.rows]


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), TREES, max_size=4))
def test_every_leaf_has_a_row(tree: dict[str, Any]) -> None:
    assert len(leaves(tree)) == sum(map(count, tree.values()))


def test_every_setting_of_a_preset_is_shown_once() -> None:
    config = settings.resolve([layers.read("preset", "mini")]).whole.model_dump(mode="json")
    found = rows({"preset": "mini", "config": config})
    shown = {row[0]: row[2] for row in found}
    assert len(shown) == len(found)
    assert shown["preset"] == "mini"
    assert shown["teacher.recipe.epochs"] == "5"
    assert shown["retrieval.ann"] == "exact, hnswlib, faiss, annoy"
    assert shown["retrieval.controls"] == "false"
    assert shown["data.dir"] == EMPTY
    assert shown.keys() - {"preset"} == leaves(config).keys()


def test_what_differs_for_a_task_stands_below_what_is_for_all() -> None:
    run = {
        "config": {"seeds": [0], "student": {"recipe": {"epochs": 3}}},
        "tasks": {"mrpc": {"seeds": [0], "student": {"recipe": {"epochs": 6}}}},
    }
    assert rows(run) == [
        ("preset", "all", EMPTY),
        ("seeds", "all", "0"),
        ("student.recipe.epochs", "all", "3"),
        ("student.recipe.epochs", "mrpc", "6"),
    ]


def test_a_setting_that_all_tasks_share_is_said_once(tmp_path: Path) -> None:
    records = [
        factory.training(task, method, seed, settings={"tau": tau, "weight": 1})
        for task, tau in (("mrpc", 2), ("stsb", 4))
        for method in ("kd", "rkd")
        for seed in (0, 1)
    ]
    (table,) = titled(METHODS, RunInputs(factory.results(tmp_path, records))).values()
    assert table.rows == tuple(
        (method, *setting)
        for method in ("kd", "rkd")
        for setting in (("tau", "MRPC 2; STS-B 4"), ("weight", "1"))
    )


def test_a_run_without_settings_has_no_tables(tmp_path: Path) -> None:
    assert rows({}) == rows({"command": "x", "config": {}}) == []
    assert not titled(METHODS, RunInputs(factory.results(tmp_path, [])))
