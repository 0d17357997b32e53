"""What checksums add to loading a classifier as large as all-MiniLM-L6-v2 (about 90 MB of weights).

The folder is read from the cache of the system, as after it was written: what is timed is SHA-256
itself. The knowledge base and the index are left out on both sides: they are hashed when they are
read, by their own manifests, and not once more.

Run ``pytest tests/benchmarks/test_checksums.py -s`` for MB/s and the share.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from reaugkd.models.encoder import Encoder, random_backbone
from reaugkd.retrieval import ann, sound
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.tasks import mini

CONFIG = {
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
}
SLOWEST = 150.0
"""MB/s. Sane where no instructions of the processor help SHA-256, and on a busy machine. A share of
loading would say little: weights are mapped, and read at the first answer."""


def fastest(call: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the fastest of a few calls."""
    seconds = []
    for _ in range(rounds):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return min(seconds)


def test_hashing_is_as_fast_as_a_disk(tmp_path: Path) -> None:
    encoder = Encoder(random_backbone(CONFIG, 30_522, seed=0), 2)
    keys = np.random.default_rng(0).standard_normal((1_000, 384))
    base = KnowledgeBase.build(keys, np.eye(2)[np.arange(1_000) % 2], np.arange(1_000))
    index = ann.make("exact")
    index.build(base.keys)
    model = RetrievalAugmentedClassifier(
        encoder, mini.tokenizer(), base, index, k=8, tau=0.1, beta=0.5
    )
    model.save_pretrained(tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.glob("student/*"))
    hashing = fastest(lambda: sound.require(tmp_path))
    loading = fastest(lambda: RetrievalAugmentedClassifier.from_pretrained(tmp_path))
    print(
        f"\n{size / 1e6:.0f} MB: {size / 1e6 / hashing:.0f} MB/s, {1e3 * hashing:.0f} of "
        f"{1e3 * loading:.0f} ms of loading, {100 * hashing / loading:.0f} %"
    )
    assert size / 1e6 / hashing > SLOWEST
