"""A finished classifier: a checkpoint of transformers that answers by its own head."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from reaugkd.errors import ModelError
from reaugkd.models.encoder import Encoder, EncoderOutput

if TYPE_CHECKING:
    from reaugkd.models.spec import ModelSpec


class FinishedEncoder(Encoder):
    """A sequence classifier of transformers, whole: backbone and whatever head its class has.

    The embedding is the vector that its last linear layer classifies: BERT's pooler output, the
    output of the dense layer in RoBERTa's head, and so on. It is not made to be trained.

    Args:
        model: the classifier.
        order: [C], for each of the task's classes its place among the model's logits.
    """

    def __init__(self, model: PreTrainedModel, order: Sequence[int]) -> None:
        nn.Module.__init__(self)  # the parts of an encoder are there already
        self.model, self.order = model, list(order)
        self.backbone = model.base_model
        self.head = last_linear(model)
        self._takes = inspect.signature(model.forward).parameters
        self.eval()

    @property
    def width(self) -> int:
        """H, the width of what the last linear layer classifies."""
        return self.head.in_features

    @property
    def outputs(self) -> int:
        """C, the number of logits."""
        return len(self.order)

    def forward(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor,
        *,
        states: bool = False,
        **inputs: Tensor,
    ) -> EncoderOutput:
        """As of every encoder; inputs that the model does not take are left out.

        A ModelError tells that its last linear layer does not classify one vector per text.
        """
        taken: dict[str, Any] = {name: value for name, value in inputs.items() if self._has(name)}
        if states:
            taken["output_hidden_states"] = True
        classified: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, given: classified.append(given[0]))
        try:
            result = self.model(input_ids=input_ids, attention_mask=attention_mask, **taken)
        finally:
            hook.remove()
        if len(classified) != 1 or classified[0].ndim != 2:
            raise ModelError(
                f"{type(self.model).__name__}: its last linear layer does not classify one vector "
                "per text"
            )
        logits = result.logits[:, self.order]
        hidden = tuple(result.hidden_states) if states else None
        return EncoderOutput(logits, classified[0], hidden)

    def _has(self, name: str) -> bool:
        kinds = getattr(self.backbone.config, "type_vocab_size", 2)
        return name in self._takes and not (name == "token_type_ids" and kinds < 2)


def last_linear(model: PreTrainedModel) -> nn.Linear:
    """The layer of a classifier's head that gives its logits; ModelError if there is none."""
    backbone = {*model.base_model.modules()}
    heads = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear)
        and module not in backbone
        and module.out_features == model.config.num_labels
    ]
    if not heads:
        raise ModelError(f"{type(model).__name__}: no linear layer gives its logits")
    return heads[-1]


def load_classifier(spec: ModelSpec, vocabulary: int) -> PreTrainedModel:
    """The classifier of a checkpoint in float32, in evaluation mode.

    ``vocabulary`` is the number of ids that the tokenizer can produce.

    Raises:
        ModelError: it cannot be loaded, lacks weights (its head above all), has some that are not
            finite, was trained for several labels at a time, or has a smaller vocabulary.
    """
    location = spec.location()
    try:
        with torch.random.fork_rng(devices=[]):
            model, report = AutoModelForSequenceClassification.from_pretrained(
                location,
                revision=spec.revision or "main",
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:
        # transformers, tokenizers, safetensors and torch raise their own for what is one thing to
        # the user: there is no classifier to load. The cause stays attached.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"cannot load classifier '{spec.source}': {reason}") from error
    _require_whole(model, report, spec.source)
    if getattr(model.config, "problem_type", None) == "multi_label_classification":
        raise ModelError(
            f"classifier '{spec.source}' gives several labels to a text "
            "(problem_type multi_label_classification): a teacher needs one class per text"
        )
    if model.config.vocab_size < vocabulary:
        raise ModelError(
            f"classifier '{spec.source}' knows {model.config.vocab_size} tokens, but the tokenizer "
            f"produces {vocabulary}: they do not belong together"
        )
    classifier: PreTrainedModel = model.eval()
    return classifier


def _require_whole(model: PreTrainedModel, report: Mapping[str, Any], name: str) -> None:
    missing = sorted(report["missing_keys"])
    if missing:
        prefix = f"{model.base_model_prefix}."
        # A pooler belongs to the head here: what was saved without one often lacks both.
        body = [key for key in missing if key.startswith(prefix) and ".pooler." not in key]
        missing, head = body or missing, not body
        what = "has no head of its own" if head else "is not whole"
        raise ModelError(
            f"classifier '{name}' {what}: no weights for {missing[0]} (and {len(missing) - 1} more)"
            + ("; train one with teacher.finetune=true" if head else "")
        )
    for key, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise ModelError(f"classifier '{name}': {key} has values that are not finite")
