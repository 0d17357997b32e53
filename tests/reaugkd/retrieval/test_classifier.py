"""The classifier: its answers are those of its parts, and it comes back as it was."""

from __future__ import annotations

import copy
import json
import math
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from reaugkd.errors import EmbeddingError, ModelError, UserError
from reaugkd.models.encoder import Encoder, random_backbone
from reaugkd.retrieval import ann, skip
from reaugkd.retrieval.ann.index import MISSING
from reaugkd.retrieval.classifier import SETTINGS, RetrievalAugmentedClassifier
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.mixing import probabilities
from reaugkd.tasks import mini
from tests import tiny
from tests.reaugkd.retrieval.folders import earlier

WIDTH = 16
TEXTS = [
    "the soup was tasty",
    "the waiter",
    "bread",
    "the garden was not gloomy",
    "the bread seemed quite stale",
    "waiter was rude",
]


def encoder(outputs: int = 3) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = random_backbone(tiny.config(), len(mini.tokenizer()), seed=0)
        return Encoder(backbone, outputs).eval()


def condensed(
    spec: str = "exact", outputs: int = 3, dims: int | None = 4, **chosen: Any
) -> RetrievalAugmentedClassifier:
    """That of :func:`classifier` with counts, keys of fewer dimensions and values of 8 bits."""
    model = classifier(spec, outputs)
    full = model.knowledge_base
    counts = np.arange(len(full)) + 1
    base = KnowledgeBase.build(full.keys, full.values, full.ids, counts=counts)
    base = (base if dims is None else base.compressed(dims)).quantised()
    model.index.build(base.keys)
    settings = {"k": 3, "tau": 0.1, "beta": 0.4, "max_length": 16, **chosen}
    return RetrievalAugmentedClassifier(
        model.encoder, model.tokenizer, base, model.index, **settings
    )


def classifier(
    spec: str = "exact",
    outputs: int = 3,
    k: int = 1,
    beta: float = 0.5,
    tau: float = 0.1,
    labels: tuple[str, ...] = (),
    pair: bool | None = None,
) -> RetrievalAugmentedClassifier:
    """A student whose knowledge base holds the embeddings of :data:`TEXTS`, ids 100, 101, ..."""
    student = encoder(outputs)
    values = np.random.default_rng(0).dirichlet(np.ones(outputs), len(TEXTS))
    index = ann.make(spec)
    keys = np.eye(len(TEXTS), WIDTH)
    index.build(keys)
    base = KnowledgeBase.build(keys, values, 100 + np.arange(len(TEXTS)))
    asked = RetrievalAugmentedClassifier(
        student, mini.tokenizer(), base, index, k=1, tau=1.0, beta=0.0, max_length=16
    )
    _, keys = asked.encode(TEXTS)
    index.build(keys)
    base = KnowledgeBase.build(keys, values, base.ids)
    chosen = {"k": k, "tau": tau, "beta": beta, "labels": labels, "pair": pair}
    return RetrievalAugmentedClassifier(
        student, asked.tokenizer, base, index, max_length=16, **chosen
    )


def test_its_own_text_returns_its_label_at_beta_1() -> None:
    model = classifier(beta=1.0)
    prediction = model.predict(TEXTS)
    np.testing.assert_array_equal(prediction.neighbours[:, 0], 100 + np.arange(len(TEXTS)))
    np.testing.assert_allclose(prediction.probabilities, model.knowledge_base.values, atol=1e-7)
    np.testing.assert_allclose(prediction.similarities, 1.0, atol=1e-5)


def test_beta_0_is_the_student_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    model = classifier(beta=0.0)
    monkeypatch.setattr(model.index, "search", None)
    prediction = model.predict(TEXTS)
    logits, _ = model.encode(TEXTS)
    assert prediction.probabilities.tobytes() == probabilities(logits).tobytes()
    assert (prediction.neighbours == MISSING).all()


def test_the_batch_size_and_the_order_do_not_matter() -> None:
    model = classifier(k=3)
    expected = model.predict(TEXTS)
    np.testing.assert_allclose(
        model.predict(TEXTS, batch_size=1).probabilities, expected.probabilities, atol=1e-5
    )
    np.testing.assert_allclose(
        model.predict(TEXTS[::-1], batch_size=2).probabilities,
        expected.probabilities[::-1],
        atol=1e-5,
    )


def test_probabilities_and_labels() -> None:
    prediction = classifier(k=3, labels=("x", "y", "z")).predict(TEXTS)
    np.testing.assert_allclose(prediction.probabilities.sum(axis=1), 1.0, atol=1e-6)
    classes = prediction.probabilities.argmax(axis=1)
    assert prediction.labels.tolist() == [("x", "y", "z")[c] for c in classes]
    np.testing.assert_array_equal(classifier(k=3).predict(TEXTS).labels, classes)


