"""A black-box teacher: no model, only what it said of the rows, from files."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.pipeline.keys import KeyEncoder
from bench.pipeline.teacher import NOT_TRAINED, TaskTeacher
from reaugkd.artifacts import fingerprint
from reaugkd.artifacts.store import Artifact
from reaugkd.distiller import LIVE, Distiller, Shape, Signal
from reaugkd.errors import ModelError, UserError
from reaugkd.models.encoder import Encoder
from reaugkd.signals import TeacherSignals
from reaugkd.tasks import output_files, outputs
from reaugkd.tasks.output_files import TRAIN
from reaugkd.tasks.outputs import TeacherOutputs

HELD_OUT = "held_out"
NO_WEIGHTS = "a black-box teacher has no weights"
NO_LIMIT = 1 << 30
"""Tokens that it can read: it has read already."""


class Said(NamedTuple):
    """What the teacher said of the rows of a split: logits [n, C], embeddings [n, H] or None."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32] | None


class BlackBoxTeacher(TaskTeacher):
    """What ``teacher.outputs`` holds, by row; ``teacher.key_encoder`` may bring embeddings."""

    @property
    def trains(self) -> bool:
        """It cannot be."""
        return False

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides the signals: the content of the files as far as rows use it."""
        content = {
            split: [fingerprint.of_array(table) for table in said if table is not None]
            for split, said in self.said.items()
        }
        identity = {"task": self.task.name, "data": self.rows.data.fingerprint, "outputs": content}
        return identity | ({"keys": self.keys.identity} if self.keys else {})

    @property
    def signals_identity(self) -> dict[str, Any]:
        """The same: nothing is computed."""
        return self.identity

    @property
    def forwards(self) -> int:
        """Examples that a key encoder embeds."""
        return 0 if self.keys is None else len(self.rows.data.fit)

    @property
    def has_model(self) -> bool:
        """Only its answers are there."""
        return False

    @property
    def init(self) -> str:
        """What the teacher is, in words."""
        return f"outputs of {self._path.name}"

    @cached_property
    def keys(self) -> KeyEncoder | None:
        """What embeds the rows in the teacher's place, if it is asked for.

        Raises:
            UserError: if the outputs have embeddings of their own.
        """
        spec = self.config.teacher.key_encoder
        if spec is None:
            return None
        if self.said["fit"].embedding is not None:
            raise UserError(
                f"{self._files[TRAIN]} has embeddings: leave teacher.key_encoder out, or the "
                "embeddings"
            )
        return KeyEncoder(spec, self.rows, self.device, self.reporter)

    @property
    def embeds(self) -> bool:
        """Whether the outputs or a key encoder bring embeddings."""
        return self.keys is not None or self.said["fit"].embedding is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """How labels were matched, and where the keys come from."""
        matched = (given.note for given in self._given.values() if given.note)
        if self.keys is not None:
            keys = f"keys come from {self.keys.spec.describe()}, reaugkd aligns with them"
        elif self.embeds:
            keys = "keys come from the embeddings in the teacher's outputs"
        else:
            keys = (
                "the teacher's outputs have no embeddings: keys are the student's own, and reaugkd "
                "learns without alignment"
            )
        judged = HELD_OUT in self.said
        silent = "the teacher says nothing of held-out rows: nobody knows whether it is any good"
        return (*dict.fromkeys(matched), keys, *(() if judged else (silent,)))

    def refuses(self, method: Distiller) -> str | None:
        """Methods that need more than logits, or embeddings that are not there."""
        needs = method.uses()
        if needs & LIVE:
            return f"{NO_WEIGHTS}, and {method.name} runs or trains its teacher"
        if Signal.STATES in needs:
            return f"a black-box teacher has no states of [CLS], which {method.name} needs"
        own = self.said["fit"].embedding is not None
        if Signal.EMBEDDING in needs - method.optional and not own:
            return f"{method.name} needs the teacher's embeddings, and its outputs have none"
        return None

    # --- what it said --------------------------------------------------------------------------

    @property
    def _path(self) -> Path:
        path = self.config.teacher.outputs
        if path is None:
            raise ValueError("a black-box teacher needs teacher.outputs")
        return path

    @cached_property
    def _files(self) -> dict[str, Path]:
        of_train = self.rows.data.of_train()
        apart = (split for split in self.rows.queried if split not in of_train)
        return output_files.files(self._path, (TRAIN, *apart))

    @cached_property
    def _given(self) -> dict[str, TeacherOutputs]:
        return {split: outputs.read(file, self.task) for split, file in self._files.items()}

    @cached_property
    def said(self) -> dict[str, Said]:
        """Split -> what the teacher said of its rows, in their order; ``fit`` at least.

        Raises:
            DataError: names file and row of what does not fit the rows.
        """
        data, train = self.rows.data, self._given[TRAIN]
        of_train, said = data.of_train(), {}
        for split, rows in data.splits().items():
            given = train if split in of_train else self._given.get(split)
            if given is None:
                continue
            ids = np.asarray(rows["idx"][:])
            total = data.train_rows if given is train else len(ids)
            places = given.places(ids, total, TRAIN if given is train else split)
            embedding = given.embedding if split == "fit" else None  # nobody asks for others
            said[split] = Said(
                given.logits[places], None if embedding is None else embedding[places]
            )
        return said

    def check_labels(self) -> None:
        """Read and check the files, and the key encoder, so that the plan shows what is wrong."""
        self._say_notes()
        if self.keys is not None:
            self.keys.check()

    @cached_property
    def shape(self) -> tuple[Shape, int]:
        """Width of the embeddings, 0 without any; its depth is not known."""
        if self.keys is not None:
            return Shape(self.keys.width, 0), NO_LIMIT
        embedding = self.said["fit"].embedding
        return Shape(0 if embedding is None else embedding.shape[1], 0), NO_LIMIT

    def untrained(self) -> Encoder:
        """Raise ModelError: there is no model."""
        raise ModelError(f"{NO_WEIGHTS}: nothing can be made of its layers")

    def encoder(self) -> Encoder:
        """Raise ModelError: there is no model."""
        return self.untrained()

    # --- artefacts -----------------------------------------------------------------------------

    def _make(self, folder: Path) -> dict[str, Any]:
        load = os.getloadavg()
        scores = {
            split: self.rows.scores(split, said.logits)
            for split, said in self.said.items()
            if split != "fit"
        }
        return {
            "scores": scores,
            "provenance": self.stamp(load),
            **NOT_TRAINED,
            "parameters": None,
        }

    @cached_property
    def signals(self) -> dict[str, TeacherSignals]:
        """What it said, by split, as files that are memory-mapped."""
        _ = self.artifact  # a teacher below the floor teaches nothing

        def build(folder: Path) -> dict[str, Any]:
            for split, said in self.said.items():
                np.save(folder / f"{split}.logits.npy", said.logits)
                if said.embedding is not None:
                    np.save(folder / f"{split}.embedding.npy", said.embedding)
            if self.keys is not None:
                np.save(folder / "fit.embedding.npy", self.keys.embeddings())
            return {"rows": {split: len(said.logits) for split, said in self.said.items()}}

        artifact: Artifact = self.artifacts.get("signals", self.signals_identity, build)
        return {split: TeacherSignals.open(artifact.path, split) for split in self.said}
