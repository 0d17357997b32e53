"""A full disk is told in one line, whoever notices it; nothing dies, what was whole stays whole."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from reaugkd.artifacts import disk, sealed
from reaugkd.artifacts.disk import DiskFullError
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.models.recipe import Recipe
from reaugkd.retrieval import ann
from reaugkd.training import inference
from tests import tiny
from tests.reaugkd.retrieval.test_classifier import classifier

FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    Exception("No space left on device (os error 28)"),
    RuntimeError("Error in faiss::FileIOWriter: fwrite: No space left on device"),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_every_librarys_error_becomes_one_that_names_the_folder(
    error: Exception, tmp_path: Path
) -> None:
    with pytest.raises(DiskFullError, match=f"^disk full: {tmp_path}$"), disk.writing(tmp_path):
        raise error
    behind = RuntimeError("cannot save")
    behind.__cause__ = error
    with pytest.raises(DiskFullError), disk.writing(tmp_path):
        raise behind


def test_a_worker_can_tell_it() -> None:
    error = pickle.loads(pickle.dumps(DiskFullError("disk full: /cache")))
    assert (type(error), str(error)) == (DiskFullError, "disk full: /cache")


def test_other_errors_pass(tmp_path: Path) -> None:
    for error in (OSError(errno.EACCES, "no"), RuntimeError("no"), UserError("no")):
        with pytest.raises(type(error), match="no"), disk.writing(tmp_path):
            raise error


def test_a_folder_without_room_is_seen_whatever_the_library_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(file: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", nothing)
    with pytest.raises(DiskFullError), disk.writing(tmp_path):
        raise RuntimeError("PytorchStreamWriter failed writing file")


def test_a_map_is_reserved_before_anything_is_written_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(file: int, offset: int, size: int) -> None:
        assert size == os.fstat(file).st_size > 24 * 2 * 4
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", nothing)
    with pytest.raises(OSError, match="No space left"):
        inference.run(tiny.encoder(), tiny.rows(24), 0, into=tmp_path / "fit")


def test_a_store_without_room_says_so_and_keeps_the_work(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").touch()
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    store = ArtifactStore(tmp_path)
    with pytest.raises(DiskFullError, match=f"^disk full: {tmp_path}$"):
        store.get("thing", {}, build)
    assert store.get("thing", {}, lambda folder: None).path.joinpath("half").is_file()


def test_a_sealed_folder_keeps_its_content(tmp_path: Path) -> None:
    def save(path: Path) -> None:
        path.write_bytes(b"old")

    def fail(path: Path) -> None:
        path.write_bytes(b"ne")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    sealed.write(tmp_path, "payload.bin", {}, save)
    with pytest.raises(DiskFullError, match=f"^disk full: {tmp_path}$"):
        sealed.write(tmp_path, "payload.bin", {}, fail)
    assert sealed.read(tmp_path, "payload.bin")[0].read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["payload.bin", "payload.json"]


# --- on a real small disk ------------------------------------------------------------------------


@pytest.fixture(params=[16, 48, 96, 160])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A disk of so many KiB: each ends the writing of something at another place."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs to mount a small disk: root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss", "annoy", "usearch", "voyager"])
def test_a_classifier_on_a_small_disk(spec: str, small: Path) -> None:
    if not ann.BACKENDS.entry(spec).installed:
        pytest.skip(f"{spec} is not installed")
    model = classifier(spec)
    try:
        model.save_pretrained(small / "model")
    except DiskFullError as error:
        assert str(error).startswith(f"disk full: {small}")  # noqa: PT017  it may also fit
    else:
        again = type(model).from_pretrained(small / "model")
        assert again.predict(["bread"]).labels == model.predict(["bread"]).labels


def test_training_and_inference_on_a_small_disk(small: Path) -> None:
    recipe = Recipe(learning_rate=1e-3, epochs=1, batch_size=8)

    def build(folder: Path) -> None:
        tiny.fine_tuned(tiny.encoder(), tiny.setup(recipe), folder / "scratch")
        wide = tiny.encoder(hidden_size=256)
        inference.run(wide, tiny.rows(200), 0, into=folder / "fit", states=True)

    with pytest.raises(DiskFullError, match=f"^disk full: {small}"):
        ArtifactStore(small).get("thing", {}, build)


def test_arrays_on_a_small_disk(small: Path) -> None:
    def save(path: Path) -> None:
        save_file({"x": np.zeros(1 << 16, np.float32)}, path)

    with pytest.raises(DiskFullError, match=f"^disk full: {small}"):
        sealed.write(small, "payload.bin", {}, save)
