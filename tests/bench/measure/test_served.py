from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.measure import served
from bench.measure.inputs import Inputs
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.models.encoder import Encoder
from reaugkd.reporter import Silent
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.knowledge_base import KnowledgeBase

WANTED = {"method": "reaugkd"}


@pytest.fixture(scope="module")
def store(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    cache = tmp_path_factory.mktemp("cache") / "cache"
    shutil.copytree(finished / "cache", cache)
    return ArtifactStore(cache)


@pytest.fixture(scope="module")
def real(finished: Path, store: ArtifactStore) -> served.Served:
    return served.of_run(finished / "out", WANTED, store, Silent())


def test_a_run_gives_its_student_its_base_and_sentences_that_are_not_in_it(
    real: served.Served,
) -> None:
    source, inputs = real.source, Inputs.load(real.inputs)
    encoder, base = Encoder.from_pretrained(real.student), KnowledgeBase.load(source.folder)
    assert (source.size, source.dim, source.classes) == (*base.keys.shape, base.values.shape[1])
    assert not source.generated
    assert len(inputs) == len(source.queries) == len(source.student)
    assert source.dim == encoder.width
    np.testing.assert_allclose(source.student.sum(axis=1), 1.0, rtol=1e-5)
    batch = inputs.tensors(np.arange(3))
    np.testing.assert_allclose(
        encoder(**batch).embedding.detach().numpy(), source.queries[:3], rtol=1e-4, atol=1e-5
    )


def test_the_backends_of_a_run_are_one_student(
    real: served.Served, finished: Path, store: ArtifactStore
) -> None:
    one = served.of_run(finished / "out", {**WANTED, "backend": "exact"}, store, Silent())
    assert one.source.identity == real.source.identity
    assert one.student == real.student


def test_an_exported_classifier_gives_the_same_queries_as_its_run(
    real: served.Served, store: ArtifactStore, tmp_path: Path
) -> None:
    folder = tmp_path / "exported"
    shutil.copytree(real.student.parent, folder)
    found = served.of_classifier(folder, "follows", None, store)
    assert found.mixture == real.mixture
    assert found.source.size == real.source.size
    classifier = RetrievalAugmentedClassifier.from_pretrained(folder)
    assert found.source.classes == classifier.encoder.outputs
    assert found.source.queries.shape[1] == real.source.dim


def test_a_run_with_several_students_asks_which(finished: Path, store: ArtifactStore) -> None:
    with pytest.raises(UserError, match="one retrieval cell must fit"):
        served.of_run(finished / "out", {"method": "nothing"}, store, Silent())


def test_a_folder_that_is_no_classifier_is_named(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path)):
        served.of_classifier(tmp_path, "follows", None, store)
