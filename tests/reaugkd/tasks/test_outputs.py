"""What a black-box teacher said, from files of every kind, and what is not believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reaugkd.errors import DataError, UserError
from reaugkd.tasks import get_task
from reaugkd.tasks.output_files import files
from reaugkd.tasks.outputs import LEAST, TeacherOutputs, read

TASK = get_task("follows")  # follows, open, contradicted
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5], [0.0, 0.0, 1.0]])
E = np.array([[1.0, 2.0], [0.5, 0.0], [3.0, 1.0], [0.0, 1.0]])


def write(path: Path, **columns: Any) -> Path:
    """A file of ``columns``, each a list or an array, in the format of its suffix."""
    if path.suffix == ".npz":
        np.savez(path, **{name: np.asarray(values) for name, values in columns.items()})
        return path
    plain = {name: np.asarray(v).tolist() if len(v) else [] for name, v in columns.items()}
    frame = pd.DataFrame(plain)
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    return path


def spread(prefix: str, table: np.ndarray, names: Any = None) -> dict[str, Any]:
    return {f"{prefix}{name}": table[:, at] for at, name in enumerate(names or range(len(table)))}


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(float))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv", "npz"])
def test_every_format_says_the_same(suffix: str, tmp_path: Path) -> None:
    columns = {"idx": [3, 1, 0, 2], **spread("p_", P, range(3)), **spread("e_", E, range(2))}
    given = read(write(tmp_path / f"x.{suffix}", **columns), TASK)
    assert given.logits.dtype == np.float32
    np.testing.assert_allclose(softmax(given.logits), P, atol=2 * LEAST)
    assert given.embedding is not None
    np.testing.assert_allclose(given.embedding, E)
    assert given.ids is not None
    assert given.ids.tolist() == [3, 1, 0, 2]
    assert given.note is None


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "npz"])
def test_lists_say_what_columns_say(suffix: str, tmp_path: Path) -> None:
    given = read(write(tmp_path / f"x.{suffix}", probabilities=P, embeddings=E), TASK)
    other = read(write(tmp_path / "y.csv", **spread("p_", P, range(3))), TASK)
    assert np.array_equal(given.logits, other.logits)
    assert given.embedding is not None
    assert given.ids is other.embedding is None


def test_classes_by_name_are_put_in_the_order_of_the_task(tmp_path: Path) -> None:
    order = [2, 0, 1]
    names = [TASK.labels[at].title() for at in order]
    by_column = read(write(tmp_path / "x.csv", **spread("p_", P[:, order], names)), TASK)
    rows = [dict(zip(names, row.tolist(), strict=True)) for row in P[:, order]]
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"probabilities": row}) + "\n" for row in rows))
    by_field = read(path, TASK)
    plain = read(write(tmp_path / "y.npz", probabilities=P), TASK)
    assert np.array_equal(by_column.logits, plain.logits)
    assert np.array_equal(by_field.logits, plain.logits)
    assert by_column.note is not None
    assert "mapped by name" in by_column.note


def test_more_than_ten_classes_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    task = get_task("mnli").__class__(
        "t", "t", "own", False, tuple("abcdefghijkl"), ("accuracy",), "accuracy"
    )
    logits = np.arange(24.0).reshape(2, 12)
    given = read(write(tmp_path / "x.csv", **spread("logit_", logits, range(12))), task)
    assert np.array_equal(given.logits, logits)


def test_logits_stand_as_they_are_and_win(tmp_path: Path) -> None:
    logits = np.array([[3.0, -1.0, 40.0]] * 4)
    given = read(write(tmp_path / "x.parquet", probabilities=P, logits=logits, label=[0] * 4), TASK)
    assert np.array_equal(given.logits, logits)


def test_labels_alone_are_one_hot_and_finite(tmp_path: Path) -> None:
    by_name = read(write(tmp_path / "x.csv", label=[TASK.labels[2], TASK.labels[0]]), TASK)
    by_id = read(write(tmp_path / "y.csv", label=[2, 0]), TASK)
    assert np.array_equal(by_name.logits, by_id.logits)
    np.testing.assert_allclose(softmax(by_id.logits), np.eye(3)[[2, 0]], atol=3 * LEAST)


def test_a_regression_takes_scores(tmp_path: Path) -> None:
    task, scores = get_task("alike"), np.array([1.5, 4.0])
    for columns in ({"logits": scores}, {"label": scores}, {"logits": scores[:, None]}):
        given = read(write(tmp_path / "x.parquet", **columns), task)
        assert np.array_equal(given.logits, scores[:, None])
    with pytest.raises(DataError, match="regression"):
        read(write(tmp_path / "x.parquet", probabilities=P), task)


def without(table: np.ndarray, row: int, value: float) -> np.ndarray:
    changed = table.copy()
    changed[row, 0] = value
    return changed


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"probabilities": without(P, 2, 0.26)}, "row 2: probabilities sum to 1.01"),
        ({"probabilities": without(P, 1, -0.1)}, "row 1: probabilities are between 0 and 1"),
        ({"probabilities": without(P, 3, np.nan)}, "row 3: probabilities is not finite"),
        ({"logits": without(P, 0, np.inf)}, "row 0: logits is not finite"),
        ({"probabilities": P[:, :2]}, "of 2 classes, mini-follows has 3 (follows, open"),
        ({**spread("p_", P, ["follows", "open", "x"])}, "follows, open, x"),
        ({"label": ["open", "closed"]}, "row 1: expected a label among follows"),
        ({"probabilities": P, "embeddings": without(E, 1, 0.0)}, "row 1: an embedding of zeros"),
        ({"probabilities": P, **spread("e_", E, [1, 2])}, "e_0, e_1, ... without a gap"),
        ({"probabilities": P, "idx": [0, 1, 1, 2]}, "row 2: idx 1 stands there a second time"),
        ({"probabilities": P, "idx": [0, -1, 1, 2]}, "row 1: idx -1 is negative"),
        ({"probabilities": P, "idx": ["a", "b", "c", "d"]}, "idx holds row numbers"),
        ({"probabilities": ["a"] * 4}, "probabilities holds no numbers"),
        ({"text": ["a"], "prob": [1.0]}, "no column probabilities, logits or label"),
        ({"label": []}, "no rows"),
    ],
)
def test_what_cannot_be_is_told_with_its_place(
    columns: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "said.parquet", **columns)
    with pytest.raises(UserError) as refused:
        read(path, TASK)
    assert words in str(refused.value)
    assert "said.parquet" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.parquet", b"PAR1", "cannot read"),
        ("x.npz", b"no archive", "cannot read"),
        ("x.csv", b"p_0,p_1,p_2\n1,0\n", "cannot read"),
        ("x.csv", b"p_0,p_1,p_2\n1,0,0\n,1,0\n", "row 1: p_0 is missing"),
        ("x.csv", b"\xff\xfe\x00", "x.csv"),
        ("x.csv", b"", "x.csv"),
        ("x.jsonl", b'{"probabilities": [1, 0, 0]}\n{"probabilities": [1, 0]}\n', "row 1: prob"),
        (
            "x.jsonl",
            b'{"probabilities": [1, 0, 0]}\n{"idx": 1}\n',
            "row 1: probabilities is missing",
        ),
        ("x.jsonl", b'{"probabilities": [1,', "cannot read"),
        ("x.xlsx", b"", "outputs are read from .parquet, .jsonl, .csv, .npz"),
    ],
)
def test_a_damaged_file_is_named(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        read(path, TASK)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_arrays_of_other_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", label=np.array([object()]))
    with pytest.raises(DataError, match="cannot read"):
        read(tmp_path / "x.npz", TASK)
    np.savez(tmp_path / "x.npz", probabilities=P, idx=[0])
    with pytest.raises(DataError, match="differ in length: probabilities 4, idx 1"):
        read(tmp_path / "x.npz", TASK)


def outputs(ids: list[int] | None, count: int) -> TeacherOutputs:
    numbers = None if ids is None else np.array(ids)
    return TeacherOutputs(Path("said.csv"), numbers, np.zeros((count, 3), np.float32), None)


def test_rows_are_found_by_their_number_or_by_the_order() -> None:
    wanted = np.array([4, 0, 2])
    assert outputs(None, 5).places(wanted, 5, "train").tolist() == [4, 0, 2]
    assert outputs([2, 4, 0], 3).places(wanted, 5, "train").tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("ids", "count", "words"),
    [
        (None, 4, "said.csv has 4 rows, train has 5"),
        (None, 6, "said.csv has 6 rows, train has 5"),
        ([4, 0, 5], 3, "row 2: there is no idx 5, train has rows 0 to 4"),
        ([4, 1, 3], 3, r"says nothing of row 0 of train \(and of 1 more\)"),
    ],
)
def test_rows_that_do_not_fit_are_named(ids: list[int] | None, count: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        outputs(ids, count).places(np.array([4, 0, 2]), 5, "train")


def test_a_folder_has_a_file_per_split(tmp_path: Path) -> None:
    splits = ("train", "dev")
    with pytest.raises(DataError, match="no outputs of a teacher at"):
        files(tmp_path / "nowhere", splits)
    with pytest.raises(DataError, match=r"no outputs for train: expected one of train\.parquet"):
        files(tmp_path, splits)
    (tmp_path / "train.csv").write_text("")
    (tmp_path / "notes.md").write_text("")
    (tmp_path / "dev.npz").write_text("")
    assert {split: path.name for split, path in files(tmp_path, splits).items()} == {
        "train": "train.csv",
        "dev": "dev.npz",
    }
    assert files(tmp_path / "dev.npz", splits) == {"train": tmp_path / "dev.npz"}
    (tmp_path / "train.parquet").write_text("")
    with pytest.raises(DataError, match="two files for one split"):
        files(tmp_path, splits)
    (tmp_path / "dve.csv").write_text("")
    with pytest.raises(DataError, match="no split 'dve': did you mean 'dev'"):
        files(tmp_path, splits)
