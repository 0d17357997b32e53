"""The store of expensive things: teachers, signals, heads, students, indexes.

An artefact is a folder named by the fingerprint of everything that decides its content. It is
built in a ``.work`` folder that survives a kill (so long work resumes there), completed with
checksums, and appears under its name by one rename; what lies below :data:`SCRATCH` serves
resuming only. A lock per artefact makes a second process wait for the first. A damaged artefact
is named and built again, never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from reaugkd.artifacts import atomic, disk, fingerprint
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter, Silent

MANIFEST, SCRATCH = "manifest.json", "scratch"
SCHEMA = 2
"""Part of every key here and of every cell's: raised whenever the same settings would give another
result than before, so that nothing made by older code is taken for new."""

Build = Callable[[Path], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Artifact:
    """A finished artefact in ``path``, which nobody may write into.

    ``key`` is the fingerprint of ``identity``, everything that decides its content; ``facts`` are
    what its builder reported; ``reused`` tells whether it was there already.
    """

    path: Path
    key: str
    identity: Mapping[str, Any]
    facts: Mapping[str, Any]
    reused: bool


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON; after a kill ``path`` holds either its old or its whole new content."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    atomic.write_bytes(path, f"{text}\n".encode())


class ArtifactStore:
    """Artefacts below ``root``, found by what decides their content.

    The reporter is told of waiting and of damage.
    """

    def __init__(self, root: Path, reporter: Reporter | None = None) -> None:
        self.root = root
        self._reporter = reporter or Silent()
        self._verified: dict[Path, Artifact] = {}

    def get(self, kind: str, identity: Mapping[str, Any], build: Build) -> Artifact:
        """The artefact of ``kind`` with ``identity``, built by ``build(folder)`` if it is missing.

        ``build`` may find in its folder what a killed predecessor left there. What it returns is
        kept as the artefact's ``facts``. A UserError tells that the store cannot be written, a
        DiskFullError that it has no room.
        """
        named, key = self._named(kind, identity), self.key(kind, identity)
        folder = self.root / kind / key
        if folder in self._verified:
            return self._verified[folder]
        with disk.writing(self.root):
            self._require_writable(folder)
            with self._alone(folder):
                artifact = self._open(folder, key) or self._build(folder, key, named, build)
        self._verified[folder] = artifact
        return artifact

    def _require_writable(self, folder: Path) -> None:
        probe = folder.with_name(f".{folder.name}.{os.getpid()}")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            if disk.is_full(error):
                raise
            raise UserError(f"cannot write to the cache {self.root}: {error.strerror}") from error

    def has(self, kind: str, identity: Mapping[str, Any]) -> bool:
        """Whether the artefact is there; :meth:`get` still looks whether it is whole."""
        return (self.root / kind / self.key(kind, identity) / MANIFEST).is_file()

    @classmethod
    def key(cls, kind: str, identity: Mapping[str, Any]) -> str:
        """The key that an artefact of ``kind`` with ``identity`` has or would have."""
        return fingerprint.of_json(cls._named(kind, identity))

    @staticmethod
    def _named(kind: str, identity: Mapping[str, Any]) -> dict[str, Any]:
        return {"kind": kind, "schema": SCHEMA, **identity}

    @contextmanager
    def _alone(self, folder: Path) -> Iterator[None]:
        lock = FileLock(f"{folder}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._reporter.note(f"waiting for another process to finish {folder.name}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _open(self, folder: Path, key: str) -> Artifact | None:
        if not folder.is_dir():
            return None
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            for name, expected in manifest["files"].items():
                if checksum(folder / name) != expected:
                    raise ValueError(f"{name} has changed")
            return Artifact(folder, key, manifest["identity"], manifest["facts"], reused=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._reporter.note(f"{folder} is damaged ({error}): building it again")
            shutil.rmtree(folder)
            return None

    def _build(self, folder: Path, key: str, identity: Mapping[str, Any], build: Build) -> Artifact:
        work = folder.with_name(f"{key}.work")
        work.mkdir(exist_ok=True)
        if not (work / MANIFEST).is_file():  # else it was finished, and killed before the rename
            facts = dict(build(work) or {})
            for left in work.rglob(".*.tmp"):
                left.unlink()  # of a write that was killed before its rename
            atomic.open_up(work)
            paths = [p.relative_to(work) for p in sorted(work.rglob("*")) if p.is_file()]
            files = {str(p): checksum(work / p) for p in paths if p.parts[0] != SCRATCH}
            manifest = {"identity": dict(identity), "facts": facts, "files": files}
            write_json(work / MANIFEST, manifest)
        shutil.rmtree(work / SCRATCH, ignore_errors=True)
        work.rename(folder)
        finished = self._open(folder, key)
        if finished is None:
            raise UserError(f"{folder} was damaged while it was being built: run again")
        return replace(finished, reused=False)
