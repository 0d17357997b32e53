"""Hidden states: what an encoder hands out, and what is cached of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reaugkd.models.encoder import Encoder, keep_layers, random_backbone
from reaugkd.reporter import Silent
from reaugkd.signals import TeacherSignals
from reaugkd.tasks.encode import Encoded
from reaugkd.training.batches import Collator
from reaugkd.training.inference import write_signals
from tests import tiny
from tests.reaugkd.models.test_encoder import FAMILY as SHALLOW

DATA = tiny.splits()
ROWS = Encoded(DATA, 0)
LOUD = {"initializer_range": 0.4}  # else the layers of random weights hardly differ
DEEP = {"distilbert": {"n_layers": 3}}
FAMILY = {k: {**v, **DEEP.get(k, {"num_hidden_layers": 3}), **LOUD} for k, v in SHALLOW.items()}
IDS = torch.tensor([[3, 7, 9, 4, 8], [5, 6, 7, 1, 1]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("family", FAMILY)
def test_state_k_is_the_cls_of_layer_k(family: str, depth: int) -> None:
    """State k is what the model's first k layers end with, for an encoder cut off after them."""
    encoder = Encoder(random_backbone(FAMILY[family], 40, seed=0), 2, "cls").eval()
    states = encoder(IDS, MASK, states=True).states
    shorter = random_backbone(FAMILY[family], 40, seed=0)
    keep_layers(shorter, tuple(range(depth)))
    cut = Encoder(shorter, 2, "cls").eval()
    assert torch.equal(cut(IDS, MASK).embedding, states[:, depth])
    assert not torch.allclose(states[:, depth], states[:, depth + 1], atol=1e-2)


@pytest.mark.parametrize("family", FAMILY)
def test_first_state_is_the_embeddings_and_last_the_cls_pooled_embedding(family: str) -> None:
    encoder = Encoder(random_backbone(FAMILY[family], 40, seed=0), 2, "cls").eval()
    output = encoder(IDS, MASK, states=True)
    assert output.states.shape == (2, encoder.depth + 1, encoder.width)
    assert torch.equal(output.states[:, -1], output.embedding)
    assert torch.equal(output.states[:, 0], encoder.backbone.embeddings(IDS)[:, 0])


@pytest.mark.parametrize("pooling", ["cls", "pooler", "mean"])
def test_states_are_of_cls_whatever_the_pooling(pooling: str) -> None:
    def states(kind: str) -> torch.Tensor:
        torch.manual_seed(0)
        encoder = Encoder(random_backbone(FAMILY["bert"], 40, seed=0), 2, kind)  # type: ignore[arg-type]
        found: torch.Tensor = encoder.eval()(IDS, MASK, states=True).states
        return found

    assert torch.equal(states(pooling), states("cls"))


@pytest.mark.parametrize("training", [False, True])
def test_asking_for_states_changes_nothing_else(training: bool) -> None:
    encoder = tiny.encoder().train(training)
    torch.manual_seed(3)
    plain = encoder(IDS, MASK)
    torch.manual_seed(3)
    asked = encoder(IDS, MASK, states=True)
    assert torch.equal(plain.logits, asked.logits)
    assert torch.equal(plain.embedding, asked.embedding)
    assert plain.hidden is None
    with pytest.raises(ValueError, match="not asked for hidden states"):
        _ = plain.states


def test_cached_states_are_the_live_ones_in_half_precision(tmp_path: Path) -> None:
    """Rows were encoded sorted by length and come back by row number."""
    encoder = tiny.teacher(**LOUD)
    write_signals(encoder, ROWS, tmp_path, "fp32", Silent(), states=["fit"])
    cached = TeacherSignals.open(tmp_path, "fit")
    assert cached.states is not None
    assert cached.states.dtype == np.float16
    assert cached.states.shape == (48, encoder.depth + 1, encoder.width)
    batch = Collator(DATA["fit"], 0)([5, 40, 3, 17])
    with torch.no_grad():
        live = encoder.eval()(**batch.inputs, states=True)
    kept = cached.batch(batch)
    assert kept.states is not None
    assert kept.states.dtype == torch.float32
    # A half has 11 bits; the summation order of another batch adds a little more.
    assert torch.allclose(kept.states, live.states, rtol=2**-11, atol=1e-5)
    assert not torch.allclose(kept.states, live.states.roll(1, 0), atol=1e-2)
    assert torch.allclose(kept.states[:, -1], kept.embedding, rtol=2**-11, atol=1e-5)
    assert torch.allclose(kept.logits, live.logits, atol=1e-5)


def test_states_are_kept_of_the_named_splits_only(tmp_path: Path) -> None:
    write_signals(tiny.teacher(), ROWS, tmp_path, "fp32", Silent(), states=["fit"])
    dev = TeacherSignals.open(tmp_path, "dev")
    assert dev.states is None
    assert dev.batch(Collator(DATA["dev"], 0)([0, 1])).states is None
    assert TeacherSignals.open(tmp_path, "fit").states is not None


def test_keeping_states_changes_no_other_signal(tmp_path: Path) -> None:
    encoder = tiny.teacher()
    for name, states in (("with", ["fit"]), ("without", [])):
        (tmp_path / name).mkdir()
        write_signals(encoder, ROWS, tmp_path / name, "fp32", Silent(), states=states)
    kept, plain = (TeacherSignals.open(tmp_path / name, "fit") for name in ("with", "without"))
    assert np.array_equal(kept.logits, plain.logits)
    assert np.array_equal(kept.embedding, plain.embedding)
