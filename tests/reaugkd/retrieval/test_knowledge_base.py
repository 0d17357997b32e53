"""The knowledge base: what it accepts, and that it comes back as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from reaugkd.artifacts import sealed
from reaugkd.errors import DataError, EmbeddingError, UserError
from reaugkd.retrieval.ann.exact import Exact
from reaugkd.retrieval.knowledge_base import FILE, KnowledgeBase
from tests.reaugkd.retrieval.cases import DIM, queries, vectors

N = 30


def parts(classes: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.random.default_rng(0).dirichlet(np.ones(classes), N).astype(np.float32)
    return vectors(N), values, np.arange(N, dtype=np.int64) * 7


def test_what_fits_is_held_without_a_copy_and_cannot_be_written() -> None:
    keys, values, ids = parts()
    base = KnowledgeBase.build(keys, values, ids, {"teacher": "abc"})
    for held, given in ((base.keys, keys), (base.values, values), (base.ids, ids)):
        assert np.shares_memory(held, given)
        assert not held.flags.writeable
        assert given.flags.writeable
    assert len(base) == N
    assert base.nbytes == N * (4 * DIM + 4 * 3 + 8)


def test_keys_are_normalised() -> None:
    keys, values, ids = parts()
    base = KnowledgeBase.build(5.0 * keys.astype(np.float64), values.tolist(), ids.tolist())
    np.testing.assert_allclose(base.keys, keys, atol=1e-6)
    assert base.keys.dtype == base.values.dtype == np.float32


@pytest.mark.parametrize("classes", [1, 3])
def test_saved_and_loaded_it_is_the_same_and_mapped(tmp_path: Path, classes: int) -> None:
    base = KnowledgeBase.build(*parts(classes), {"teacher": "abc", "values": "soft"})
    base.save(tmp_path / "kb")
    loaded = KnowledgeBase.load(tmp_path / "kb")
    for name in ("keys", "values", "ids"):
        array, expected = getattr(loaded, name), getattr(base, name)
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype
        assert isinstance(array.base, np.memmap)
        assert not array.flags.writeable
    assert loaded.manifest == base.manifest
    assert set(load_file(tmp_path / "kb" / FILE)) == {"keys", "values", "ids"}
    exact = Exact()
    exact.build(loaded.keys)
    assert np.shares_memory(exact._vectors, loaded.keys)
    assert exact.search(queries(), 3)[1].shape == (25, 3)


def test_saving_again_leaves_a_loaded_one_intact(tmp_path: Path) -> None:
    keys, values, ids = parts()
    KnowledgeBase.build(keys, values, ids).save(tmp_path)
    loaded = KnowledgeBase.load(tmp_path)
    KnowledgeBase.build(keys[:5], values[:5], ids[:5]).save(tmp_path)
    np.testing.assert_array_equal(loaded.keys, keys)
    assert len(KnowledgeBase.load(tmp_path)) == 5


@pytest.mark.parametrize("name", [FILE, Path(FILE).with_suffix(".json").name])
@pytest.mark.parametrize("damage", ["truncated", "changed", "foreign", "missing"])
def test_damage_is_named(tmp_path: Path, name: str, damage: str) -> None:
    KnowledgeBase.build(*parts()).save(tmp_path)
    file = tmp_path / name
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "changed" and name == FILE:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        file.write_bytes({"truncated": content[:-9], "foreign": b"[]"}.get(damage, b"{}"))
    with pytest.raises(UserError, match=str(file)):
        KnowledgeBase.load(tmp_path)


def test_a_payload_that_is_no_knowledge_base_is_named(tmp_path: Path) -> None:
    empty = (2).to_bytes(8, "little") + b"{}"
    sealed.write(tmp_path, FILE, {"manifest": {}}, lambda path: path.write_bytes(empty))
    with pytest.raises(UserError, match="holds no knowledge base"):
        KnowledgeBase.load(tmp_path)


def test_keys_without_direction_are_refused_by_row() -> None:
    keys, values, ids = parts()
    keys[4] = 0.0
    with pytest.raises(EmbeddingError, match="key 4 is all zeros"):
        KnowledgeBase.build(keys, values, ids)
    keys[2, 1] = np.nan
    with pytest.raises(EmbeddingError, match="key 2 holds NaN or infinity"):
        KnowledgeBase.build(keys, values, ids)


@pytest.mark.parametrize("row", [[0.5, 0.6, 0.0], [1.5, -0.5, 0.0], [np.nan, 0.5, 0.5]])
def test_values_that_are_no_distribution_are_refused_by_row(row: list[float]) -> None:
    keys, values, ids = parts()
    values[3] = row
    with pytest.raises(DataError, match="value 3 of the knowledge base"):
        KnowledgeBase.build(keys, values, ids)


def test_scores_need_only_be_finite() -> None:
    keys, _, ids = parts()
    scores = np.linspace(-2, 7, N)[:, None]
    assert KnowledgeBase.build(keys, scores, ids).values.shape == (N, 1)
    scores[9] = np.inf
    with pytest.raises(DataError, match=r"value 9 .* one finite score"):
        KnowledgeBase.build(keys, scores, ids)


def test_lengths_must_agree() -> None:
    keys, values, ids = parts()
    for wrong in ((keys[1:], values, ids), (keys, values[1:], ids), (keys, values, ids[1:])):
        with pytest.raises(DataError, match="a knowledge base needs"):
            KnowledgeBase.build(*wrong)
    with pytest.raises(DataError, match="n > 0"):
        KnowledgeBase.build(keys[:0], values[:0], ids[:0])


def test_the_manifest_is_plain_json() -> None:
    with pytest.raises(TypeError):
        KnowledgeBase.build(*parts(), {"path": Path("x")})
