"""What a run and a classifier bring: the student, its base, and sentences that are not in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.measure import served
from bench.measure.inputs import Inputs
from bench.measure.options import Options
from bench.measure.subjects import Subject
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.models.encoder import Encoder
from reaugkd.reporter import Silent
from reaugkd.retrieval.knowledge_base import KnowledgeBase


@pytest.fixture(scope="module")
def store(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    cache = tmp_path_factory.mktemp("cache") / "cache"
    shutil.copytree(finished / "cache", cache)
    return ArtifactStore(cache)


def subject(store: ArtifactStore, **values: Any) -> Subject:
    return served.subject(Options.of(threads=(1,), build_threads=1, **values), store, Silent())


@pytest.fixture(scope="module")
def real(finished: Path, store: ArtifactStore) -> Subject:
    return subject(store, run=finished / "out", method="reaugkd", beta=0.5)


def student(of: Subject) -> Path:
    return Path(of.student().path)  # type: ignore[union-attr]  # a folder


def test_a_run_gives_its_student_its_base_and_sentences_that_are_not_in_it(real: Subject) -> None:
    source, inputs = real.source, Inputs.load(real.inputs[0].path)
    encoder, base = Encoder.from_pretrained(student(real)), KnowledgeBase.load(source.folder)
    assert (source.size, source.dim, source.classes) == (*base.keys.shape, base.values.shape[1])
    assert not source.generated
    assert len(inputs) == len(source.queries) == len(source.student)
    assert source.dim == encoder.width
    np.testing.assert_allclose(source.student.sum(axis=1), 1.0, rtol=1e-5)
    batch = inputs.tensors(np.arange(3))
    np.testing.assert_allclose(
        encoder(**batch).embedding.detach().numpy(), source.queries[:3], rtol=1e-4, atol=1e-5
    )


def test_an_exported_classifier_is_measured_as_its_run(
    real: Subject, store: ArtifactStore, tmp_path: Path
) -> None:
    folder = tmp_path / "exported"
    shutil.copytree(student(real).parent, folder)
    other = subject(store, classifier=folder, task="follows", beta=0.5)
    assert (other.ks, other.tau, other.beta) == (real.ks, real.tau, real.beta)
    sizes = [(s.size, s.dim, s.classes) for s in (other.source, real.source)]
    assert sizes[0] == sizes[1]


def test_what_cannot_be_measured_is_told(
    finished: Path, store: ArtifactStore, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="one retrieval cell must fit"):
        subject(store, run=finished / "out", method="nothing")
    with pytest.raises(UserError, match=str(tmp_path)):
        subject(store, classifier=tmp_path, task="follows")
