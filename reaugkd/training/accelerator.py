"""accelerate as a training uses it: told everything, so that it asks the environment nothing."""

from __future__ import annotations

from accelerate import Accelerator

from reaugkd.context import Setup
from reaugkd.errors import UserError
from reaugkd.training import inference


def accelerator_of(setup: Setup) -> Accelerator:
    """An accelerator that is told all that decides a result, so that it asks nobody else for it.

    A UserError tells that this process uses accelerate in another way already.
    """
    device = inference.device_of(setup.device)
    try:
        accelerator = Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="no",  # autocast is the learners' own business
            gradient_accumulation_steps=setup.recipe.accumulation,
            dynamo_backend="no",
        )
    except ValueError as error:
        raise UserError(f"this process has set up accelerate otherwise: {error}") from error
    if accelerator.num_processes > 1 or accelerator.device.type != device.type:
        raise UserError(
            f"this process has set up accelerate for {accelerator.num_processes} processes on "
            f"{accelerator.device.type}: training needs one of its own on {device.type}"
        )
    return accelerator
