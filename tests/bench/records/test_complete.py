"""Laws of incomplete records: each is a problem of its own, and no reader meets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.progress.course import Course
from bench.progress.lines import outcome
from bench.records.complete import lacking
from bench.records.results import load
from bench.records.run import Record
from bench.records.store import Problem, Store
from bench.report.build import of_run
from bench.report.inputs import RunInputs
from bench.report.render import markdown
from tests.bench.report import factory
from tests.bench.report.test_attribution import controls

ROOT = Path(__file__).parents[3]
RUNS = [path for place in ("results", "tests/golden") for path in (ROOT / place).glob("*/run.json")]


def student() -> Record:
    made = factory.training("mnli")
    assert made.training is not None
    history = [{"epoch": 1.0, "loss/hard": 0.7, "accuracy": 0.8}]
    return made.model_copy(
        update={"training": made.training.model_copy(update={"history": history})}
    )


KINDS: dict[str, Record] = {
    "training": student(),
    "retrieval": factory.retrieval("mnli", "kd"),
    "control": controls(),
}


def entries(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where anything lies in a JSON document."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    for name, item in value.items() if isinstance(value, dict) else ():
        yield (*path, name)
        yield from entries(item, (*path, name))


def without(content: Any, path: tuple[Any, ...]) -> Any:
    """A copy that lacks what lies at ``path``."""
    made = json.loads(json.dumps(content))
    at = made
    for name in path[:-1]:
        at = at[name]
    del at[path[-1]]
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_lacks_any_one_thing_is_used_by_all_or_named(
    kind: str, tmp_path: Path
) -> None:
    made = KINDS[kind]
    store = factory.store(tmp_path, [made, factory.training("mnli", "reaugkd", 1)])
    path = store.cells / f"{made.key}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    named = set()
    for at in entries(content):
        if at[0] in ("provenance", "identity"):
            continue
        path.write_text(json.dumps(without(content, at)), encoding="utf-8")
        record = store.read(made.key)
        if isinstance(record, Problem):
            named.add(at[1:4])
            continue
        assert isinstance(record, Record)
        outcome(record)
        Course([], [], [record])
        markdown.render(of_run(RunInputs(load(store))))
    assert len(named) > 5


def test_results_of_another_kind_and_choices_on_no_test_split_are_told() -> None:
    none = KINDS["training"].model_copy(update={"training": None})
    assert lacking(none) == "a finished training cell with no results"
    both = KINDS["training"].model_copy(update={"retrieval": KINDS["retrieval"].retrieval})
    assert lacking(both) == "a finished training cell with training and retrieval results"
    base = KINDS["retrieval"].retrieval
    assert base is not None
    choice = base.optimistic.model_copy(update={"selected_on": "held_out"})
    odd = base.model_copy(update={"optimistic": choice})
    assert "held_out is no test split" in str(
        lacking(KINDS["retrieval"].model_copy(update={"retrieval": odd}))
    )


@pytest.mark.parametrize("run", RUNS, ids=lambda path: path.parent.name)
def test_real_records_are_complete_and_as_planned(run: Path) -> None:
    made = load(Store(run.parent))
    assert not [one for one in made.problems if "schema version" not in one.reason]


@pytest.mark.parametrize(
    "change",
    [{"task": "rte"}, {"method": "pkd"}, {"seed": 5}, {"select_on": "f1"}, {"regression": True}],
)
def test_a_record_at_odds_with_its_plan_or_its_task_is_unreadable(
    change: dict[str, Any], tmp_path: Path
) -> None:
    good = [factory.training(), factory.training(method="reaugkd"), factory.retrieval()]
    for number, odd in enumerate((factory.training(seed=1), factory.retrieval(seed=1))):
        store = factory.store(tmp_path / str(number), [*good, odd])
        store.write(odd.model_copy(update=change))
        (name,) = change
        made = of_run(RunInputs(load(store)))
        (file,) = made.data["unusable_files"]
        assert file["file"] == f"{odd.key}.json"
        assert file["reason"].startswith(f"{name}: ")
        assert {cell["key"]: cell["status"] for cell in made.data["cells"]}[odd.key] == "unreadable"
        alone = of_run(RunInputs(load(factory.store(tmp_path / f"{number} alone", good))))
        assert made.data["scores"] == alone.data["scores"]
