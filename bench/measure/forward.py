"""The student that a process times: torch's, or the ONNX file of it behind onnxruntime."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.measure import student
from bench.measure.job import OnnxStudent, StudentSource
from bench.records.measurement import Precision
from reaugkd.errors import ModelError
from reaugkd.models.encoder import Encoder
from reaugkd.models.onnx_encoder import OnnxEncoder

STUDENT, ONNX = "student", "onnx"
"""Folders of a student that was exported to be measured."""


def load(source: StudentSource, precision: Precision, outputs: int) -> Encoder | OnnxEncoder:
    """A student as its cell wants it; an exported one with as many threads as torch has.

    Arguments and errors are those of :func:`bench.measure.student.load`.
    """
    if not isinstance(source, OnnxStudent):
        return student.load(source, precision, outputs)
    path = Path(source.path)
    threads = torch.get_num_threads()
    encoder = OnnxEncoder.from_pretrained(path / STUDENT, path / ONNX, source.runtime, threads)
    if encoder.outputs != outputs:
        raise ModelError(
            f"student {source.path} has {encoder.outputs} outputs, the knowledge base {outputs}"
        )
    return encoder
