"""What was measured: a table in Markdown to paste, and JSON with where it was measured."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tabulate import tabulate

from bench.records import provenance

PEERS = (
    *("langchain-community", "langchain-core", "sentence-transformers"),
    *("textbrewer", "torchdistill", "torchvision"),
)

Row = Mapping[str, Any]


def write(what: str, rows: Sequence[Row], of: Row, file: Path | None) -> str:
    """The table of ``rows`` in Markdown; it is added to ``file``, a JSON list, if there is one.

    ``of`` says what was measured: rows, rounds, sizes.
    """
    if file is not None:
        parts = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        where = provenance.collect(" ".join(sys.argv), os.getloadavg(), "cpu").model_dump()
        where["packages"] |= installed()
        parts.append({"what": what, "of": dict(of), "rows": list(rows), "provenance": where})
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")
    return tabulate(rows, headers="keys", tablefmt="pipe", floatfmt=".5g", missingval="")


def installed() -> dict[str, str]:
    """Versions of the peers that are installed."""
    versions = {}
    for name in PEERS:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
