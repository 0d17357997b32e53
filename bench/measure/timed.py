"""What a latency process does: load everything, run the loop, and describe itself."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from bench.measure import environment, forward, timing
from bench.measure.inputs import Inputs, dealt
from bench.records.measurement import Reduction
from reaugkd.errors import EmbeddingError, UserError
from reaugkd.retrieval import ann, mixing
from reaugkd.retrieval.knowledge_base import KnowledgeBase, require_own
from reaugkd.retrieval.query import QueryPath

if TYPE_CHECKING:
    from torch import Tensor

    from bench.measure.job import Job, LatencyJob
    from bench.records.measurement import LatencyCell
    from reaugkd.models.encoder import Encoder, EncoderOutput
    from reaugkd.models.onnx_encoder import OnnxEncoder
    from reaugkd.retrieval.ann.index import AnnIndex
    from reaugkd.retrieval.normalise import Vectors


def measure(job: LatencyJob, load: tuple[float, float, float]) -> dict[str, Any]:
    """Load everything, run the loop, and describe the process.

    Args:
        job: what to time.
        load: load averages when the process began.

    Returns:
        The arrays of the result: ``forward``, ``added`` and ``plain`` [rounds, batches] int64 in
        nanoseconds; ``rows`` and ``tokens`` [count], the inputs in the order they were run and
        their lengths; ``environment``, JSON; where a sure student is not asked about, ``asked``
        [batches] int64, the inputs of each batch that were searched.

    Raises:
        UserError: if the parts are missing, damaged or do not belong together.
    """
    cell = job.cell
    torch.set_num_threads(cell.threads)
    inputs = Inputs.load(Path(job.inputs))
    base, index = served(job)
    queries = None if job.queries is None else _queries(job, Path(job.queries))
    encoder = forward.load(job.student, cell.precision, cell.classes)
    _fits(encoder, inputs, cell.dim)

    rows = inputs.grouped(inputs.draw(job.count, job.seed, job.process), cell.batch)
    path = query_path(index, base, cell)

    def retrieve(output: EncoderOutput) -> Tensor:
        return path(output.logits, output.embedding)

    prepared = [] if queries is None else torch.split(torch.from_numpy(queries), cell.batch)

    def overwrite(number: int, output: EncoderOutput) -> None:
        # In place: dtype, strides and memory of the student's own embedding stay. One operation of
        # torch and none of numpy: what runs here finds its code warm when the clock goes on.
        if prepared:
            output.embedding.copy_(prepared[number])

    with torch.inference_mode(), timing.quiet_gc():
        laps = timing.interleaved(
            [inputs.tensors(part) for part in rows],
            lambda batch: encoder(**batch),
            timing.delayed(retrieve, job.delay_us),
            rounds=job.rounds,
            warmup=job.warmup,
            between=overwrite,
        )
        answered = encoder(**inputs.tensors(rows[0]))
        overwrite(0, answered)
        _retrieves(index, base, cell, answered)
        asked = {}
        if cell.reduction is not None and cell.reduction.skip_above is not None:
            outputs = (encoder(**inputs.tensors(part)) for part in rows)
            asked["asked"] = np.array([_searched(path, output) for output in outputs], np.int64)
    order = np.concatenate(rows)
    return {
        **laps._asdict(),
        **asked,
        "rows": order,
        "tokens": inputs.lengths[order],
        "environment": np.array(environment.observe(load).model_dump_json()),
    }


def packed(arrays: Mapping[str, Any]) -> bytes:
    """The arrays as the content of an npz."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def served(job: Job) -> tuple[KnowledgeBase, AnnIndex]:
    """The knowledge base of a job and its index, as a serving process has them.

    Raises:
        UserError: if they are missing, damaged or not those of the cell.
    """
    cell = job.cell
    base = KnowledgeBase.load(Path(job.base))
    _same("knowledge base", job.base, base.keys.shape, (cell.size, cell.width))
    _same("values of", job.base, base.values.shape, (cell.size, cell.classes))
    if cell.k > len(base):
        raise UserError(f"k {cell.k}: knowledge base {job.base} has {len(base)} entries")
    index = opened(job.spec, job.index, base, cell.threads)
    if job.index is not None:
        require_own(index, Path(job.base))
        _same("index", job.index, (index.size, index.dim), base.keys.shape)
    if job.effort is not None:
        index.effort = job.effort
    return base, index


