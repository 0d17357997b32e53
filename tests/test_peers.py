"""Ours and the peers' trainings are one epoch: same rows, weights, objective, number of steps.

Only the tool that needs no library of its own, transformers' Trainer, is asked here; the others
are in ``tests/benchmarks/peers``, by the same laws.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from baselines.kd import KD
from reaugkd.batch import SignalBatch
from reaugkd.training.batches import Collator
from tests.benchmarks.peers import ours, table, toy, trainer
from tests.benchmarks.peers.setting import OBJECTIVE, Setting, as_classifier


@pytest.fixture(scope="module")
def setting() -> Setting:
    return toy.setting()


def test_the_first_loss_is_the_same(setting: Setting, tmp_path: Path) -> None:
    """Without dropout, on the same rows."""
    rows, student = range(toy.BATCH), setting.student().eval()
    batch = Collator(setting.splits["fit"], setting.pad)(rows)
    theirs = trainer.make(setting, tmp_path)
    inputs = theirs.data_collator([setting.their_rows[row] for row in rows])
    with torch.no_grad():
        signals = SignalBatch(setting.teacher(**batch.inputs).logits)
        expected = KD(OBJECTIVE).loss(student(**batch.inputs), signals, batch).total
        loss = theirs.compute_loss(theirs.model.eval(), dict(inputs))
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_every_row_is_seen_once(setting: Setting, tmp_path: Path) -> None:
    batches = list(trainer.make(setting, tmp_path).get_train_dataloader())
    seen = [
        (tuple(ids[mask.bool()].tolist()), int(label))
        for batch in batches
        for ids, mask, label in zip(
            batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True
        )
    ]
    fit = setting.splits["fit"]
    assert Counter(seen) == Counter(
        (tuple(row["input_ids"]), row["label"]) for row in map(fit.__getitem__, range(len(fit)))
    )
    assert len(batches) == setting.steps == 4


def test_an_epoch_of_each_learns_in_as_many_steps(setting: Setting, tmp_path: Path) -> None:
    before = setting.held_out_loss(setting.student())
    assert before == pytest.approx(setting.held_out_loss(as_classifier(setting.student())))
    for tool in (ours, trainer):
        epoch = tool.epoch(setting, tmp_path / tool.__name__)
        assert epoch.steps == setting.steps
        assert epoch.seconds > 0.0
        assert (epoch.preparing > 0.0) == (tool is ours)
        assert setting.held_out_loss(epoch.student) < before


def test_a_table_is_added_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "peers.json"
    shown = table.write("training", [{"tool": "a", "ratio": 1.0}], {"rows": 8}, file)
    table.write("one query", [{"tool": "b", "us": None}], {}, file)
    kept = json.loads(file.read_text())
    assert [(part["what"], part["rows"][0]["tool"]) for part in kept] == [
        ("training", "a"),
        ("one query", "b"),
    ]
    assert kept[0]["of"] == {"rows": 8}
    assert kept[0]["provenance"]["cpu"]
    assert [line.replace(" ", "") for line in shown.splitlines()[::2]] == ["|tool|ratio|", "|a|1|"]
