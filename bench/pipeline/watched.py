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
        """An artefact, e.g. ``teacher``, was made, or was there (perhaps of another process).

        It took ``seconds``, waiting included, those of further artefacts it needed excluded.
        """


class WatchedStore(ArtifactStore):
    """Tells its listener of each artefact once."""

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
            artifact = super().get(kind, identity, build)
        finally:
            seconds = time.perf_counter() - began
            seconds_of_its_own = seconds - self._inner.pop()
            if self._inner:
                self._inner[-1] += seconds
        if artifact.key not in self._told:
            self._told.add(artifact.key)
            self._listener.artifact(kind, artifact.reused, seconds_of_its_own)
        return artifact
