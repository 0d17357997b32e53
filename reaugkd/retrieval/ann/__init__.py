"""ANN backends behind one contract, one file per library, imported when used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reaugkd.registry import Entry, Registry

if TYPE_CHECKING:
    from reaugkd.retrieval.ann.index import AnnIndex

BACKENDS: Registry[type[AnnIndex]] = Registry(
    "ANN backend",
    {
        "exact": Entry("reaugkd.retrieval.ann.exact:Exact", "all similarities, no approximation"),
        "hnswlib": Entry(
            "reaugkd.retrieval.ann.hnswlib:Hnswlib", "HNSW graph", "hnswlib", "hnswlib"
        ),
        "faiss": Entry(
            "reaugkd.retrieval.ann.faiss:Faiss",
            "HNSW graph by default, or any factory string: faiss:Flat, faiss:IVF256,Flat",
            "faiss",
            "all",
        ),
        "annoy": Entry(
            "reaugkd.retrieval.ann.annoy:Annoy", "random projection trees", "annoy", "annoy"
        ),
    },
    group="reaugkd.ann",
)
