"""The folder of a saved classifier: its parts, its settings and the texts of its entries.

Nothing here imports torch: what a folder holds can be listed at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reaugkd.artifacts import checksums, sealed
from reaugkd.artifacts.parts import part
from reaugkd.errors import UserError

SETTINGS = "classifier.json"
STUDENT, BASE, INDEX, TEXTS = "student", "knowledge_base", "index", "texts"
ONNX = "onnx"
"""Where the student may lie once more, as :mod:`reaugkd.models.onnx_export` writes it."""

FACTS = "facts.json"
PARTS = (STUDENT, BASE, INDEX, TEXTS, SETTINGS, FACTS, checksums.FILE)
"""What a save replaces; other files in the folder stay."""

STORED = ("k", "tau", "beta", "labels", "max_length", "precision")
PAIR = "pair"  # folders of earlier versions have none of these three
WEIGH = "weigh"
SKIP_ABOVE = "skip_above"
CHECKSUMS = "checksums"  # whether there have to be any
CARD = "README.md"
"""The model card is no part: whoever edits it keeps it."""

TEXTS_FILE = "texts.jsonl"

Text = tuple[str, ...]
"""A sentence, or the two of a pair."""


def read_settings(folder: Path) -> tuple[dict[str, Any], str]:
    """The settings of the classifier in ``folder``, and the name of its backend.

    A UserError names a file that is missing or describes no classifier.
    """
    path = part(folder, SETTINGS)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        settings, name = {key: stored[key] for key in STORED}, str(stored["index"])
        settings[PAIR], settings[WEIGH] = stored.get(PAIR), bool(stored.get(WEIGH, False))
        threshold = stored.get(SKIP_ABOVE)
        settings[SKIP_ABOVE] = math.inf if threshold is None else float(threshold)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} describes no classifier: {error}") from error
    return settings, name


def write_texts(folder: Path, texts: Mapping[int, Text], base: str) -> None:
    """Write the texts of entries by their ids, for the knowledge base with checksum ``base``."""

    def save(path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            for number, text in texts.items():
                row = {"id": int(number), "text": list(text)}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    sealed.write(folder, TEXTS_FILE, {"base": base}, save)


def read_texts_of(folder: Path, base: str) -> dict[int, Text] | None:
    """The texts of entries by their ids; None where the classifier keeps none.

    A UserError names a file that is damaged or belongs to another base than that with checksum
    ``base``.
    """
    if not folder.is_dir():
        return None
    path, manifest = sealed.read(folder, TEXTS_FILE)
    if manifest.get("base") != base:
        raise UserError(f"{path} holds the texts of another knowledge base")
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            rows = [json.loads(line) for line in file]
        return {int(row["id"]): tuple(map(str, row["text"])) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no texts of entries: {error}") from error
