"""The state of a training run on disk: complete, or the one before it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from safetensors.torch import load_file, save_file

from reaugkd.artifacts.store import SCRATCH, checksum, write_json
from reaugkd.reporter import Reporter, Silent

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import nn

    from reaugkd.batch import LossTerms

STATE, PROGRESS, BEST = "state", "progress.json", "best.safetensors"


@dataclass
class Progress:
    """How far a training run is; plain JSON.

    ``epoch`` counts finished epochs, ``batches`` those of the epoch under way and ``sums`` its loss
    terms; ``work`` is learner -> examples forward and backward, ``state`` the distiller's own.
    ``best_epoch`` counts from 1, 0 is none.
    """

    epoch: int = 0
    batches: int = 0
    steps: int = 0
    examples: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    work: dict[str, list[int]] = field(default_factory=dict)
    state: dict[str, float] = field(default_factory=dict)
    best_score: float = 0.0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def count(self, terms: LossTerms, examples: int) -> None:
        """One more batch is done."""
        self.batches += 1
        self.examples += examples
        for name, value in terms.values.items():
            # Stays a tensor until it is needed: a number would make an accelerator wait.
            self.sums[name] = self.sums.get(name, 0.0) + value.detach()  # type: ignore[assignment]

    def close_epoch(
        self,
        means: Mapping[str, float],
        scores: Mapping[str, float],
        select_on: str,
        *,
        keep: bool = False,
    ) -> None:
        """The epoch is over: write its row, see whether it is the best (or to be kept anyway)."""
        self.epoch += 1
        losses = {f"loss/{name}": float(value) for name, value in means.items()}
        self.history.append({"epoch": self.epoch, **losses, **scores})
        if keep or self.best_epoch == 0 or scores[select_on] > self.best_score:
            self.best_score, self.best_epoch = scores[select_on], self.epoch
        self.batches, self.sums = 0, {}

    def plain(self) -> dict[str, object]:
        """As plain JSON."""
        fields = asdict(self)
        fields["sums"] = {name: float(value) for name, value in self.sums.items()}
        return fields


class Checkpoint:
    """Saves and resumes training below one folder, every ``every`` seconds within an epoch.

    A new state is written beside the old one and takes its place by renames; a kill at any moment
    leaves a complete state, the new one or the one before.
    """

    def __init__(self, folder: Path, every: float = 60.0, reporter: Reporter | None = None) -> None:
        self.folder, self.every = folder, every
        self._reporter = reporter or Silent()
        self._last = time.monotonic()

    @classmethod
    def of_stage(cls, folder: Path, reporter: Reporter) -> Self:
        """The one of a training inside a stage; it goes when the stage is finished."""
        return cls(folder / SCRATCH / "training", reporter=reporter)

    def due(self) -> bool:
        """Whether ``every`` seconds have passed since the last save."""
        return time.monotonic() - self._last >= self.every

    def save(
        self, accelerator: Accelerator, model: nn.Module, progress: Progress, *, best: bool = False
    ) -> None:
        """Keep the whole state; with ``best`` also keep the weights as the best so far."""
        new, old = self.folder / "new", self.folder / "old"
        current, previous = self.folder / "current", self._complete()
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        accelerator.save_state(str(new / STATE))
        if best:
            save_file(model.state_dict(), new / BEST)
        elif previous is not None and (previous / BEST).is_file():
            (new / BEST).hardlink_to(previous / BEST)
        # Last: its presence says "complete", its checksums what that is.
        write_json(new / PROGRESS, {"progress": progress.plain(), "files": _files(new)})
        if current.exists():
            shutil.rmtree(old, ignore_errors=True)
            current.rename(old)
        new.rename(current)
        shutil.rmtree(old, ignore_errors=True)
        self._last = time.monotonic()

    def _complete(self) -> Path | None:
        """The newest state that is whole; a damaged one is named and passed over."""
        for name in ("current", "old"):
            folder = self.folder / name
            if not (folder / PROGRESS).is_file():
                continue
            try:
                if json.loads((folder / PROGRESS).read_text())["files"] == _files(folder):
                    return folder
                reason = "a file has changed"
            except (OSError, ValueError, KeyError, TypeError) as error:
                reason = str(error)
            self._reporter.note(f"checkpoint {folder} is damaged ({reason}): it is not used")
        return None

    def resume(self, accelerator: Accelerator) -> Progress | None:
        """Load the last complete state into what ``accelerator`` has prepared, if there is one."""
        folder = self._complete()
        if folder is None:
            return None
        accelerator.load_state(str(folder / STATE))
        self._last = time.monotonic()
        return Progress(**json.loads((folder / PROGRESS).read_text(encoding="utf-8"))["progress"])

    def load_best(self, model: nn.Module) -> None:
        """Give ``model`` the best weights."""
        folder = self._complete()
        if folder is not None and (folder / BEST).is_file():
            model.load_state_dict(load_file(folder / BEST))


def _files(folder: Path) -> dict[str, str]:
    """Checksums of all files of a state but the one that holds them."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != PROGRESS]
    return {str(path.relative_to(folder)): checksum(path) for path in paths}
