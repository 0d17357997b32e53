"""Who reads by which tokenizer, what is shared, and which keys that decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import DistilBertTokenizer

from bench.pipeline.student import TaskPipeline
from bench.pipeline.workbench import Workbench
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import ModelError
from reaugkd.models.spec import ModelSpec
from reaugkd.reporter import Silent
from reaugkd.tasks import mini
from tests import tiny
from tests.bench import checkpoints, runs


def pipeline(folder: Path, **flags: Any) -> TaskPipeline:
    config = runs.resolved(**flags).tasks["follows"]
    return Workbench(ArtifactStore(folder / "cache"), Silent(), "test").pipeline(config)


def model(folder: Path) -> dict[str, str]:
    return {"source": str(folder)}


@pytest.fixture
def spelling(tmp_path: Path) -> Path:
    """A checkpoint that reads letter by letter."""
    return checkpoints.write(tmp_path / "spelling", tokenizer=checkpoints.letters())


def test_each_reads_the_same_rows_by_its_own_tokenizer(spelling: Path, tmp_path: Path) -> None:
    rows = pipeline(tmp_path, student__model=model(spelling)).rows
    teacher, student = rows.teacher.encoded, rows.student.encoded
    assert (teacher.pad_id, student.pad_id) == (0, len(checkpoints.letters()) - 1)
    for split, texts in rows.data.splits().items():
        few = range(40)
        for encoded, tokenizer in ((teacher, mini.tokenizer()), (student, checkpoints.letters())):
            table = encoded.splits[split]
            assert table["idx"][:] == texts["idx"][:]
            for row, text in zip(table.select(few), texts.select(few), strict=True):
                whole = tokenizer(
                    text["text_a"], text["text_b"], truncation="longest_first", max_length=48
                )
                assert row["input_ids"] == whole["input_ids"]
    assert max(student.splits["fit"]["length"]) == 48 > max(teacher.splits["fit"]["length"])


def test_one_vocabulary_in_two_folders_is_one_reading_with_the_keys_of_one(tmp_path: Path) -> None:
    checkpoints.write(tmp_path / "copy")
    alone = runs.plan(tmp_path)
    copied = runs.plan(
        tmp_path,
        teacher__tokenizer=str(tmp_path / "copy"),
        student__tokenizer=str(tmp_path / "copy"),
    )
    assert [cell.key for cell in copied] == [cell.key for cell in alone]
    rows = pipeline(tmp_path, student__tokenizer=str(tmp_path / "copy")).rows
    assert rows.student is rows.teacher


def test_names_of_inputs_make_no_other_tokenizer(tmp_path: Path) -> None:
    """BERT teaches DistilBERT; the other way round the student has token types of its own."""
    typed, plain = checkpoints.letters(), checkpoints.letters(DistilBertTokenizer)
    for name, tokenizer in (("typed", typed), ("plain", plain)):
        checkpoints.write(tmp_path / name, tokenizer=tokenizer)

    def rows(teacher: str, student: str) -> Any:
        models = {"teacher__model": model(tmp_path / teacher), "data__limit": 400}
        return pipeline(tmp_path, student__model=model(tmp_path / student), **models).rows

    shared, apart = rows("typed", "plain"), rows("plain", "typed")
    assert shared.student is shared.teacher
    assert apart.student is not apart.teacher
    assert "token_type_ids" in apart.student.encoded.splits["fit"].column_names
    assert "token_type_ids" not in apart.teacher.encoded.splits["fit"].column_names


def test_a_tokenizer_decides_the_keys_of_its_readers_alone(spelling: Path, tmp_path: Path) -> None:
    def identities(**flags: Any) -> tuple[Any, Any, Any]:
        made = pipeline(tmp_path, **flags)
        return (
            made.teacher.signals_identity,
            made.student_identity("kd", 0),
            made.student_identity("finetune", 0),
        )

    teacher, kd, finetune = identities()
    same, other_kd, other_finetune = identities(student__tokenizer=str(spelling))
    assert same == teacher
    assert kd["tokenizer"] != other_kd["tokenizer"] == other_finetune["tokenizer"]
    assert other_kd["teacher"] == kd["teacher"]
    third = identities(student__tokenizer="mini", teacher__tokenizer=str(spelling))
    assert third[0] != teacher
    assert third[2]["tokenizer"] == finetune["tokenizer"]


def test_a_stage_with_students_of_random_weights_knows_their_vocabulary(
    spelling: Path, tmp_path: Path
) -> None:
    """The branches of SFTN begin as layers of a student whose embeddings are drawn before them."""
    alike, apart = (
        pipeline(tmp_path, student__tokenizer=name).context("sftn", 0).models
        for name in (None, str(spelling))
    )
    assert alike.student_identity != apart.student_identity
    assert not tiny.same_weights(alike.student(0), apart.student(0))


def test_a_model_that_is_neither_reads_by_what_lies_beside_it(
    spelling: Path, tmp_path: Path
) -> None:
    third = checkpoints.write(tmp_path / "third", tokenizer=checkpoints.other_tokenizer())
    rows = pipeline(tmp_path, student__model=model(spelling)).rows
    for name in ("pretrained@0", "teacher@0"):
        assert rows.reading(ModelSpec.parse(name)) is rows.teacher
    assert rows.reading(ModelSpec(source=str(spelling))).identity == rows.student.identity
    further = rows.reading(ModelSpec.parse(f"{third}@0"))
    assert further.identity["tokenizer"] not in (
        rows.teacher.identity["tokenizer"],
        rows.student.identity["tokenizer"],
    )
    assert rows.reading(ModelSpec.parse(f"{third}@0")) is further


@pytest.mark.parametrize("source", ["teacher", "pretrained"])
def test_a_student_made_of_the_teacher_has_no_tokenizer_of_its_own(
    source: str, tmp_path: Path
) -> None:
    student = {"model": {"source": source, "layers": [0]}, "tokenizer": "mini"}
    with pytest.raises(ModelError, match=r"student\.tokenizer 'mini'.*leave the setting out"):
        runs.plan(tmp_path, student=student)
