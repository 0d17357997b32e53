"""What surrounds a process and may not decide its results: no key of a result names it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from reaugkd.errors import UserError

LAUNCHERS = ("ACCELERATE_", "FSDP_", "PARALLELISM_CONFIG_", "PMI_", "OMPI_COMM_WORLD_", "MV2_COMM_")
"""Variables that begin so change how accelerate trains: steps, precision, number of processes."""

RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""The same of torchrun and its kin."""

PRECISION = {
    "NVIDIA_TF32_OVERRIDE": "0",
    "DNNL_DEFAULT_FPMATH_MODE": "STRICT",
    "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",
}
"""Variables that libraries read on their own and by which they shorten the numbers of a float32
product, with the one value that does not."""


@contextmanager
def alone() -> Iterator[None]:
    """Hide the variables of launchers: a training is one process with the settings that it names.

    accelerate's own ``clear_environment`` would hide all of them, ``CUDA_VISIBLE_DEVICES`` too.
    """
    names = [name for name in os.environ if name in RANKS or name.startswith(LAUNCHERS)]
    hidden = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(hidden)


def require_exact() -> None:
    """Raise UserError if a variable shortens float32 products where nobody can undo it."""
    for name, harmless in PRECISION.items():
        value = os.environ.get(name)
        if value and value.upper() != harmless:
            raise UserError(
                f"the environment has {name}={value}, which computes float32 with fewer bits than "
                f"the results say: unset it (or {name}={harmless})"
            )


@contextmanager
def exact() -> Iterator[None]:
    """Products of float32 in float32, whatever the caller's process or its variables ask for.

    torch computes them with fewer bits on a GPU (TF32) or CPU (bfloat16) if it is told so by
    ``torch.set_float32_matmul_precision`` or ``TORCH_ALLOW_TF32_CUBLAS_OVERRIDE``. A UserError
    names what cannot be undone here.
    """
    import torch

    require_exact()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
