"""A folder is loaded as it was saved or refused by name, and nothing in it is unpickled."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from reaugkd.artifacts import sealed
from reaugkd.errors import UserError
from reaugkd.retrieval import ann, sound
from reaugkd.retrieval.ann.index import PAYLOAD
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.saved import CARD
from tests.reaugkd.retrieval.folders import earlier
from tests.reaugkd.retrieval.test_classifier import TEXTS, classifier
from tests.reaugkd.retrieval.test_editable import assert_same_answers, editable

BACKENDS = ["exact", "hnswlib", "faiss", "annoy", "usearch", "svs:f32", "voyager", "auto"]

KINDS = {"README.md", "classifier.json", "checksums.json", "facts.json"} | {
    "student/config.json",
    "student/encoder.json",
    "student/head.safetensors",
    "student/model.safetensors",
    "student/tokenizer.json",
    "student/tokenizer_config.json",
    "knowledge_base/knowledge_base.json",
    "knowledge_base/knowledge_base.safetensors",
    "texts/texts.json",
    "texts/texts.jsonl",
}


@pytest.fixture(scope="module")
def hnswlib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that was saved with all that there can be."""
    folder = tmp_path_factory.mktemp("saved")
    editable("hnswlib").save_pretrained(folder, license="mit")
    return folder


@pytest.fixture
def saved(hnswlib: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(hnswlib, tmp_path / "model"))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def load(folder: Path) -> RetrievalAugmentedClassifier:
    return RetrievalAugmentedClassifier.from_pretrained(folder)


def is_pickled(path: Path) -> bool:
    """Whether a file is a pickle (protocol 2 and later), or a zip that may hold some."""
    start = path.read_bytes()[:2]
    return start == b"PK" or (start[0] == 0x80 and 2 <= start[1] <= 5)


@pytest.mark.parametrize("spec", BACKENDS)
def test_every_file_of_every_backend_is_of_a_known_kind(spec: str, tmp_path: Path) -> None:
    if (library := spec.partition(":")[0]) in ("usearch", "svs", "voyager"):
        pytest.importorskip(library)
    model = classifier(spec)
    model.texts = {100: (TEXTS[0],)}
    model.save_pretrained(tmp_path, license="mit")
    index = set() if model.index.instant else {f"index/{PAYLOAD}", "index/index.json"}
    assert files(tmp_path) == KINDS | index
    for path in tmp_path.rglob("*.json*"):
        lines = path.suffix == ".jsonl"
        for text in path.read_text().splitlines() if lines else [path.read_text()]:
            json.loads(text)
    for path in tmp_path.rglob("*.safetensors"):
        load_file(path)
    assert not any(map(is_pickled, tmp_path.rglob("*.bin")))


class Harm:
    """An object that does something when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("harm"),)


def planted() -> bytes:
    """An .npy file whose one element is pickled."""
    content = io.BytesIO()
    np.save(content, np.array([Harm()], object), allow_pickle=True)
    return content.getvalue()


def test_a_pickle_in_an_array_of_an_index_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        np.load(io.BytesIO(planted()))
    index = ann.make("exact")
    index.build(np.eye(3))
    index.save(tmp_path / "index")
    manifest = {k: v for k, v in sealed.peek(tmp_path / "index", PAYLOAD).items() if k != "payload"}
    sealed.write(
        tmp_path / "index", PAYLOAD, manifest, lambda path: path.write_bytes(planted()) and None
    )
    with pytest.raises(UserError, match="holds no index that exact can read"):
        ann.load(tmp_path / "index")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("known", [True, False], ids=["checksums", "earlier"])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "training_args.pt", "model.pkl"])
def test_a_pickle_beside_or_instead_of_the_weights_is_refused(
    name: str, known: bool, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved)
    (saved / "student" / name).write_bytes(pickle.dumps(Harm()))
    (saved / "student" / "model.safetensors").unlink()
    if not known:
        earlier(saved)
    with pytest.raises(UserError, match=f"{name} may hold pickled objects"):
        load(saved)
    assert not (saved / "harm").exists()


@pytest.mark.parametrize("name", [*sorted(KINDS - {CARD}), f"index/{PAYLOAD}"])
def test_a_changed_byte_of_any_file_is_refused_by_name(name: str, saved: Path) -> None:
    path = saved / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError) as told:
        load(saved)
    assert "\n" not in str(told.value)
    assert str(saved) in str(told.value)
    assert path.name in str(told.value)


SHARDS = {"weight_map": {"a": "../../other.safetensors"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "facts.json").unlink(), r"facts\.json does not exist"),
        (lambda f: (f / "student/chat.jinja").touch(), r"chat\.jinja was not saved with the"),
        (lambda f: (f / "index/more.json").touch(), r"more\.json was not saved with the"),
        (lambda f: (f / "checksums.json").unlink(), r"checksums\.json does not exist"),
        (
            lambda f: (f / "student/a.safetensors.index.json").write_text(json.dumps(SHARDS)),
            r"names '\.\./\.\./other\.safetensors', which is no file beside it",
        ),
    ],
)
def test_missing_additional_and_foreign_files_are_refused(
    saved: Path, change: Callable[[Path], object], message: str
) -> None:
    change(saved)
    with pytest.raises(UserError, match=message):
        load(saved)


def test_a_folder_of_an_earlier_version_answers_alike(saved: Path) -> None:
    (saved / CARD).unlink()
    assert_same_answers(load(earlier(saved)), editable("hnswlib"))
    load(saved).save_pretrained(saved)
    sound.require(saved)
    assert (saved / "checksums.json").exists()
