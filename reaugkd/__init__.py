"""Retrieval-augmented knowledge distillation: train, save, load and serve ReAugKD students."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("reaugkd")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_EXPORTS = {
    "KnowledgeBase": "reaugkd.retrieval.knowledge_base",
    "ReAugKD": "reaugkd.method",
    "ReAugKDClassifier": "reaugkd.estimator",
    "RetrievalAugmentedClassifier": "reaugkd.retrieval.classifier",
}

__all__ = [
    "KnowledgeBase",
    "ReAugKD",
    "ReAugKDClassifier",
    "RetrievalAugmentedClassifier",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # Imported on first use: `import reaugkd` alone must not load torch.
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
