"""``bench run`` with a teacher and a student of different tokenizers, from rows to a classifier."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.records.store import Store
from reaugkd import RetrievalAugmentedClassifier
from reaugkd.models import probe
from reaugkd.models.encoder import Encoder
from reaugkd.tasks import load, mini
from reaugkd.tasks.encode import encode
from tests.bench import checkpoints, runs

Row = tuple[int, ...]
LENGTH, LIMIT = 48, 420
ALL = (
    *("--methods", "all", "--ann", "exact"),
    *("--set", "student.recipe.epochs=2", "--set", "rco.anchors=2"),
)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[int, set[tuple[Row, Row]]]:
    """Size of a vocabulary -> the ids and the padding of all rows its models were handed."""
    seen: dict[int, set[tuple[Row, Row]]] = defaultdict(set)
    forward = Encoder.forward

    def watched(self: Encoder, input_ids: Any, attention_mask: Any, **inputs: Any) -> Any:
        if input_ids is not None:  # or hidden states
            for ids, mask in zip(input_ids.tolist(), attention_mask.sum(dim=1), strict=True):
                row = tuple(ids[: int(mask)]), tuple(ids[int(mask) :])
                seen[self.backbone.config.vocab_size].add(row)
        return forward(self, input_ids, attention_mask, **inputs)

    monkeypatch.setattr(probe, "prove", lambda *_, **__: None)  # its few texts are no rows
    monkeypatch.setattr(Encoder, "forward", watched)
    monkeypatch.setattr("reaugkd.models.probe.prove", lambda *_, **__: None)  # reads made-up rows
    return seen


def rows_of(tokenizer: Any) -> set[Row]:
    """All rows of the small matrix as ``tokenizer`` encodes them."""
    splits = encode(load("follows", limit=LIMIT), tokenizer, LENGTH).values()
    return {tuple(ids) for split in splits for ids in split["input_ids"]}


def check(read: dict[int, set[tuple[Row, Row]]], *tokenizers: Any) -> None:
    """Every model read what its tokenizer makes of the rows, and nothing else."""
    assert set(read) == {len(tokenizer) for tokenizer in tokenizers}
    for tokenizer in tokenizers:
        rows = read[len(tokenizer)]
        assert {ids for ids, _ in rows} == rows_of(tokenizer)
        assert {pad for _, padding in rows for pad in padding} == {tokenizer.pad_token_id}


def test_each_model_reads_its_own_ids_and_the_student_is_exported_with_its_tokenizer(
    read: dict[int, set[tuple[Row, Row]]], tmp_path: Path
) -> None:
    letters = checkpoints.letters()
    student = checkpoints.write(tmp_path / "student", tokenizer=letters)
    flags = ("--student", student, "--methods", "dml,reaugkd", "--ann", "exact", "--limit", LIMIT)
    done = runs.run(tmp_path, *flags)
    assert done.exit_code == 0, done.output
    assert set(runs.statuses(tmp_path / "out").values()) == {"ok"}
    check(read, letters, mini.tokenizer())

    flags = ("--cache", tmp_path / "cache", "--to", tmp_path / "classifier")
    done = runs.bench("export", tmp_path / "out", *flags)
    assert done.exit_code == 0, done.output
    classifier = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "classifier")
    assert classifier.tokenizer.get_vocab() == letters.get_vocab()
    dev = load("follows", limit=LIMIT).tests["dev"].select(range(20))
    pairs = list(zip(dev["text_a"], dev["text_b"], strict=True))
    record = runs.records(tmp_path / "out")["reaugkd exact projected soft"]
    expected = Store(tmp_path / "out").arrays(record.key)["outputs.dev"][:20]
    found = classifier.predict(pairs).probabilities
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_every_method_trains_an_assistant_with_a_third_tokenizer_too(
    read: dict[int, set[tuple[Row, Row]]], tmp_path: Path
) -> None:
    letters = checkpoints.letters()
    student = checkpoints.write(tmp_path / "student", tokenizer=letters)
    third = checkpoints.write(tmp_path / "third", tokenizer=checkpoints.other_tokenizer())
    chain = ("--set", f"takd.chain=['{third}']")
    done = runs.run(tmp_path, "--student", student, "--limit", LIMIT, *ALL, *chain)
    assert done.exit_code == 0, done.output
    assert set(runs.statuses(tmp_path / "out").values()) == {"ok"}
    check(read, letters, mini.tokenizer(), checkpoints.other_tokenizer())
