"""LangChain's FAISS store, made of an index, documents and their ids as its reference shows.

It searches the very index that the query path searches, at the same effort, by a list of numbers as
``embed_query`` gives one. It gives documents and scores; nothing is mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_community.docstore.in_memory import InMemoryDocstore
from langchain_community.vectorstores import FAISS
from langchain_community.vectorstores.utils import DistanceStrategy
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from tests.benchmarks.peers.bed import Bed, K, Store


class Embedded(Embeddings):
    """An embedding function that the store asks for and this comparison never calls."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Not called: the vectors are in the index."""
        raise NotImplementedError

    def embed_query(self, text: str) -> list[float]:
        """Not called: queries come as vectors."""
        raise NotImplementedError


def store(bed: Bed) -> Store:
    """The store over the bed's index, one document per row."""
    held: Any = bed.faiss
    ids = {row: str(row) for row in range(bed.size)}
    documents = {
        key: Document(id=key, page_content=f"text {key}", metadata={"row": row})
        for row, key in ids.items()
    }
    found = FAISS(
        embedding_function=Embedded(),
        index=held._index,
        docstore=InMemoryDocstore(documents),
        index_to_docstore_id=ids,
        distance_strategy=DistanceStrategy.MAX_INNER_PRODUCT,
    )
    queries = bed.unit.tolist()

    def ask(number: int) -> list[tuple[Document, float]]:
        answers: list[tuple[Document, float]] = found.similarity_search_with_score_by_vector(
            queries[number], k=K
        )
        return answers

    def rows(number: int) -> Sequence[int]:
        return [document.metadata["row"] for document, _ in ask(number)]

    return Store(ask, rows)
