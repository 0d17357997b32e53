"""A student behind onnxruntime: token ids in, the logits and the embedding of its encoder out."""

from __future__ import annotations

import ctypes
import os
import shutil
import weakref
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor
from transformers import AutoConfig

from reaugkd.artifacts import sealed
from reaugkd.errors import ModelError
from reaugkd.models import runtime as runtimes
from reaugkd.models.encoder import EncoderOutput, padded_right
from reaugkd.models.reading import reading
from reaugkd.models.runtime import FILES, Runtime

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

IDS, MASK = "input_ids", "attention_mask"
OUTPUTS = ("logits", "embedding")


class Backbone(NamedTuple):
    """What is known of the backbone that was exported: its configuration."""

    config: Any


class OnnxEncoder:
    """An exported encoder, which answers as :class:`reaugkd.models.encoder.Encoder` does.

    Threads may ask it at once. So may the child of a fork (one that ends as multiprocessing's do,
    without clearing up), with a session of its own of one thread: its parent's are not there.

    Args:
        path: the ONNX file, whole and of this student.
        student: folder of the student it was exported from, for what is not in the file.
        runtime: ``onnx`` or ``onnx-int8``.
        threads: of one forward.
        outputs, longest: the number of logits, and the most tokens.
    """

    def __init__(
        self,
        path: Path,
        student: Path,
        *,
        runtime: Runtime,
        threads: int,
        outputs: int,
        longest: int,
    ) -> None:
        self.path, self.student, self.runtime, self.threads = path, student, runtime, threads
        self.outputs, self.longest = outputs, longest
        with reading(f"the ONNX student {path}"):
            self.backbone = Backbone(AutoConfig.from_pretrained(str(student)))
            self._open()

    def _open(self) -> None:
        self._process, self._session = os.getpid(), session(self.path, self.threads)
        self._inputs = [each.name for each in self._session.get_inputs()]

    @property
    def width(self) -> int:
        """H, the width of the embedding."""
        return int(self.backbone.config.hidden_size)

    def __call__(
        self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor
    ) -> EncoderOutput:
        """Encode a padded batch of ids [B, L] int64; padding may stand on either side.

        Inputs that the student does not take are left out; token types are 0 unless given.
        """
        if self._process != os.getpid():
            # To free its parent's session would wait for ever: the threads of it are not here.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
            self.threads = 1
            self._open()
        given = {IDS: input_ids, MASK: attention_mask, **inputs}
        if not attention_mask[:, 0].all():
            given = padded_right(given, attention_mask)
        arrays = {
            name: (given[name] if name in given else torch.zeros_like(input_ids)).numpy()
            for name in self._inputs
        }
        logits, embedding = self._session.run(OUTPUTS, arrays)
        return EncoderOutput(torch.from_numpy(logits), torch.from_numpy(embedding))

    def eval(self) -> Self:
        """Itself: it cannot be trained."""
        return self

    def save_pretrained(self, folder: Path) -> None:
        """Copy the student that it was exported from into ``folder``."""
        _copy(self.student, folder)

    def save_exported(self, folder: Path) -> None:
        """Copy its ONNX file, with what lies beside it, into ``folder``."""
        _copy(self.path.parent, folder)

    def keep(self) -> None:
        """Go on from a copy of its files in a temporary folder, which is removed with it."""
        place = Path(mkdtemp(prefix="reaugkd-"))
        weakref.finalize(self, _discard, place, os.getpid())
        self.save_pretrained(place / "student")
        self.save_exported(place / "onnx")
        self.student, self.path = place / "student", place / "onnx" / self.path.name

    @classmethod
    def from_pretrained(
        cls, student: Path, exported: Path, runtime: Runtime, threads: int | None = None
    ) -> Self:
        """The student in one folder through the ONNX file of it in another.

        Args:
            student: what ``Encoder.save_pretrained`` wrote.
            exported: what :func:`reaugkd.models.onnx_export.export` wrote.
            runtime: which of its files.
            threads: of one forward; None for as many as torch uses.

        Raises:
            MissingLibraryError: without onnxruntime.
            UserError: naming the file that is missing, truncated, changed or of another student.
        """
        runtimes.require(runtime)
        path = exported / FILES[runtime]
        if not path.is_file():
            raise ModelError(
                f"{path} does not exist: export_onnx(int8={runtime == 'onnx-int8'}) of the "
                "classifier writes it"
            )
        path, manifest = sealed.read(exported, path.name)
        if manifest.get("student") != runtimes.student_fingerprint(student):
            raise ModelError(f"{path} was exported from another student than {student}")
        with reading(f"the ONNX student {path}"):
            outputs, longest = int(manifest["outputs"]), int(manifest["longest"])
        threads = threads or torch.get_num_threads()
        return cls(
            path, student, runtime=runtime, threads=threads, outputs=outputs, longest=longest
        )


def _copy(origin: Path, folder: Path) -> None:
    if not origin.is_dir():
        raise ModelError(f"{origin}, which this student was read from, is gone")
    if folder.resolve() != origin.resolve():
        shutil.copytree(origin, folder, dirs_exist_ok=True)


def _discard(folder: Path, process: int) -> None:
    if process == os.getpid():  # the child of a fork leaves it to its parent
        shutil.rmtree(folder, ignore_errors=True)


def session(model: Path | bytes, threads: int) -> InferenceSession:
    """A session of onnxruntime on the CPU.

    Its threads look for more work between the operations of a forward, and sleep as soon as it is
    over: a search that follows has the cores for itself (docs/decisions/0013).
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3  # errors: they are raised, and told in one line
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