def test_pairs_and_no_text_at_all() -> None:
    model = classifier(k=2)
    pairs = [("the soup", "the bread was stale"), ("bread", "bread"), ("the waiter was", "not")]
    assert model.predict(pairs).probabilities.shape == (3, 3)
    empty = model.predict([])
    assert empty.probabilities.shape == (0, 3)
    assert empty.neighbours.shape == (0, 2)
    with pytest.raises(TypeError, match="not one string"):
        model.predict("the cat runs")


def test_a_shuffled_column_is_answered_in_its_order() -> None:
    model = classifier()
    shuffled = pd.Series(TEXTS).iloc[[3, 1, 5, 0]]
    expected = model.predict(list(shuffled)).probabilities
    np.testing.assert_array_equal(model.predict(shuffled).probabilities, expected)


def test_the_task_tells_sentences_from_pairs(tmp_path: Path) -> None:
    """Also after saving; a folder of an earlier version does not know and takes both."""
    classifier(pair=False).save_pretrained(tmp_path / "one")
    one = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "one")
    with pytest.raises(UserError, match="text 0 is a tuple of 2, but the task takes one sentence"):
        one.predict([("the soup", "was awful")])
    with pytest.raises(UserError, match="text 0 is one sentence, but the task takes pairs"):
        classifier(pair=True).predict(TEXTS)
    older = RetrievalAugmentedClassifier.from_pretrained(earlier(tmp_path / "one", pair=None))
    assert older.pair is None
    assert older.predict([("the soup", "was awful")]).labels.shape == (1,)


@pytest.mark.parametrize("size", [0, -1, 2.5, None])
def test_a_batch_size_below_1_is_refused(size: object) -> None:
    with pytest.raises(UserError, match="batch_size must be a whole number of at least 1"):
        classifier().predict(TEXTS, batch_size=size)  # type: ignore[arg-type]


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_padding_side_of_a_tokenizer_decides_nothing(pooling: str) -> None:
    """A text alone has no padding: its embedding is the same beside a longer one."""
    model = classifier()
    model.encoder.pooling = pooling  # type: ignore[assignment]
    expected = model.encode(TEXTS)[1]
    model.tokenizer = copy.deepcopy(model.tokenizer)
    model.tokenizer.padding_side = "left"
    together, alone = model.encode(TEXTS)[1], model.encode(TEXTS[2:3])[1]
    np.testing.assert_array_equal(together, expected)
    np.testing.assert_allclose(alone, together[2:3], atol=1e-6)


def test_logits_that_are_not_finite_are_named_and_not_answered() -> None:
    model = classifier(beta=0.0)
    with torch.no_grad():
        model.encoder.head.bias.fill_(torch.nan)
    with pytest.raises(EmbeddingError, match="logits of text 0 are not finite"):
        model.predict(TEXTS)


@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss", "annoy"])
def test_a_copy_and_a_pickle_answer_alike_and_share_nothing(spec: str) -> None:
    model = classifier(spec, k=3, labels=("x", "y", "z"), pair=False)
    expected = model.predict(TEXTS)
    copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    with torch.no_grad():
        model.encoder.head.weight.zero_()
    for other in copies:
        assert (other.pair, other.index.threads, other.labels) == (False, 1, ("x", "y", "z"))
        for given, wanted in zip(other.predict(TEXTS), expected, strict=True):
            np.testing.assert_array_equal(given, wanted)


def test_regression_mixes_scores() -> None:
    model = classifier(outputs=1, beta=1.0)
    prediction = model.predict(TEXTS)
    np.testing.assert_allclose(prediction.labels, model.knowledge_base.values[:, 0], atol=1e-6)


