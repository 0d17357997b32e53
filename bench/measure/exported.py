"""A measured student as an ONNX file, made from torch's once per runtime and kept in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.measure.job import FolderStudent, OnnxStudent, RandomStudent
from bench.measure.subjects import Subject
from bench.records import definitions, provenance
from bench.records.measurement import OnnxRuntime
from reaugkd.artifacts.store import ArtifactStore

CODE = (
    "reaugkd/models/onnx_encoder.py",
    "reaugkd/models/onnx_export.py",
    "bench/measure/forward.py",
)
"""Source whose definitions decide the time of an exported student."""

PACKAGES = ("onnx", "onnxruntime")


def identity(runtime: OnnxRuntime) -> dict[str, Any]:
    """What decides an exported student's time, beside what decides torch's."""
    versions = provenance.packages()
    return {
        "runtime": runtime,
        "exporter": definitions.of_files(*CODE),
        "libraries": {name: versions[name] for name in PACKAGES if name in versions},
    }


def student(subject: Subject, runtime: OnnxRuntime, store: ArtifactStore) -> OnnxStudent:
    """The student of a subject, exported; what was exported before is found again."""
    origin = subject.student()

    def build(folder: Path) -> None:
        export(origin, subject.source.classes, folder, runtime)

    versions = {name: provenance.packages()[name] for name in ("torch", "transformers")}
    wanted = {
        "student": dict(subject.student_identity),
        "outputs": subject.source.classes,
        "packages": versions,
        **identity(runtime),
    }
    return OnnxStudent(path=str(store.get("onnx-student", wanted, build).path), runtime=runtime)


def export(
    origin: RandomStudent | FolderStudent, outputs: int, folder: Path, runtime: OnnxRuntime
) -> None:
    """Write a student with its ONNX file below ``folder``."""
    from bench.measure import forward
    from bench.measure import student as students
    from reaugkd.models import onnx_export
    from reaugkd.models.runtime import student_fingerprint

    encoder = students.load(origin, "fp32", outputs)
    encoder.save_pretrained(folder / forward.STUDENT)
    key = student_fingerprint(folder / forward.STUDENT)
    onnx_export.export(encoder, folder / forward.ONNX, key, int8=runtime == "onnx-int8")
