"""The proof of a model: whether it can do what a run will ask of it, seen by what it does.

Nothing here knows the names of architectures. A causal decoder fails because the embedding of its
first token depends on no other, an encoder-decoder because one forward pass over a text is not
enough for it or gives no states of its layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from reaugkd.artifacts.disk import writing
from reaugkd.errors import ModelError, reason_of
from reaugkd.models.encoder import Encoder, EncoderOutput
from reaugkd.models.reading import reading

TOLERANCE = 1e-4
"""Largest difference of two ways to compute one embedding, as a part of its largest component:
float32 over dozens of layers is far below, a token too many or too few far above."""

INFLUENCE = 1e-6
"""Smallest difference that a token must make, measured alike. Rows of one batch are computed by the
same operations, so a token without influence makes none at all."""

PADDING = 3


def prove(encoder: Encoder, name: str, ids: Sequence[int], vocabulary: int, pad_id: int) -> None:
    """Prove that a model encodes texts as a run expects; its mode is left as it was.

    Args:
        encoder: the model, on the CPU.
        name: what errors call it, e.g. "student 'org/bert'".
        ids: a text of at least two tokens, at most as long as the model reads.
        vocabulary: how many ids the tokenizer uses.
        pad_id: id of the padding token.

    Raises:
        ModelError: naming the model and the first of these that does not hold: its weights are
            finite; it has an embedding for every id; a forward pass gives a finite embedding and
            D + 1 hidden states; every token makes a difference to the embedding; padding on either
            side makes none, nor does learning; saved and loaded it gives the same.
    """
    training = encoder.training
    encoder.eval()
    try:
        _finite_weights(encoder, name)
        _vocabulary(encoder, name, vocabulary)
        text = torch.tensor([list(ids)])
        plain = _forward(encoder, name, text)
        _every_token(encoder, name, text, vocabulary, pad_id)
        for side, padded, mask in _padded(text, pad_id):
            other = _forward(encoder, name, padded, mask).embedding
            _equal(plain.embedding, other, f"{name}: padding on the {side} changes its answer")
        _equal(plain.embedding, _learning(encoder, text), f"{name}: it learns by another answer")
        _saved(encoder, name, text, plain)
    finally:
        encoder.train(training)


def _finite_weights(encoder: Encoder, name: str) -> None:
    for weight, values in encoder.backbone.named_parameters():
        if not values.isfinite().all():
            raise ModelError(f"{name}: its weight {weight} is not finite")


def _vocabulary(encoder: Encoder, name: str, vocabulary: int) -> None:
    known = getattr(encoder.backbone.get_input_embeddings(), "num_embeddings", None)
    if known is not None and known < vocabulary:
        raise ModelError(
            f"{name}: it knows {known} tokens, the tokenizer has ids to {vocabulary - 1}"
        )


def _forward(encoder: Encoder, name: str, ids: Tensor, mask: Tensor | None = None) -> EncoderOutput:
    """One pass over a batch of texts, its output checked."""
    mask = torch.ones_like(ids) if mask is None else mask
    try:
        with torch.inference_mode():
            output: EncoderOutput = encoder(ids, mask, states=True)
    except Exception as error:
        raise ModelError(
            f"{name}: it does not encode a text by itself: {reason_of(error)}"
        ) from error
    width, states = encoder.width, output.hidden or ()
    if output.embedding.shape != (len(ids), width):
        shape = list(output.embedding.shape)
        raise ModelError(f"{name}: its embeddings have the shape {shape}, its config says {width}")
    if not output.embedding.isfinite().all():
        raise ModelError(f"{name}: the embedding of a text is not finite")
    if len(states) != encoder.depth + 1 or any(state.shape[-1] != width for state in states):
        raise ModelError(
            f"{name}: it hands out {len(states)} hidden states {width} wide, where its "
            f"{encoder.depth} layers and the embeddings make {encoder.depth + 1}"
        )
    return output


def _every_token(encoder: Encoder, name: str, text: Tensor, vocabulary: int, pad_id: int) -> None:
    """Every token must make a difference, whichever of two others stands in its place."""
    length = text.shape[1]
    others = [
        _other(text[0], place, step, vocabulary, pad_id)
        for step in (1, 2)
        for place in range(length)
    ]
    embeddings = _forward(encoder, name, torch.cat([text, *others])).embedding
    moved = (embeddings[1:] - embeddings[:1]).abs().amax(dim=1).view(2, length).amax(dim=0)
    still = (moved <= INFLUENCE * embeddings[0].abs().max()).nonzero().flatten().tolist()
    if still:
        raise ModelError(
            f"{name}: with pooling '{encoder.pooling}' its embedding of a text does not depend on "
            f"token {still[-1] + 1} of {length}, so it cannot tell texts apart"
        )


def _other(text: Tensor, place: int, step: int, vocabulary: int, pad_id: int) -> Tensor:
    """The text [1, L] with another token at ``place``; ``step`` picks which."""
    changed, token = text.clone(), int(text[place])
    choices = [(token + step * vocabulary // 3 + more) % vocabulary for more in range(3)]
    changed[place] = next(choice for choice in choices if choice not in (token, pad_id))
    return changed.unsqueeze(0)


def _padded(text: Tensor, pad_id: int) -> list[tuple[str, Tensor, Tensor]]:
    """The text [1, L] with padding on the right and on the left, and the masks."""
    padding, ones = torch.full((1, PADDING), pad_id), torch.ones_like(text)
    zeros = torch.zeros_like(padding)
    return [
        ("right", torch.cat([text, padding], dim=1), torch.cat([ones, zeros], dim=1)),
        ("left", torch.cat([padding, text], dim=1), torch.cat([zeros, ones], dim=1)),
    ]


def _learning(encoder: Encoder, text: Tensor) -> Tensor:
    """The embedding [1, H] where gradients are wanted, which another kernel may compute."""
    with torch.enable_grad():
        embedding: Tensor = encoder(text, torch.ones_like(text)).embedding
    return embedding.detach()


def _saved(encoder: Encoder, name: str, text: Tensor, expected: EncoderOutput) -> None:
    """Saved and loaded it must be the same model: a choice of layers too."""
    try:
        with (
            TemporaryDirectory(prefix="reaugkd-") as folder,
            reading("what was saved of it"),
            writing(Path(folder)),
            torch.random.fork_rng(devices=[]),  # what is loaded over is drawn first
        ):
            encoder.save_pretrained(Path(folder))
            loaded = Encoder.from_pretrained(Path(folder))
    except ModelError as error:
        raise ModelError(f"{name}: saved and loaded it is another model: {error}") from error
    output = _forward(loaded, name, text)
    for one, other in ((expected.embedding, output.embedding), (expected.logits, output.logits)):
        _equal(one, other, f"{name}: saved and loaded it gives another answer")


def _equal(one: Tensor, other: Tensor, complaint: str) -> None:
    scale = max(float(one.abs().max()), float(other.abs().max()))
    gap = float((one - other).abs().max())
    if not gap <= TOLERANCE * scale:  # NaN too
        raise ModelError(f"{complaint} (by {gap:.2g} at a size of {scale:.2g})")
