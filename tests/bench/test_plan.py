"""The plan: what decides a cell's key and what does not; mistakes show before anything trains."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.cell import Cell
from bench.records.run import SCHEMA
from reaugkd.errors import ModelError, UserError
from reaugkd.tasks import get_task
from tests.bench import checkpoints, runs
from tests.reaugkd.tasks import glue_files

Keys = dict[str, str]
pytestmark = pytest.mark.usefixtures("nothing_trains")


@pytest.fixture
def keys(tmp_path: Path) -> Any:
    """Label of each planned cell -> its key, for the small matrix with flags on top."""

    def make(kind: str | None = None, **flags: Any) -> Keys:
        planned = runs.plan(tmp_path / "cache", **flags)
        return {p.label: p.key for p in planned if kind in (None, p.kind)}

    return make


def test_each_training_cell_comes_before_the_retrieval_cells_on_it(tmp_path: Path) -> None:
    planned = runs.plan(tmp_path, tasks=["follows", "alike"], seeds=[0, 1])
    seen: set[str] = set()
    for cell in (p for p in planned):
        assert (cell.kind == "retrieval") == (cell.needs is not None)
        assert cell.needs is None or cell.needs in seen
        seen.add(cell.key)
    assert len(seen) == len(planned) == 2 * 2 * (3 + 2)


def test_a_backend_named_in_two_ways_is_one_cell(keys: Any) -> None:
    assert keys(retrieval__ann=["faiss", "FAISS", "faiss:"]) == keys(retrieval__ann=["faiss"])


def test_a_backend_that_this_processor_cannot_run_is_skipped_and_refused_as_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("svs")
    monkeypatch.setattr("reaugkd.processor.vendor", lambda: "SomeOtherVendor")
    planned = runs.plan(tmp_path, retrieval__ann=["exact", "svs"])
    skipped = {cell.backend: cell.skip for cell in planned if cell.kind == "retrieval"}
    assert skipped["exact"] is None
    assert "runs on Intel processors only" in str(skipped["svs"])
    with pytest.raises(UserError, match="runs on Intel processors only"):
        runs.plan(tmp_path, retrieval__ann=["svs", "exact"])


@pytest.mark.parametrize(
    "flags",
    [
        {"retrieval__k": [3]},
        {"retrieval__ann": ["faiss:Flat"]},
        {"retrieval__beta": [0.5]},
        {"retrieval__tau": [0.2]},
        {"retrieval__keys": ["student"]},
        {"retrieval__values": ["hard"]},
        {"retrieval__recall_target": 0.9},
    ],
)
def test_retrieval_never_decides_a_student(flags: dict[str, Any], keys: Any) -> None:
    before, after = keys(), keys(**flags)
    training = keys("training")
    assert {name: key for name, key in after.items() if name in training} == training
    assert not set(after.values()) & (set(before.values()) - set(training.values()))


@pytest.mark.parametrize(
    "flags",
    [
        {"device": "cpu"},
        {"threads": 1},
        {"teacher__floor_margin": 0.01},
        {"methods": ["reaugkd", "finetune", "kd"]},
    ],
)
def test_what_decides_no_result_decides_no_key(flags: dict[str, Any], keys: Any) -> None:
    assert keys(**flags) == keys()


@pytest.mark.parametrize(
    "flags",
    [
        {"student__recipe__epochs": 2},
        {"student__recipe__learning_rate": 1e-4},
        {"student__recipe__precision": "bf16"},
        {"student__model__config__hidden_size": 16},
        {"data__limit": 700},
        {"data__split_seed": 1},
        {"data__max_length": 20},
        {"pooling": "mean"},
        {"seeds": [1]},
    ],
)
def test_what_decides_a_student_changes_every_key(flags: dict[str, Any], keys: Any) -> None:
    assert not set(keys(**flags).values()) & set(keys().values())


@pytest.mark.parametrize(
    "flags",
    [
        {"teacher__recipe__epochs": 2},
        {"teacher__seed": 1},
        {"teacher__model__config__hidden_size": 16},
    ],
)
def test_the_teacher_decides_only_what_it_teaches(flags: dict[str, Any], keys: Any) -> None:
    before, after = keys(), keys(**flags)
    assert {name for name in before if before[name] == after[name]} == {"follows finetune seed 0"}


def test_a_methods_setting_decides_that_method(keys: Any) -> None:
    before, after = keys(), keys(settings={"kd": {"temperature": 3.0}})
    assert {name for name in before if before[name] != after[name]} == {"follows kd seed 0"}
    assert keys(settings={"kd": {}}) == before  # a default that is written out changes nothing


def test_folders_do_not_matter_their_content_does(tmp_path: Path, keys: Any) -> None:
    task = get_task("mrpc")
    first, second = tmp_path / "first", tmp_path / "far" / "second"
    glue_files.write_folder(first / "glue", task, 500)
    checkpoints.write(first / "teacher", seed=1)
    checkpoints.write(first / "student", seed=2)
    shutil.copytree(first, second)

    def planned(folder: Path, **flags: Any) -> Keys:
        return keys(  # type: ignore[no-any-return]
            tasks=["mrpc"],
            data__dir=str(folder / "glue"),
            data__limit=450,
            teacher__model={"source": str(folder / "teacher")},
            student__model={"source": str(folder / "student")},
            **flags,
        )

    before = planned(first)
    assert planned(second) == before
    third = shutil.copytree(second, tmp_path / "third")
    checkpoints.write(third / "student", seed=3)
    assert not set(planned(third).values()) & set(before.values())


def test_a_student_made_of_the_teacher_is_planned_without_training_it(keys: Any) -> None:
    first = keys(student__model={"source": "teacher", "layers": [0]})
    assert len(first) == 5
    other = keys(student__model={"source": "teacher", "layers": [0]}, teacher__seed=1)
    assert not set(first.values()) & set(other.values())  # finetune too: it starts from the teacher


@pytest.mark.parametrize(
    ("flags", "kind", "words"),
    [
        (
            {"student__model": {"source": "config", "config": {"hidden_size": 65}}},
            ModelError,
            ("hidden_size", "65"),
        ),
        (
            {"student__model": {"source": "config", "config": {"model_type": "brt"}}},
            ModelError,
            ("brt",),
        ),
        ({"teacher__tokenizer": None}, ModelError, ("teacher.tokenizer",)),
        ({"data__limit": 5}, UserError, ("follows",)),
    ],
)
def test_a_mistake_shows_before_anything_trains(
    flags: dict[str, Any], kind: type[UserError], words: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(kind) as found:
        runs.plan(tmp_path, **flags)
    assert [word for word in words if word not in str(found.value)] == []


def test_a_method_that_cannot_run_is_planned_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "reaugkd.method.ReAugKD.unsupported", lambda _, given: f"not for {given.task.name}"
    )
    planned = runs.plan(tmp_path)
    assert {p.method: p.skip for p in planned} == {
        "finetune": None,
        "kd": None,
        "reaugkd": "not for follows",
    }


def test_who_retrieves_in_training_asks_the_same_base_afterwards(tmp_path: Path) -> None:
    """``knn-kd`` asks nobody; the keys of ``reaugkd-r`` are those that its own head makes."""
    planned = runs.plan(tmp_path, methods=["knn-kd", "reaugkd", "reaugkd-r"])
    retrieving = [cell for cell in planned if cell.kind == "retrieval"]
    assert {cell.method for cell in retrieving} == {"reaugkd", "reaugkd-r"}
    assert {cell.identity["base"]["method"] for cell in retrieving} == {"reaugkd", "reaugkd-r"}
    many = {"knn-kd": {"k": 900}, "reaugkd-r": {"retrieval": {"k": 900}}}
    refused = runs.plan(tmp_path, methods=["reaugkd", *many], settings=many)
    reasons = {cell.method: cell.skip for cell in refused if cell.kind == "training"}
    assert reasons["reaugkd"] is None
    assert "knn-kd.k is 900, but each of the" in str(reasons["knn-kd"])
    assert "reaugkd-r.retrieval.k is 900" in str(reasons["reaugkd-r"])


def test_a_cell_is_plain_json_and_its_identity_makes_its_key(tmp_path: Path) -> None:
    from reaugkd.artifacts import fingerprint

    def same(cell: Cell) -> bool:
        again = Cell.model_validate_json(cell.model_dump_json())
        return again == cell and fingerprint.of_json(again.identity) == cell.key

    planned = runs.plan(tmp_path)
    assert all(map(same, planned))
    assert all(p.identity["schema"] == SCHEMA for p in planned)


def test_a_variant_that_changes_nothing_is_told(tmp_path: Path) -> None:
    same = {"method": "kd", "settings": {"temperature": 2.0}}
    with pytest.raises(
        UserError, match="'follows kd seed 0' and 'follows hot seed 0' are the same"
    ):
        runs.plan(tmp_path, methods=["kd", "hot"], variant={"hot": same})
    hot = {"method": "kd", "settings": {"temperature": 8.0}}
    planned = runs.plan(tmp_path, methods=["kd", "hot"], variant={"hot": hot})
    assert [p.method for p in planned] == ["kd", "hot"]
