"""Folders of saved classifiers as they may be found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reaugkd.artifacts import checksums
from reaugkd.retrieval.saved import CHECKSUMS, SETTINGS


def earlier(folder: Path, **changed: Any) -> Path:
    """The folder as a version before checksums wrote it, with ``changed`` settings; None: without.

    What it holds is checked by nothing but what its parts know of each other.
    """
    settings = {**json.loads((folder / SETTINGS).read_text()), CHECKSUMS: None, **changed}
    kept = {name: value for name, value in settings.items() if value is not None}
    (folder / SETTINGS).write_text(json.dumps(kept))
    (folder / checksums.FILE).unlink(missing_ok=True)
    return folder
