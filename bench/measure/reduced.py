"""Generated knowledge bases made smaller: by fewer keys, shorter keys, values of fewer bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.measure.bases import BaseSource
from bench.records.measurement import Reduction
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import condense
from reaugkd.retrieval.knowledge_base import KnowledgeBase


def parse(text: str) -> str:
    """The canonical spec of a condenser that works on generated bases.

    Raises:
        UserError: for a name that does not exist, with the nearest; for one that needs a student's
            answers, or that finds its number of entries itself.
    """
    spec = condense.parse(text)
    condenser = condense.make(str(spec))
    if condenser.asks:
        raise UserError(
            f"--condense {spec}: needs a student's answers, which a generated base has not: "
            "measure a run or an exported classifier that was condensed so"
        )
    if spec.name != condense.FULL and spec.entries is None:
        raise UserError(f"--condense {spec}: give its number of entries, e.g. {spec.name}:256")
    return str(spec)


def entries(text: str, size: int) -> int:
    """Entries of a base of ``size`` that a canonical spec condenses."""
    number = condense.parse(text).entries
    return size if number is None else number


def reduction(text: str, pca: int | None, value_bits: int, size: int) -> Reduction | None:
    """What a spec, a width of keys and the bits of a value make of a base; None for nothing."""
    rows = None if text == condense.FULL else size
    asked = Reduction(condense=text, rows=rows, pca=pca, value_bits=value_bits)
    return None if asked == Reduction() else asked


def reduced(
    store: ArtifactStore,
    source: BaseSource,
    asked: Reduction | None,
    reporter: Reporter | None = None,
) -> BaseSource:
    """``source`` with what was asked for done to it; the queries stay.

    Keys are shortened first, so that a condenser sees them as they are searched.

    Raises:
        UserError: for keys that would become wider.
    """
    if asked is None:
        return source
    if asked.pca is not None and asked.pca > source.dim:
        raise UserError(f"--pca {asked.pca}: keys of base {source.name} are {source.dim} wide")
    identity: dict[str, Any] = {"base": dict(source.identity)}
    identity |= asked.model_dump(include={"pca", "value_bits"}, exclude_defaults=True)
    if asked.condensed:
        version = condense.CONDENSERS[condense.parse(asked.condense).name].version
        identity["condense"] = [asked.condense, version]

    def build(folder: Path) -> Mapping[str, Any] | None:
        base = KnowledgeBase.load(source.folder)
        told = reporter or Silent()
        told.start(f"{source.name}: {asked.words}", len(base), "entries")
        if asked.pca is not None:
            base = base.compressed(asked.pca)
        # A condenser makes keys of keys and knows nothing of what queries go through.
        base = replace(condense.make(asked.condense)(base), basis=base.basis)
        if asked.value_bits == 8:
            base = base.quantised()
        base.save(folder)
        told.advance(source.size)
        told.finish()
        return None

    def files() -> tuple[Path, Path]:
        return store.get("reduced-base", identity, build).path, source.queries_file

    size = entries(asked.condense, source.size)
    described = {"reduced": identity}
    return replace(source, size=size, identity=described, files=files, reduction=asked)
