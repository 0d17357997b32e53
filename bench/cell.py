"""A cell: the unit of work, of resuming and of the report, as plain JSON.

``python -m bench.cell CELL.json --store RUN --cache CACHE`` runs one cell anywhere; the files are
the only channel back.
"""

from __future__ import annotations

import runpy
from typing import Any

from pydantic import ConfigDict

from bench.config import RunConfig
from bench.records.planned import Planned
from reaugkd.artifacts import fingerprint


class Cell(Planned):
    """A planned cell with everything that it takes to run it.

    Attributes:
        identity: everything that decides the result; the key is its fingerprint.
        config: the run's configuration, resolved for the task.
        skip: why it cannot run, if it cannot.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: dict[str, Any]
    config: RunConfig
    skip: str | None = None

    @classmethod
    def of(cls, identity: dict[str, Any], config: RunConfig, **names: Any) -> Cell:
        """The cell that ``identity`` decides; ``names`` are its other fields."""
        return cls(
            kind=identity["kind"],
            key=fingerprint.of_json(identity),
            identity=identity,
            config=config,
            task=config.tasks[0],
            **names,
        )

    def summary(self) -> dict[str, Any]:
        """What the plan of a run keeps of it."""
        return self.model_dump(mode="json", include={*Planned.model_fields}, exclude_none=True)


if __name__ == "__main__":
    # By its name, not by an import: the command line stands above the cells.
    runpy.run_module("bench.cli.cell", run_name="__main__")
