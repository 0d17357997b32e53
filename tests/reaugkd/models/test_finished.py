"""A classifier of transformers as it is: its logits, and the vector that they come from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from reaugkd.errors import ModelError
from reaugkd.models.finished import FinishedEncoder, load_classifier
from reaugkd.models.spec import ModelSpec
from tests import tiny

SMALL = tiny.config(vocab_size=40, num_labels=3, max_position_embeddings=64, pad_token_id=1)
FAMILY: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"type_vocab_size": 1},
    "xlm-roberta": {"type_vocab_size": 1},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "electra": {"embedding_size": 8},
    "albert": {"embedding_size": 8},
    "mpnet": {},
    "deberta-v2": {"type_vocab_size": 0, "pooler_hidden_size": 16},
    "mobilebert": {"embedding_size": 8, "true_hidden_size": 16, "intra_bottleneck_size": 16},
    "modernbert": {"global_attn_every_n_layers": 1, "cls_token_id": 2, "sep_token_id": 3},
}
IDS = torch.tensor([[2, 7, 9, 4, 8], [2, 6, 7, 1, 1]])
INPUTS = {
    "input_ids": IDS,
    "attention_mask": (IDS != 1).long(),
    "token_type_ids": torch.tensor([[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]]),
}


def classifier(kind: str = "bert", **fields: Any) -> Any:
    """Random weights that are large enough for logits to differ."""
    config = AutoConfig.for_model(
        kind, **{**SMALL, "initializer_range": 0.3, **FAMILY[kind], **fields}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForSequenceClassification.from_config(config).eval()


def spec(folder: Path) -> ModelSpec:
    return ModelSpec(source=str(folder))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    classifier().save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("kind", FAMILY)
def test_it_says_what_transformers_says_of_every_class(kind: str, tmp_path: Path) -> None:
    classifier(kind).save_pretrained(tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    finished = FinishedEncoder(load_classifier(spec(tmp_path), 40), (2, 0, 1))
    taken = {"input_ids": IDS, "attention_mask": INPUTS["attention_mask"]}
    if kind in ("bert", "electra", "albert", "mobilebert"):  # those that know token types
        taken = INPUTS
    with torch.no_grad():
        wanted, output = plain(**taken).logits, finished(**INPUTS, states=True)
    assert torch.equal(output.logits, wanted[:, [2, 0, 1]])
    assert wanted.std() > 1e-3
    last = finished.head
    assert torch.equal(F.linear(output.embedding, last.weight, last.bias), wanted)
    assert output.embedding.shape == (2, finished.width)
    assert (finished.outputs, finished.depth, output.states.shape[1]) == (3, 2, 3)


def test_the_vector_is_what_the_head_is_known_to_classify() -> None:
    bert, roberta = classifier("bert"), classifier("roberta")
    with torch.no_grad():
        pooled = bert.bert(IDS, INPUTS["attention_mask"]).pooler_output
        first = roberta.roberta(IDS, INPUTS["attention_mask"]).last_hidden_state[:, 0]
        dense = torch.tanh(roberta.classifier.dense(first))
        order = range(3)
        plain = {name: value for name, value in INPUTS.items() if name != "token_type_ids"}
        assert torch.equal(FinishedEncoder(bert, order)(**plain).embedding, pooled)
        assert torch.equal(FinishedEncoder(roberta, order)(**plain).embedding, dense)


@pytest.mark.parametrize("form", ["sharded", "bin", "fp16"])
def test_weights_in_any_form_are_the_same(form: str, saved: Path, tmp_path: Path) -> None:
    model, folder = classifier(), tmp_path / form
    if form == "sharded":
        model.save_pretrained(folder, max_shard_size="10KB")
        assert len(list(folder.glob("*.safetensors"))) > 1
    elif form == "fp16":
        model.half().save_pretrained(folder)
    else:
        shutil.copytree(saved, folder)
        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
    finished = FinishedEncoder(load_classifier(spec(folder), 40), range(3))
    with torch.no_grad():
        output, wanted = finished(**INPUTS).logits, classifier()(**INPUTS).logits
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, wanted, atol=0.02 if form == "fp16" else 0, rtol=0)


def broken(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_no_finished_classifier_is_refused(saved: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(saved).save_pretrained(tmp_path / "headless")
    with pytest.raises(
        ModelError, match=r"has no head of its own: no weights for classifier\.bias"
    ):
        load_classifier(spec(tmp_path / "headless"), 40)
    with pytest.raises(ModelError, match="knows 40 tokens"):
        load_classifier(spec(saved), 41)
    weights = load_file(saved / "model.safetensors")
    name = "bert.encoder.layer.1.output.dense.weight"
    save_file(
        {k: w for k, w in weights.items() if k != name},
        saved / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ModelError, match=f"is not whole: no weights for {name}"):
        load_classifier(spec(saved), 40)
    weights["classifier.weight"][0, 0] = torch.nan
    save_file(weights, saved / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"classifier\.weight has values that are not finite"):
        load_classifier(spec(saved), 40)
    weights["classifier.weight"][0, 0] = 0.0
    save_file(weights, saved / "model.safetensors", {"format": "pt"})
    broken(saved, problem_type="multi_label_classification")
    with pytest.raises(ModelError, match="several labels"):
        load_classifier(spec(saved), 40)
    broken(saved, hidden_size=8)
    with pytest.raises(ModelError, match="cannot load classifier"):
        load_classifier(spec(saved), 40)


def test_a_decoder_that_classifies_every_token_is_refused(tmp_path: Path) -> None:
    config = AutoConfig.for_model(
        "gpt2", vocab_size=40, n_embd=16, n_layer=2, n_head=2, num_labels=3, pad_token_id=1
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    finished = FinishedEncoder(load_classifier(spec(tmp_path), 40), range(3))
    with pytest.raises(ModelError, match="one vector per text"):
        finished(IDS, INPUTS["attention_mask"])
