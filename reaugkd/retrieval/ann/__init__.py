"""ANN backends behind one contract, one file per library, imported when used.

A *spec* names a backend and, after a colon, one of its variants: ``hnswlib``, ``faiss``,
``faiss:IVF64,Flat``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reaugkd.errors import UnknownNameError, UserError, WrongMachineError
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
            "HNSW graph; faiss:SQ8, :SQfp16, :PQ or any factory string: faiss:IVF256,Flat",
            "faiss",
            "all",
        ),
        "annoy": Entry(
            "reaugkd.retrieval.ann.annoy:Annoy", "random projection trees", "annoy", "annoy"
        ),
        "usearch": Entry(
            "reaugkd.retrieval.ann.usearch:Usearch",
            "HNSW graph over f16, or usearch:f32, :bf16, :i8",
            "usearch",
            "usearch",
        ),
        "svs": Entry(
            "reaugkd.retrieval.ann.svs:Svs",
            "Vamana graph over lvq8, or svs:lvq4x8, :lvq8x8 (Intel only), or svs:f32; x86-64 only",
            "svs",
            "svs",
            ("x86_64", "AMD64"),
        ),
        "voyager": Entry(
            "reaugkd.retrieval.ann.voyager:Voyager",
            "HNSW graph over f32, or voyager:e4m3, :i8",
            "voyager",
            "voyager",
        ),
        "auto": Entry(
            "reaugkd.retrieval.ann.auto.backend:Auto",
            "the fastest of them here by measurement; auto:32 for batches of 32",
        ),
    },
    group="reaugkd.ann",
)


def canonical(spec: str) -> str:
    """One spelling per spec; nothing is imported and no variant is checked.

    >>> canonical("FAISS: IVF64,Flat"), canonical("annoy:")
    ('faiss:IVF64,Flat', 'annoy')
    """
    name, _, variant = spec.partition(":")
    return ":".join(filter(None, (BACKENDS.resolve(name.strip()), variant.strip())))


def split_specs(text: str) -> list[str]:
    """The specs of a comma-separated list, where a variant may hold commas itself.

    >>> split_specs("exact,faiss:IVF64,Flat,annoy")
    ['exact', 'faiss:IVF64,Flat', 'annoy']
    """
    specs: list[str] = []
    for piece in filter(None, map(str.strip, text.split(","))):
        try:
            specs.append(canonical(piece))
        except UnknownNameError:
            if not specs or ":" not in specs[-1]:
                raise
            specs[-1] += f",{piece}"
    return specs


def make(spec: str, *, threads: int = 1, seed: int = 0, **settings: Any) -> AnnIndex:
    """An empty index by its spec; ``settings`` go to the backend's constructor."""
    name, _, variant = canonical(spec).partition(":")
    backend = BACKENDS[name]
    chosen = backend.settings_of(variant) if variant else {}
    return backend(threads=threads, seed=seed, **chosen, **settings)


def refused_here(spec: str) -> str | None:
    """Why no processor of this kind runs ``spec``, or None.

    A missing library, or a parameter that the backend does not take, is an error as in ``make``.
    """
    try:
        make(spec)
    except WrongMachineError as error:
        return str(error)
    return None


def load(path: Path, *, threads: int = 1) -> AnnIndex:
    """A saved index of whichever backend wrote it."""
    from reaugkd.artifacts import sealed
    from reaugkd.retrieval.ann.index import PAYLOAD

    name = sealed.peek(path, PAYLOAD).get("index")
    if not isinstance(name, str):
        raise UserError(f"{path} holds no index of this project")
    return BACKENDS[name].load(path, threads=threads)
