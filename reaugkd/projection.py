"""The teacher's projection head: a linear map trained by supervised contrast on cached vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from reaugkd import surroundings
from reaugkd.errors import UserError
from reaugkd.losses import same_class, score_kernel, supervised_contrastive
from reaugkd.reporter import Reporter
from reaugkd.settings import Positive

if TYPE_CHECKING:
    from torch import nn

CHUNK = 8192  # rows projected at once


class HeadRecipe(BaseModel):
    """How the head is trained; the paper names the loss alone, these are our choices."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = Field(5, ge=0, le=1000, description="passes over the fit split. Source: ours")
    learning_rate: Positive = Field(1e-3, description="AdamW. Source: ours")
    batch_size: int = Field(256, ge=2, description="examples contrasted at once. Source: ours")
    tau: Positive = Field(0.1, description="temperature. Source: SupContrast code, 0.07-0.1")
    regression: Literal["kernel", "identity"] = Field(
        "kernel",
        description="regression has no classes: weight positives by nearness of scores, or train "
        "no head (needs equal widths). Source: ours, docs/decisions/0003",
    )
    width: Positive = Field(
        0.5, description="of the kernel, in standard deviations of the scores. Source: ours"
    )


def train_head(
    embedding: NDArray[np.float32],
    labels: NDArray[Any],
    student_width: int,
    recipe: HeadRecipe,
    *,
    seed: int,
    reporter: Reporter,
) -> tuple[nn.Linear, list[float]]:
    """Train the projection head on the teacher's cached embeddings; the mean loss of every epoch.

    ``embedding`` [N, H_t] and ``labels`` [N] (class ids, or floating scores) are of the fit split.
    The seed is of initial weights and batches; the global generator is left as it was. A bias-free
    head starts as the identity, or orthogonal where widths differ: either keeps cosines (as nearly
    as a narrower space allows), so it relates examples as the teacher does before any training.

    Raises:
        UserError: ``regression="identity"`` where the widths differ.
    """
    import torch
    from torch import nn

    regression = np.asarray(labels).dtype.kind == "f"
    with torch.random.fork_rng(devices=[]), surroundings.exact():
        torch.manual_seed(seed)
        head = nn.Linear(embedding.shape[1], student_width, bias=False)
        same_width = embedding.shape[1] == student_width
        (nn.init.eye_ if same_width else nn.init.orthogonal_)(head.weight)
        if regression and recipe.regression == "identity":
            if not same_width:
                raise UserError(
                    f"head.regression 'identity' needs equal widths, not {embedding.shape[1]} "
                    f"(teacher) and {student_width} (student): use 'kernel'"
                )
            return head.eval(), []
        optimizer = torch.optim.AdamW(head.parameters(), lr=recipe.learning_rate)
        targets = torch.from_numpy(np.array(labels))
        spread = float(np.std(labels)) or 1.0
        history = []
        reporter.start("projection head", recipe.epochs * len(embedding))
        for _ in range(recipe.epochs):
            total = 0.0
            for rows in torch.split(torch.randperm(len(embedding)), recipe.batch_size):
                if len(rows) < 2:
                    continue  # a last batch of one has nothing to be contrasted with
                y = targets[rows]
                positives = score_kernel(y, recipe.width * spread) if regression else same_class(y)
                z = head(torch.from_numpy(embedding[rows.numpy()]))
                loss = supervised_contrastive(z, positives, recipe.tau)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                total += loss.item() * len(rows)
                reporter.advance(len(rows), {"supcon": loss.item()})
            history.append(total / len(embedding))
        reporter.finish()
    return head.eval(), history


def apply(head: nn.Linear, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """L2-normalised projections, [N, H_t] -> [N, H_s] float32."""
    import torch
    from torch.nn import functional as F

    keys = np.empty((len(embedding), head.out_features), dtype=np.float32)
    with torch.inference_mode(), surroundings.exact():
        for at in range(0, len(embedding), CHUNK):
            # np.array copies: what is mapped from disk is read-only, which torch cannot express.
            projected = head(torch.from_numpy(np.array(embedding[at : at + CHUNK])))
            keys[at : at + CHUNK] = F.normalize(projected, dim=1).numpy()
    return keys
