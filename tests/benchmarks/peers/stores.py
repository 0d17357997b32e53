"""The tools whose search is compared, by their names in the table."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from tests.benchmarks.peers import paths
from tests.benchmarks.peers.bed import CONDENSER, Bed, Store

EXACT, FAISS, LANGCHAIN = "reaugkd, exact", "reaugkd, faiss", "LangChain FAISS"
HNSWLIB, LOOP, SEMANTIC = "reaugkd, hnswlib", "hnswlib loop", "semantic_search"
CONDENSED = f"reaugkd, exact, {CONDENSER}"

RIVALS = {LANGCHAIN: FAISS, LOOP: HNSWLIB, SEMANTIC: EXACT}
"""Which path of ours searches the same index as a tool."""


def _langchain(bed: Bed) -> Store:
    from tests.benchmarks.peers import with_langchain

    return with_langchain.store(bed)


def _semantic_search(bed: Bed) -> Store:
    from tests.benchmarks.peers import with_sentence_transformers

    return with_sentence_transformers.store(bed)


def _loop(bed: Bed) -> Store:
    from tests.benchmarks.peers import plain_hnswlib

    return plain_hnswlib.store(bed)


STORES: dict[str, tuple[str | None, Callable[[Bed], Store]]] = {
    EXACT: (None, lambda bed: paths.over(bed, bed.base, bed.exact)),
    HNSWLIB: ("hnswlib", lambda bed: paths.over(bed, bed.base, bed.hnswlib)),
    FAISS: (None, lambda bed: paths.over(bed, bed.base, bed.faiss)),
    CONDENSED: (None, lambda bed: paths.over(bed, bed.condensed, bed.exact_condensed)),
    LOOP: ("hnswlib", _loop),
    LANGCHAIN: ("langchain_community", _langchain),
    SEMANTIC: ("sentence_transformers", _semantic_search),
}
"""Name -> the library that it needs, and how it is made."""


def installed(bed: Bed) -> dict[str, Store]:
    """The stores over ``bed`` whose library is installed."""
    return {
        name: make(bed)
        for name, (library, make) in STORES.items()
        if library is None or find_spec(library)
    }
