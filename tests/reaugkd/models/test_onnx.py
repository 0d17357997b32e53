"""An exported student answers as the encoder it came from, and only as that one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="the extra 'onnx' is optional")

from reaugkd.errors import MissingLibraryError, ModelError, UnknownNameError, UserError
from reaugkd.models import onnx_export, runtime
from reaugkd.models.encoder import Encoder
from reaugkd.models.onnx_encoder import OnnxEncoder
from reaugkd.models.runtime import Runtime
from tests import architectures, tiny

SHAPES = ((1, 3), (5, 9), (2, 30), (1, 1))


def exported(encoder: Encoder, folder: Path, *, int8: bool = False) -> Path:
    encoder.save_pretrained(folder / "student")
    student = runtime.student_fingerprint(folder / "student")
    onnx_export.export(encoder, folder / "onnx", student, int8=int8)
    return folder


def loaded(folder: Path, name: Runtime = "onnx", threads: int = 1) -> OnnxEncoder:
    return OnnxEncoder.from_pretrained(folder / "student", folder / "onnx", name, threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tiny.encoder(outputs=3).eval(), tmp_path_factory.mktemp("onnx"), int8=True)


def inputs(batch: int, tokens: int, pad: int, *, left: bool = False) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(batch * tokens)
    ids = torch.randint(5, tiny.VOCABULARY, (batch, tokens), generator=generator)
    mask = torch.ones_like(ids)
    if batch > 1:
        mask[1, tokens // 3 :] = 0
    mask = mask.flip(1) if left else mask
    types = (torch.arange(tokens).expand(batch, tokens) > 4).long() * mask
    return {
        "input_ids": ids.masked_fill(mask == 0, pad),
        "attention_mask": mask,
        "token_type_ids": types,
    }


@pytest.mark.parametrize(
    ("name", "pooling"),
    [
        *(("bert", "cls"), ("distilbert", "mean"), ("roberta", "mean"), ("mpnet", "cls")),
        *(("albert", "pooler"), ("modernbert", "mean"), ("deberta-v3", "cls")),
    ],
)
def test_any_batch_and_length_is_answered_as_by_torch(
    tmp_path: Path, name: str, pooling: str
) -> None:
    encoder = architectures.encoder(name, pooling, layers=[0, 2])
    encoder.head.weight.data *= 100  # random heads say nothing
    asked = loaded(exported(encoder, tmp_path))
    sizes = (asked.width, asked.outputs, asked.longest)
    assert sizes == (encoder.width, encoder.outputs, encoder.longest)
    for batch, tokens in SHAPES:
        for left in (False, True):
            given = inputs(batch, tokens, architectures.pad_id(name), left=left)
            with torch.inference_mode():
                expected = encoder(**given)
            output = asked(**given)
            assert output.logits.dtype == output.embedding.dtype == torch.float32
            torch.testing.assert_close(
                output.logits.softmax(1), expected.logits.softmax(1), rtol=0, atol=1e-5
            )
            torch.testing.assert_close(output.embedding, expected.embedding, rtol=0, atol=1e-5)


def test_the_encoder_that_is_exported_stays_as_it_is(tmp_path: Path) -> None:
    encoder = tiny.encoder()
    before = encoder.backbone.config._attn_implementation
    exported(encoder, tmp_path)
    assert encoder.training
    assert encoder.backbone.config._attn_implementation == before
    assert tiny.same_weights(encoder, tiny.encoder())


def test_token_types_are_0_unless_given(folder: Path) -> None:
    asked, given = loaded(folder), inputs(1, 4, 0)
    types = given.pop("token_type_ids")
    assert torch.equal(asked(**given).logits, asked(**given, token_type_ids=types * 0).logits)


def test_int8_is_another_smaller_file_with_nearly_the_same_embeddings(folder: Path) -> None:
    fp32, int8 = loaded(folder), loaded(folder, "onnx-int8")
    given = inputs(4, 12, 0)
    first, second = fp32(**given).embedding, int8(**given).embedding
    assert not torch.equal(first, second)
    assert torch.cosine_similarity(first, second).min() > 0.99


def test_a_trace_that_answers_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="ONNX file of BertModel does not answer as torch: logits"):
        exported(tiny.encoder(), tmp_path)
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "model.onnx does not exist: export_onnx"),
        (lambda whole: whole[:-7], "model.onnx is damaged: .* bytes, not"),
        (lambda whole: whole[:-1] + b"?", "model.onnx is damaged: its checksum"),
    ],
    ids=["missing", "truncated", "tampered"],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: object, message: str) -> None:
    copy = exported(tiny.encoder(outputs=3).eval(), tmp_path)
    path = copy / "onnx" / "model.onnx"
    whole = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content(whole))  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        loaded(copy)


def test_a_file_of_another_student_or_none_of_onnx_is_refused(folder: Path, tmp_path: Path) -> None:
    tiny.encoder(seed=5, outputs=3).save_pretrained(tmp_path / "student")
    with pytest.raises(ModelError, match=r"model\.onnx was exported from another student than"):
        OnnxEncoder.from_pretrained(tmp_path / "student", folder / "onnx", "onnx")
    exported(tiny.encoder(), tmp_path)
    student = runtime.student_fingerprint(tmp_path / "student")
    facts = {"student": student, "outputs": 2, "longest": 32}
    from reaugkd.artifacts import sealed

    sealed.write(tmp_path / "onnx", "model.onnx", facts, lambda path: path.write_bytes(b"no model"))
    with pytest.raises(ModelError, match=r"cannot load the ONNX student .*model\.onnx"):
        loaded(tmp_path)


def test_without_the_library_the_extra_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    with pytest.raises(
        MissingLibraryError, match=r"onnxruntime is not installed: .*reaugkd\[onnx\]"
    ):
        loaded(folder)
    with pytest.raises(MissingLibraryError, match=r"reaugkd\[onnx\]"):
        exported(tiny.encoder(), tmp_path)


def test_a_runtime_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown backend 'onx': did you mean 'onnx'"):
        runtime.require("onx")


def test_a_forked_child_may_ask_what_its_parent_has_asked(folder: Path) -> None:
    """Threads of the parent's session do not live on in the child."""
    import multiprocessing

    asked, given = loaded(folder, threads=2), inputs(3, 12, 0)
    expected = asked(**given).embedding.numpy()
    receive, send = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        send.send(asked(**given).embedding.numpy())

    process = multiprocessing.get_context("fork").Process(target=child, daemon=True)
    process.start()
    assert receive.poll(60)
    np.testing.assert_allclose(receive.recv(), expected, atol=1e-6)
    process.join(60)
    assert process.exitcode == 0
