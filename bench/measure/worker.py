"""The measuring process: ``python -m bench.measure.worker JOB.json RESULT.npz``.

Exit code 0 with the result, or 2 with one line on stderr. What reads thread settings is imported
after the process has been put on its cores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import environment
from bench.measure.job import Job
from reaugkd.artifacts.atomic import replacing
from reaugkd.errors import EmbeddingError, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from bench.measure.inputs import Inputs
    from reaugkd.models.encoder import Encoder, EncoderOutput
    from reaugkd.retrieval.ann.index import AnnIndex
    from reaugkd.retrieval.knowledge_base import KnowledgeBase
    from reaugkd.retrieval.normalise import Vectors
    from reaugkd.retrieval.query import QueryPath


def measure(job: Job) -> dict[str, Any]:
    """Load everything, run the loop, and describe the process.

    Returns:
        The arrays of the result: ``forward``, ``added`` and ``plain`` [rounds, batches] int64 in
        nanoseconds; ``rows`` and ``tokens`` [count], the inputs in the order they were run and
        their lengths; ``environment``, JSON.

    Raises:
        UserError: if the parts are missing, damaged or do not belong together.
    """
    before = os.getloadavg()
    import numpy as np
    import torch

    from bench.measure import student, timing
    from bench.measure.inputs import Inputs
    from reaugkd.retrieval.knowledge_base import KnowledgeBase
    from reaugkd.retrieval.query import QueryPath

    cell = job.cell
    torch.set_num_threads(cell.threads)
    inputs = Inputs.load(Path(job.inputs))
    base = KnowledgeBase.load(Path(job.base))
    _same("knowledge base", job.base, base.keys.shape, (cell.size, cell.dim))
    _same("values of", job.base, base.values.shape, (cell.size, cell.classes))
    index = _index(job, base)
    queries = None if job.queries is None else _queries(job, Path(job.queries))
    encoder = student.load(job.student, cell.precision, cell.classes)
    _fits(encoder, inputs, cell.dim)

    rows = inputs.grouped(inputs.draw(job.count, job.seed, job.process), cell.batch)
    path = QueryPath(index, base.values, k=cell.k, tau=cell.tau, beta=cell.beta)

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
        _retrieves(path, base, answered)
    order = np.concatenate(rows)
    seen = environment.observe(before)
    return {
        **laps._asdict(),
        "rows": order,
        "tokens": inputs.lengths[order],
        "environment": np.array(seen.model_dump_json()),
    }


def _retrieves(path: QueryPath, base: KnowledgeBase, output: EncoderOutput) -> None:
    """Raise UserError unless the query path answers what its index and the mixture say.

    The student's logits are replaced by ones that contradict what is retrieved, and half of the
    answer is retrieved, so that an answer without retrieval is far from the expected one.
    """
    import numpy as np
    import torch

    from reaugkd.retrieval import mixing

    similarities, rows = path.index.search(output.embedding.float().numpy(), path.k)
    nearest = base.values[rows[:, 0]]
    against = nearest + 1.0 if nearest.shape[1] == 1 else 4.0 * (1.0 - nearest)
    student = mixing.probabilities(against.astype(np.float32))
    expected = mixing.augment(student, similarities, rows, base.values, tau=0.1, beta=0.5)
    asked = type(path)(path.index, base.values, k=path.k, tau=0.1, beta=0.5)
    answered = asked(torch.from_numpy(against), output.embedding).numpy()
    if (rows[:, 0] < 0).any() or not np.allclose(answered, expected, rtol=1e-3, atol=1e-3):
        raise UserError("the query path did not answer what was retrieved: nothing was measured")


def _same(what: str, path: str, found: Sequence[int], expected: Sequence[int]) -> None:
    if tuple(found) != tuple(expected):
        shapes = [" x ".join(map(str, shape)) for shape in (found, expected)]
        raise UserError(f"{what} {path}: {shapes[0]}, the cell says {shapes[1]}")


def _index(job: Job, base: KnowledgeBase) -> AnnIndex:
    from reaugkd.retrieval import ann
    from reaugkd.retrieval.knowledge_base import require_own

    threads = job.cell.threads
    if job.cell.k > len(base):
        raise UserError(f"k {job.cell.k}: knowledge base {job.base} has {len(base)} entries")
    if job.index is None:
        index = ann.make(job.spec, threads=threads)
        index.build(base.keys)
    else:
        index = ann.load(Path(job.index), threads=threads)
        require_own(index, Path(job.base))
        _same("index", job.index, (index.size, index.dim), base.keys.shape)
    if job.effort is not None:
        index.effort = job.effort
    return index


def _queries(job: Job, path: Path) -> Vectors:
    """The queries of this process [count, d]: those that no search effort was tuned on."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from bench.measure.inputs import dealt

    try:
        found: NDArray[np.float32] = load_file(path)["queries"]
    except (OSError, KeyError, SafetensorError) as error:
        raise UserError(f"{path} holds no queries: {error}") from error
    if found.ndim != 2 or found.shape[1] != job.cell.dim or len(found) < 2:
        raise UserError(f"queries {path}: shape {found.shape}, the cell is {job.cell.dim} wide")
    finite, zero = np.isfinite(found).all(axis=1), ~found.any(axis=1)
    for bad, flaw in ((~finite, "holds NaN or infinity"), (zero, "is all zeros")):
        if bad.any():
            raise EmbeddingError(f"queries {path}: query {np.argmax(bad)} {flaw}")
    held = found[len(found) // 2 :]
    return held[dealt(len(held), job.count, job.seed, job.process)]


def _fits(encoder: Encoder, inputs: Inputs, dim: int) -> None:
    known = int(encoder.backbone.config.vocab_size)
    if encoder.width != dim:
        raise UserError(f"the student is {encoder.width} wide, the knowledge base {dim}")
    if int(inputs.ids.max()) >= known:
        raise UserError(f"inputs hold id {inputs.ids.max()}, the student knows {known} tokens")
    if int(inputs.lengths.max()) > encoder.longest:
        raise UserError(
            f"inputs have up to {inputs.lengths.max()} tokens, the student takes {encoder.longest}"
        )


def write(path: Path, arrays: dict[str, Any]) -> None:
    """Write an npz; after a kill ``path`` is whole or not there.

    Raises:
        UserError: naming the path, if it cannot be written.
    """
    import numpy as np

    try:
        with replacing(path) as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def main(arguments: Sequence[str]) -> int:
    """Run the job; returns the exit code."""
    try:
        if len(arguments) != 2:
            raise UserError("usage: python -m bench.measure.worker JOB.json RESULT.npz")
        job = Job.read(Path(arguments[0]))
        environment.require(job.cell.threads, job.cell.precision)
        environment.pin(job.cell.threads)
        write(Path(arguments[1]), measure(job))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