def opened(spec: str, folder: str | None, base: KnowledgeBase, threads: int) -> AnnIndex:
    """The saved index in ``folder``; without one, that of ``spec`` over the keys of ``base``."""
    if folder is not None:
        return ann.load(Path(folder), threads=threads)
    index = ann.make(spec, threads=threads)
    index.build(base.keys)
    return index


def query_path(index: AnnIndex, base: KnowledgeBase, cell: LatencyCell) -> QueryPath:
    """The query path of a cell."""
    reduction = cell.reduction or Reduction()
    above = math.inf if reduction.skip_above is None else reduction.skip_above
    return QueryPath.over(
        base,
        index,
        k=cell.k,
        tau=cell.tau,
        beta=cell.beta,
        weigh=reduction.weigh,
        skip_above=above,
    )


def _searched(path: QueryPath, output: EncoderOutput) -> int:
    """How many inputs of a batch the path searches for."""
    answer = path.answer(output.logits.float().numpy(), output.embedding.float().numpy())
    return int(answer.asked.sum())


def _retrieves(
    index: AnnIndex, base: KnowledgeBase, cell: LatencyCell, output: EncoderOutput
) -> None:
    """Raise UserError unless the query path answers what its index and the mixture say.

    The student's logits are replaced by ones that contradict what is retrieved, and half of the
    answer is retrieved, so that an answer without retrieval is far from the expected one. However
    sure such a student is, it is asked about.
    """
    similarities, rows = index.search(base.queries(output.embedding.float().numpy()), cell.k)
    nearest = mixing.neighbour_values(base.values, rows[:, :1], base.span)[:, 0]
    against = nearest + 1.0 if nearest.shape[1] == 1 else 4.0 * (1.0 - nearest)
    contrary = mixing.probabilities(against.astype(np.float32))
    reduction = cell.reduction or Reduction()
    expected = mixing.augment(
        contrary,
        similarities,
        rows,
        base.values,
        tau=0.1,
        beta=0.5,
        counts=base.counts if reduction.weigh else None,
        span=base.span,
    )
    always = reduction.model_copy(update={"skip_above": None})
    asking = cell.model_copy(update={"tau": 0.1, "beta": 0.5, "reduction": always})
    path = query_path(index, base, asking)
    answered = path(torch.from_numpy(against.astype(np.float32)), output.embedding).numpy()
    if (rows[:, 0] < 0).any() or not np.allclose(answered, expected, rtol=1e-3, atol=1e-3):
        raise UserError("the query path did not answer what was retrieved: nothing was measured")


def _same(what: str, path: str, shape: Sequence[int], expected: Sequence[int]) -> None:
    if tuple(shape) != tuple(expected):
        shapes = [" x ".join(map(str, lengths)) for lengths in (shape, expected)]
        raise UserError(f"{what} {path}: {shapes[0]}, the cell says {shapes[1]}")


def _queries(job: LatencyJob, path: Path) -> Vectors:
    """The queries of this process [count, d]: those that no search effort was tuned on."""
    try:
        queries: Vectors = load_file(path)["queries"]
    except (OSError, KeyError, SafetensorError) as error:
        raise UserError(f"{path} holds no queries: {error}") from error
    if queries.ndim != 2 or queries.shape[1] != job.cell.dim or len(queries) < 2:
        raise UserError(f"queries {path}: shape {queries.shape}, the cell is {job.cell.dim} wide")
    finite, zero = np.isfinite(queries).all(axis=1), ~queries.any(axis=1)
    for bad, flaw in ((~finite, "holds NaN or infinity"), (zero, "is all zeros")):
        if bad.any():
            raise EmbeddingError(f"queries {path}: query {np.argmax(bad)} {flaw}")
    held = queries[len(queries) // 2 :]
    return held[dealt(len(held), job.count, job.seed, job.process)]


def _fits(encoder: Encoder | OnnxEncoder, inputs: Inputs, dim: int) -> None:
    vocabulary = int(encoder.backbone.config.vocab_size)
    if encoder.width != dim:
        raise UserError(f"the student is {encoder.width} wide, the knowledge base {dim}")
    if int(inputs.ids.max()) >= vocabulary:
        raise UserError(f"inputs hold id {inputs.ids.max()}, the student knows {vocabulary} tokens")
    if int(inputs.lengths.max()) > encoder.longest:
        raise UserError(
            f"inputs have up to {inputs.lengths.max()} tokens, the student takes {encoder.longest}"
        )
