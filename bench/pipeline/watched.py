"""An artefact store that tells what it made, what it found, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from reaugkd.artifacts.store import Artifact, ArtifactStore, Build
from reaugkd.reporter import Reporter


class Listener(Reporter, Protocol):
    """A reporter that is told of cells and artefacts too."""

    def begun(self, key: str) -> None:
        """The cell with ``key`` begins."""

    def artifact(self, kind: str, reused: bool, seconds: float) -> None:
        """An artefact was made, or was there already.

        Args:
            kind: e.g. ``teacher``.
            reused: whether it was there, perhaps since another process made it meanwhile.
            seconds: it took, waiting included, those of further artefacts it needed excluded.
        """


class WatchedStore(ArtifactStore):
    """Tells its listener of each artefact once.

    Args:
        root: as of every artefact store.
        listener: who is told.
    """

    def __init__(self, root: Path, listener: Listener) -> None:
        super().__init__(root, listener)
        self._listener = listener
        self._told: set[str] = set()
        self._inner: list[float] = []
        """Of each artefact in the making, the seconds of those that it needed."""

    def get(self, kind: str, identity: Mapping[str, Any], build: Build) -> Artifact:
        """As of every artefact store."""
        self._inner.append(0.0)
        began = time.perf_counter()
        try:
            found = super().get(kind, identity, build)
        finally:
            seconds = time.perf_counter() - began
            own = seconds - self._inner.pop()
            if self._inner:
                self._inner[-1] += seconds
        if found.key not in self._told:
            self._told.add(found.key)
            self._listener.artifact(kind, found.reused, own)
        return found