@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss:Flat", "annoy"])
def test_saved_and_loaded_it_gives_the_same_answers(tmp_path: Path, spec: str) -> None:
    model = classifier(spec, k=3, labels=("x", "y", "z"))
    expected = model.predict(TEXTS)
    model.save_pretrained(tmp_path / "model")
    assert (tmp_path / "model" / "index").exists() == (spec != "exact")
    loaded = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "model", threads=2)
    assert loaded.index.threads == 2
    for given, wanted in zip(loaded.predict(TEXTS), expected, strict=True):
        np.testing.assert_array_equal(given, wanted)
    loaded.save_pretrained(tmp_path / "model")  # over what it is mapped to
    again = RetrievalAugmentedClassifier.from_pretrained(str(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict(TEXTS).probabilities, expected.probabilities)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss"])
def test_a_small_base_is_saved_and_loaded_bit_for_bit(
    tmp_path: Path, spec: str, outputs: int
) -> None:
    alone = classifier(outputs=outputs, beta=0.0).predict(TEXTS).student
    above = float(np.median(skip.margins(alone))) if outputs > 1 else math.inf
    model = condensed(spec, outputs, weigh=True, skip_above=above)
    expected = model.predict(TEXTS)
    assert expected.asked.all() == (outputs == 1)
    assert expected.asked.any()
    skipped = ~expected.asked
    assert (expected.neighbours[skipped] == MISSING).all()
    assert expected.probabilities[skipped].tobytes() == expected.student[skipped].tobytes()
    model.save_pretrained(tmp_path)
    json.loads((tmp_path / SETTINGS).read_text(), parse_constant=pytest.fail)  # infinity is no JSON
    loaded = RetrievalAugmentedClassifier.from_pretrained(tmp_path)
    assert (loaded.weigh, loaded.skip_above) == (True, above)
    for other in (loaded, copy.deepcopy(model)):
        for given, wanted in zip(other.predict(TEXTS), expected, strict=True):
            np.testing.assert_array_equal(given, wanted)


def test_counts_weigh_only_where_they_shall() -> None:
    weighs, does_not = (condensed(dims=None, weigh=weigh) for weigh in (True, False))
    assert not np.array_equal(*(m.predict(TEXTS).probabilities for m in (weighs, does_not)))
    plain = classifier(k=3, beta=0.4)
    expected = plain.predict(TEXTS).probabilities
    plain.weigh = True  # without counts every entry stands for one row
    np.testing.assert_array_equal(plain.predict(TEXTS).probabilities, expected)


def test_a_folder_of_an_earlier_version_asks_always_and_weighs_nothing(tmp_path: Path) -> None:
    model = classifier(k=3, beta=0.4)
    model.save_pretrained(tmp_path)
    folder = earlier(tmp_path, weigh=None, skip_above=None)
    older = RetrievalAugmentedClassifier.from_pretrained(folder)
    assert (older.weigh, older.skip_above) == (False, math.inf)
    expected = model.predict(TEXTS)
    assert expected.asked.all()
    for given, wanted in zip(older.predict(TEXTS), expected, strict=True):
        np.testing.assert_array_equal(given, wanted)
    earlier(tmp_path, skip_above="often")
    with pytest.raises(UserError, match="describes no classifier"):
        RetrievalAugmentedClassifier.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "part",
    [SETTINGS, "student/config.json", "knowledge_base/knowledge_base.json", "index/index.bin"],
)
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    classifier("hnswlib").save_pretrained(tmp_path)
    (tmp_path / part).unlink()
    with pytest.raises(UserError, match=str(tmp_path)):
        RetrievalAugmentedClassifier.from_pretrained(tmp_path)


def test_settings_of_something_else_are_named(tmp_path: Path) -> None:
    (tmp_path / SETTINGS).write_text(json.dumps({"k": 1}))
    with pytest.raises(UserError, match="describes no classifier"):
        RetrievalAugmentedClassifier.from_pretrained(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        classifier().save_pretrained(tmp_path / "file")


def test_parts_that_do_not_fit_are_refused() -> None:
    model = classifier()
    parts = {
        "encoder": model.encoder,
        "tokenizer": model.tokenizer,
        "knowledge_base": model.knowledge_base,
        "index": model.index,
        **{"k": 1, "tau": 0.1, "beta": 0.5},
    }
    other = ann.make("exact")
    other.build(np.eye(3, WIDTH))
    for change, error, message in (
        ({"encoder": encoder(2)}, ModelError, "with 2 outputs cannot use"),
        ({"index": other}, ModelError, "the index holds 3 vectors"),
        ({"labels": ("a",)}, ModelError, "1 label names for 3 outputs"),
        ({"k": 7}, UserError, "k = 7 is larger than the 6 entries"),
        ({"beta": 2.0}, UserError, "beta must be"),
        ({"tau": 0.0}, UserError, "tau must be"),
        ({"skip_above": -1.0}, UserError, "skip_above must be a margin"),
        (
            {"knowledge_base": model.knowledge_base.compressed(4)},
            ModelError,
            "the index holds 6 vectors of width 16, the knowledge base 6 of width 4",
        ),
    ):
        with pytest.raises(error, match=message):
            RetrievalAugmentedClassifier(**{**parts, **change})


def test_an_index_of_another_knowledge_base_is_refused(tmp_path: Path) -> None:
    """Of the same size and width: nothing but its checksum tells."""
    first = classifier(spec="hnswlib")
    base = first.knowledge_base
    flipped = KnowledgeBase.build(base.keys[::-1], base.values, base.ids)
    index = ann.make("hnswlib")
    index.build(flipped.keys)
    second = RetrievalAugmentedClassifier(
        first.encoder, first.tokenizer, flipped, index, k=2, tau=0.1, beta=0.5
    )
    first.save_pretrained(tmp_path / "first")
    second.save_pretrained(tmp_path / "second")
    condensed("hnswlib", dims=None).save_pretrained(tmp_path / "condensed")  # equal keys
    for ours, other in (("condensed", "first"), ("first", "second"), ("second", "condensed")):
        shutil.rmtree(tmp_path / ours / "index")
        shutil.copytree(tmp_path / other / "index", tmp_path / ours / "index")
        earlier(tmp_path / ours)
        with pytest.raises(UserError, match="another knowledge base"):
            RetrievalAugmentedClassifier.from_pretrained(tmp_path / ours)
