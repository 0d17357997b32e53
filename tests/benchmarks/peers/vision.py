"""torchvision beside a torch without CUDA: make it importable, for torchdistill imports it.

The wheel that PyPI has for Linux on x86-64 is made for torch with CUDA. Its operators cannot be
loaded beside torch for CPUs, and the import of torchvision ends with "operator torchvision::nms
does not exist"; transformers' Trainer and sentence-transformers, which import torchvision wherever
it is, end with it. No text needs those operators: what the import asks for is declared instead.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

ASKED_FOR = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def make_importable() -> None:
    """Declare the operators that the import of torchvision asks for where it cannot load them.

    Nothing happens without torchvision, and where its operators are those of this torch.
    """
    spec = find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return
    for library in Path(spec.submodule_search_locations[0]).glob("_C*.so"):
        try:
            torch.ops.load_library(library)
        except OSError:
            for name in ASKED_FOR:
                torch.library.define(f"torchvision::{name}", SCHEMA)
