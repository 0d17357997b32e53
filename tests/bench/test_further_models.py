"""Models that a method's settings name: checked by the plan, and part of the student's key."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from reaugkd.errors import ModelError
from reaugkd.models import spec as model_spec
from tests.bench import checkpoints, runs

pytestmark = pytest.mark.usefixtures("nothing_trains")


def plan(folder: Path, *chain: Any) -> Any:
    """The one cell of ``takd`` with a chain of assistants."""
    settings = {"takd": {"chain": list(chain)}}
    (planned,) = runs.plan(folder, methods=["takd"], settings=settings)
    return planned


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/no/such/model", "model '/no/such/model' of takd: no model at /no/such/model"),
        ("techer", "model 'techer' of takd: cannot load the tokenizer of 'techer'"),
        ("pretrained@0,9", "model 'pretrained@0,9' of takd: .* layers 0 to 1"),
        ("teacher@2", "model 'teacher@2' of takd: .* layers 0 to 1"),
    ],
)
def test_a_mistake_shows_before_anything_trains(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=words):
        plan(tmp_path, name)


def test_a_model_that_reads_too_little_is_named(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path / "short")
    with pytest.raises(ModelError, match=r"the model '.*short' of takd reads 64 tokens"):
        runs.plan(
            tmp_path,
            methods=["takd"],
            settings={"takd": {"chain": [str(folder)]}},
            data__max_length=100,
            teacher__model__config__max_position_embeddings=128,
            student__model__config__max_position_embeddings=128,
        )


def test_a_chain_that_cannot_be_is_skipped_with_its_reason(tmp_path: Path) -> None:
    assert "no depth lies strictly between" in plan(tmp_path, "auto").skip  # 2 layers and 1
    assert "the teacher has only 2" in plan(tmp_path, 3).skip
    assert plan(tmp_path, 2, "teacher@0").skip is None


@pytest.mark.slow
def test_the_content_of_a_named_model_decides_the_key(tmp_path: Path) -> None:
    first = checkpoints.write(tmp_path / "a", seed=1)
    copy = shutil.copytree(first, tmp_path / "b")
    other = checkpoints.write(tmp_path / "c", seed=2)
    identities = [plan(tmp_path, str(folder)).identity for folder in (first, copy, other)]
    assert identities[0]["models"] == identities[1]["models"] != identities[2]["models"]
    shutil.rmtree(copy)
    shutil.copytree(other, copy)  # the same name, another content
    model_spec._files.cache_clear()  # as in a new process
    changed = plan(tmp_path, str(copy))
    assert changed.identity["models"] == identities[2]["models"]
    assert changed.identity["settings"] == identities[1]["settings"]
