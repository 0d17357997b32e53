"""What runs a student's forward: torch, or onnxruntime over a file that was exported from it.

Nothing here imports either.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, get_args

from reaugkd.artifacts import fingerprint
from reaugkd.errors import MissingLibraryError, ModelError, UnknownNameError

Runtime = Literal["torch", "onnx", "onnx-int8"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
TORCH: Final = "torch"

FILES: Mapping[str, str] = {"onnx": "model.onnx", "onnx-int8": "model_quantized.onnx"}
"""The file of each runtime but torch, named as model hubs name them."""

PARTS = ("config.json", "encoder.json", "*.safetensors*")
"""Of a student's folder, what decides its answers to token ids."""


def require(runtime: str) -> None:
    """Refuse a runtime that does not exist or is not installed.

    Raises:
        UnknownNameError: with the nearest.
        MissingLibraryError: naming the extra.
    """
    if runtime not in RUNTIMES:
        raise UnknownNameError("backend", runtime, RUNTIMES)
    if runtime != TORCH and find_spec("onnxruntime") is None:
        raise MissingLibraryError("onnxruntime", "onnx")


def require_exporter() -> None:
    """Raise :class:`MissingLibraryError` unless a student can be exported here."""
    for library in ("onnx", "onnxruntime"):
        if find_spec(library) is None:
            raise MissingLibraryError(library, "onnx")


def student_fingerprint(folder: Path) -> str:
    """Fingerprint of the student that ``Encoder.save_pretrained`` wrote into ``folder``.

    A ModelError tells that there is none.
    """
    files = [path for pattern in PARTS for path in folder.glob(pattern)]
    if not files:
        raise ModelError(f"{folder} holds no student")
    return fingerprint.of_files(files)
